"""``userline backup``: what is in it, while users are written, and what an interruption leaves."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner, Result

from tests.moving.generated import user, write_users
from tests.support.gateway import RunningGateway
from userline.cli.main import userline
from userline.moving.json_lines import parse_line
from userline.storage.files import NewFile, remove_leftovers
from userline.storage.sqlite import SQLiteUserStore
from userline.storage.sqlite.backup import BackupStopped, back_up
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

import orjson


def fill(path: Path, count: int, padding: int = 0) -> None:
    """Make a store of some users."""

    async def run() -> None:
        store = SQLiteUserStore(path, Rules())
        await store.open()
        for start in range(0, count, 500):
            values = [user(number) | {"welcomeMessage": "x" * padding or None} for number in range(start, start + 500)]
            records = [parse_line(orjson.dumps(value), Rules(), now=1) for value in values if value["id"]]
            await store.put_many(records, overwrite=False)
        await store.close()

    asyncio.run(run())


def users_in(path: Path) -> dict[str, str]:
    """Return the names of the users in a backup, which is sound and nobody's but its owner's."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return dict(connection.execute("SELECT id, name FROM users"))


def copy(source: Path, target: Path, is_stopped: Callable[[], bool] = lambda: False, *, overwrite: bool = False) -> int:
    return back_up(source, target, overwrite=overwrite, show=lambda *_: None, is_stopped=is_stopped)


def test_a_backup_is_a_store(tmp_path: Path) -> None:
    fill(tmp_path / "userline.db", 500)
    shown: list[tuple[int, int]] = []
    users = back_up(
        tmp_path / "userline.db",
        tmp_path / "copy.db",
        overwrite=False,
        show=lambda *step: shown.append(step),
        is_stopped=lambda: False,
    )
    assert users == len(users_in(tmp_path / "copy.db")) == 500
    assert shown[-1][0] == shown[-1][1] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "userline.db"]

    async def restored() -> int:
        store = SQLiteUserStore(tmp_path / "copy.db", Rules())
        await store.open()
        await store.ping()
        count = await store.count_users()
        await store.close()
        return count

    assert asyncio.run(restored()) == 500


async def test_a_backup_has_what_stands_in_the_log_alone(tmp_path: Path) -> None:
    store = SQLiteUserStore(tmp_path / "userline.db", Rules())
    await store.open()
    record = parse_line(b'{"id": "alice", "name": "Alice"}', Rules(), now=1)
    await store.put_many([record], overwrite=False)
    assert await asyncio.to_thread(copy, store.path, tmp_path / "copy.db") == 1
    await store.close()
    assert users_in(tmp_path / "copy.db") == {"alice": "Alice"}


def test_a_backup_under_writes_has_every_write_acknowledged_before_it_began(tmp_path: Path) -> None:
    fill(tmp_path / "users.db", 3000, padding=2000)  # large enough to take some steps
    gateway = RunningGateway(tmp_path, "--no-access-log")
    acknowledged: dict[str, str] = {}
    stop = threading.Event()

    def write(writer: int) -> None:
        number = 0
        with httpx.Client(base_url=gateway.url, timeout=30) as http:
            while not stop.is_set():
                number += 1
                query = "mutation($id: ID!, $name: String!) { setUser(id: $id, input: {name: $name}) { changed } }"
                user_id, name = f"writer {writer}: {number % 50}", f"{number}"
                body = {"query": query, "variables": {"id": user_id, "name": name}}
                if "errors" not in http.post("/graphql", json=body).json():
                    acknowledged[user_id] = name

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    try:
        for thread in writers:
            thread.start()
        for turn in range(3):
            seen = len(acknowledged)
            give_up = time.monotonic() + 30
            while len(acknowledged) < min(seen + 20, 150) and time.monotonic() < give_up:
                time.sleep(0.01)
            before = dict(acknowledged)
            done = run(tmp_path, "backup", f"copy-{turn}.db", "--store-url", f"sqlite:///{gateway.database}")
            assert done.returncode == 0, done.stderr
            after = dict(acknowledged)
            found = users_in(tmp_path / f"copy-{turn}.db")
            assert len(found) >= 3000
            assert before
            assert {key: found.get(key) for key, name in before.items() if int(found.get(key, "0")) < int(name)} == {}
            assert after != before, "nothing was written meanwhile"
    finally:
        stop.set()
        for thread in writers:
            thread.join()
        assert gateway.stop() == 0


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
    command = [sys.executable, "-m", "userline", *arguments]
    return subprocess.run(command, cwd=directory, env=clean, capture_output=True, timeout=120, check=False)


def test_writers_do_not_make_it_begin_anew(tmp_path: Path) -> None:
    fill(tmp_path / "userline.db", 3000, padding=4000)
    steps = 0
    with closing(sqlite3.connect(tmp_path / "userline.db", isolation_level=None)) as other:

        def show(_: int, total: int) -> None:
            nonlocal steps
            steps += 1
            other.execute("UPDATE users SET name = name || 'x'")  # by another connection, as another process would
            assert steps <= total // 256 + 2

        users = back_up(
            tmp_path / "userline.db", tmp_path / "copy.db", overwrite=False, show=show, is_stopped=lambda: False
        )
    assert users == 3000
    assert steps > 5
    assert not any(name.endswith("x") for name in users_in(tmp_path / "copy.db").values())


@pytest.mark.parametrize("when", range(0, 8, 2))
def test_a_backup_that_is_stopped_leaves_nothing(tmp_path: Path, when: int) -> None:
    fill(tmp_path / "userline.db", 2000, padding=4000)
    (tmp_path / "copy.db").write_bytes(b"precious")
    calls = 0

    def is_stopped() -> bool:
        nonlocal calls
        calls += 1
        return calls > when

    with pytest.raises(BackupStopped):
        copy(tmp_path / "userline.db", tmp_path / "copy.db", is_stopped, overwrite=True)
    assert (tmp_path / "copy.db").read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "userline.db"]


def test_something_that_comes_to_the_place_meanwhile_stays(tmp_path: Path) -> None:
    fill(tmp_path / "userline.db", 500)
    target = tmp_path / "copy.db"

    def put_something_there(*_: int) -> None:
        target.write_bytes(b"precious")

    with pytest.raises(FileExistsError):
        back_up(
            tmp_path / "userline.db",
            target,
            overwrite=False,
            show=put_something_there,
            is_stopped=lambda: False,
        )
    assert target.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "userline.db"]


def test_a_damaged_store_is_no_backup(tmp_path: Path) -> None:
    fill(tmp_path / "userline.db", 2000, padding=1000)
    with (tmp_path / "userline.db").open("r+b") as file:
        file.seek(200 * 4096)
        file.write(b"\xff" * 4096)
    done = invoke(tmp_path, "backup", str(tmp_path / "copy.db"))
    assert done.exit_code == 1
    assert "damaged" in done.output or "malformed" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["userline.db"]


def invoke(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(userline, [*arguments, "--store-url", f"sqlite:///{directory}/userline.db"])


def test_mongodb_has_tools_of_its_own(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    done = CliRunner().invoke(userline, ["backup", str(target), "--store-url", "mongodb://127.0.0.1:1/userline"])
    assert done.exit_code == 1
    assert "Use mongodump, or write all users into a file with userline export." in done.output
    assert list(tmp_path.iterdir()) == []


def test_standard_output_is_no_place_for_a_backup(tmp_path: Path) -> None:
    fill(tmp_path / "userline.db", 500)
    done = invoke(tmp_path, "backup", "-")
    assert done.exit_code == 1
    assert "A backup is written to a file" in done.output


def test_what_killed_processes_left_is_deleted_when_it_is_old(tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    fill(tmp_path / "userline.db", 500)
    for name in (".userline-1.tmp", ".userline-2.tmp", "mine.tmp", ".userline-notes"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / ".userline-new.tmp").write_bytes(b"x")
    (tmp_path / ".userline-link.tmp").symlink_to(tmp_path / "userline.db")
    with NewFile(tmp_path / "other") as busy:
        os.utime(busy.path, (1, 1))
        remove_leftovers(tmp_path)
        assert busy.path.exists()
    assert copy(tmp_path / "userline.db", target) == 500
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".userline-link.tmp", ".userline-new.tmp", ".userline-notes", "copy.db", "mine.tmp", "userline.db"
    ]  # fmt: skip


@pytest.fixture(scope="module")
def store_of_4000(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """The URL of a store that is only read, and what is in it as an export has it."""
    directory = tmp_path_factory.mktemp("4000")
    data = write_users(directory / "users.jsonl", 4000)
    url = f"sqlite:///{directory}/userline.db"
    assert run(directory, "import", "users.jsonl", "--store-url", url).returncode == 0
    return url, data


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("command", ["backup", "export", "import"])
def test_signals_at_any_time_leave_the_old_or_the_new(
    tmp_path: Path, store_of_4000: tuple[str, bytes], command: str, number: signal.Signals
) -> None:
    """Each command is interrupted at some times, by the clock; then the file is the old one or the new one, whole."""
    url, data = store_of_4000
    store = ("--store-url", url)
    target = tmp_path / "target"
    bad = b"".join(orjson.dumps({"id": f"bad {line}"}) + b"\n" for line in range(4000))
    (tmp_path / "bad.jsonl").write_bytes(bad)
    arguments = {
        "backup": ["backup", "target", "--overwrite"],
        "export": ["export", "target", "--overwrite"],
        "import": ["import", "bad.jsonl", "--report", "target", "--overwrite"],
    }[command]
    dice = random.Random(13)
    old, is_new = b"precious\n", 0
    for _ in range(3):
        target.write_bytes(old)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "userline", *arguments, *store],
            cwd=tmp_path,
            env=clean,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        time.sleep(dice.uniform(0.4, 1.6))
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        assert b"Traceback" not in told or process.returncode in {-number, 1}, told
        if target.read_bytes() == old:
            assert process.returncode != 0
            continue
        is_new += 1
        if command == "backup":
            assert len(users_in(target)) == 4000
        elif command == "export":
            assert target.read_bytes() == data
        else:
            lines = [orjson.loads(line)["line"] for line in target.read_bytes().splitlines()]
            assert lines == list(range(1, len(lines) + 1))
            assert len(lines) == 4000 or process.returncode == 130
    done = run(tmp_path, *arguments, *store)
    assert done.returncode == (1 if command == "import" else 0), done.stderr
