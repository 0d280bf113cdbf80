"""Pipes, devices and standard streams at both ends, as a shell gives them; and what cannot be read."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from pymongo import MongoClient

from tests.moving.generated import write_users

if TYPE_CHECKING:
    from tests.support.mongodb import MongoServer

USERS = 1200


class Shell:
    """Runs lines of a shell in a directory with a file of users and a store that has them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
        self.environment["U"] = f"{sys.executable} -m userline"
        self.data = write_users(directory / "users.jsonl", USERS)

    def run(self, line: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def start(self, line: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def stored(self, name: str = "userline.db") -> int:
        with closing(sqlite3.connect(self.directory / name)) as connection:
            count: int = connection.execute("SELECT count(*) FROM users").fetchone()[0]
            return count


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "cat users.jsonl | $U import -",
        "$U import - < users.jsonl",
        "$U import /dev/stdin < users.jsonl",
        "cat users.jsonl | $U import /dev/stdin",
        "$U import <(cat users.jsonl)",
        "mkfifo pipe; (sleep 1; cat users.jsonl > pipe) & $U import pipe",
        "gzip -k users.jsonl; zcat users.jsonl.gz | $U import -",
    ],
)
def test_what_comes_by_a_stream_is_imported(shell: Shell, line: str) -> None:
    done = shell.run(line)
    assert done.returncode == 0, done.stderr
    assert shell.stored() == USERS
    assert not [path.name for path in shell.directory.iterdir() if "import.json" in path.name]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("$U import /dev/zero", b"neither a file nor a pipe"),
        ("$U import - < userline.db", b"Standard input is the user store"),
        ("$U import - <&-", b"Standard input is closed"),
        ("$U export - >> userline.db", b"Standard output is the user store"),
        ("$U export - >&-", b"Standard output is closed"),
        ("$U export /dev/full", b"No space left on device"),
        ("$U export - > /dev/full", b"No space left on device"),
    ],
)
def test_what_is_no_stream_for_users_is_one_sentence(shell: Shell, line: str, says: bytes) -> None:
    assert shell.run("$U import users.jsonl").returncode == 0
    before = (shell.directory / "userline.db").read_bytes()
    done = shell.run(line)
    assert done.returncode == 1
    assert says in done.stderr
    assert b"Traceback" not in done.stderr
    assert (shell.directory / "userline.db").read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        "$U export - | cat > out",
        "$U export - > out",
        "$U export /dev/stdout > out",
        "$U export /dev/stdout | cat > out",
        "$U export >(cat > out); sleep 1",
        "mkfifo pipe; (sleep 1; cat pipe > out) & $U export pipe; wait",
        "$U export /dev/fd/7 7> out --overwrite",
        "echo old > out; $U export - >> out; tail -n +2 out > new; mv new out",
    ],
)
def test_users_are_exported_to_a_stream(shell: Shell, line: str) -> None:
    assert shell.run("$U import users.jsonl").returncode == 0
    done = shell.run(line)
    assert done.returncode == 0, done.stderr
    assert (shell.directory / "out").read_bytes() == shell.data


def test_a_reader_that_goes_away_is_one_sentence(shell: Shell) -> None:
    assert shell.run("$U import users.jsonl").returncode == 0
    done = shell.run("($U export -; echo $? > code) | head -c 10 > /dev/null")
    assert (shell.directory / "code").read_text() == "130\n"
    assert done.stderr.decode().splitlines()[-1] == "The program that read the output ended before the export did."


@pytest.mark.parametrize("line", ["$U import -", "$U export pipe", "$U export -"])
def test_an_interruption_is_heard_while_the_other_side_is_silent(shell: Shell, line: str) -> None:
    assert shell.run("$U import users.jsonl; mkfifo pipe").returncode == 0
    process = shell.start(line)
    wait_for_its_loop(process.pid)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=30)
    finally:
        process.kill()
    assert process.stderr is not None
    told = process.stderr.read()
    process.communicate()
    assert process.returncode in {130, 1}, told
    assert b"Traceback" not in told


def wait_for_its_loop(pid: int) -> None:
    """Wait until a process runs an event loop, and so hears of signals in its own way."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
        if "anon_inode:[eventpoll]" in links:
            break
        time.sleep(0.05)
    time.sleep(1)


class TestWhatCannotBeRead:
    @pytest.fixture
    def damaged(self, shell: Shell) -> list[str]:
        """Users whose rows another program has spoilt, each in another way."""
        assert shell.run("$U import users.jsonl").returncode == 0
        statements = {
            "user-00000001": "custom = 'no json'",
            "user-00000002": "custom = '[]'",
            "user-00000003": "email = '7'",
            "user-00001101": "push_tokens = 'x]'",
            "user-00001102": "phone = ''",
        }
        with closing(sqlite3.connect(shell.directory / "userline.db", isolation_level=None)) as connection:
            for user_id, what in statements.items():
                connection.execute(f"UPDATE users SET {what} WHERE id = ?", (user_id,))  # noqa: S608 - ours
        return [*statements]

    def test_nothing_is_left_out_without_a_word(self, shell: Shell, damaged: list[str]) -> None:
        (shell.directory / "out").write_bytes(b"precious")
        done = shell.run("$U export out --overwrite")
        assert done.returncode == 1
        assert b"5 entries of the store cannot be read as users" in done.stderr
        assert b"export the others with --skip-unreadable" in done.stderr
        assert (shell.directory / "out").read_bytes() == b"precious"
        report = [orjson.loads(line) for line in (shell.directory / "out.unreadable.jsonl").read_bytes().splitlines()]
        assert [line["id"] for line in report] == damaged
        assert all("is not a user" in line["reasons"][0]["message"] for line in report)
        assert sorted(path.name for path in shell.directory.iterdir()) == [
            "out", "out.unreadable.jsonl", "userline.db", "users.jsonl"
        ]  # fmt: skip

    def test_the_others_can_be_exported(self, shell: Shell, damaged: list[str]) -> None:
        done = shell.run("$U export out --skip-unreadable")
        assert done.returncode == 1
        ids = [orjson.loads(line)["id"] for line in (shell.directory / "out").read_bytes().splitlines()]
        assert len(ids) == USERS - len(damaged)
        assert not set(ids) & set(damaged)

    def test_a_stream_has_the_others_and_the_exit_code_says_so(self, shell: Shell, damaged: list[str]) -> None:
        done = shell.run("$U export -")
        assert done.returncode == 1
        assert len(done.stdout.splitlines()) == USERS - len(damaged)
        assert all(user_id.encode() in done.stderr for user_id in damaged)


class TestMongoDB:
    def test_a_mistyped_database_is_told_and_not_made(self, shell: Shell, nx: MongoServer) -> None:
        (shell.directory / "good").write_bytes(b"precious")
        url = nx.url("mistyped", timeoutMS=20_000)
        for command in ("export good --overwrite", "export -", "import users.jsonl --dry-run"):
            done = shell.run(f"$U {command} --store-url '{url}'")
            assert done.returncode == (0 if "dry-run" in command else 1), done.stderr
            if "export" in command:
                assert b"There is no database mistyped of userline" in done.stderr
        assert (shell.directory / "good").read_bytes() == b"precious"
        with MongoClient[dict[str, Any]](url) as client:
            assert client["mistyped"]["userline_meta"].find_one() is None

    def test_documents_that_are_no_users_are_told(self, shell: Shell, nx: MongoServer) -> None:
        url = nx.url("damaged", timeoutMS=20_000)
        assert shell.run(f"head -5 users.jsonl | $U import - --store-url '{url}'").returncode == 0
        with MongoClient[dict[str, Any]](url) as client:
            client["damaged"]["users"].insert_many([{"_id": "a bot"}, {"_id": ""}, {"_id": "user-000", "name": 5}])
        done = shell.run(f"$U export out --store-url '{url}'")
        assert done.returncode == 1
        report = [orjson.loads(line) for line in (shell.directory / "out.unreadable.jsonl").read_bytes().splitlines()]
        assert {line["id"] for line in report} == {"a bot", "", "user-000"}
        assert not (shell.directory / "out").exists()
        assert shell.run(f"$U export out --skip-unreadable --store-url '{url}'").returncode == 1
        assert len((shell.directory / "out").read_bytes().splitlines()) == 5
