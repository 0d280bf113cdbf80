"""``userline import`` and ``userline export``, as processes on real stores."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import orjson

from tests.moving.drill import drill
from tests.moving.generated import write_users
from tests.support.gateway import RunningGateway

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.mongodb import MongoServer


def run(directory: Path, *arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
    command = [sys.executable, "-m", "userline", *arguments]
    return subprocess.run(command, cwd=directory, env=clean, input=given, capture_output=True, timeout=120, check=False)


def test_users_survive_interruptions_and_come_back_equal_from_sqlite(tmp_path: Path) -> None:
    told = drill(tmp_path, f"sqlite:///{tmp_path}/users.db", 20_000)
    assert told[-1].endswith("20,000 there already, 0 left as they were, 0 lines refused.")


def test_users_survive_interruptions_and_come_back_equal_from_mongodb(tmp_path: Path, nx: MongoServer) -> None:
    told = drill(tmp_path, nx.url(timeoutMS=20_000), 12_000)
    assert told[-1].endswith("12,000 there already, 0 left as they were, 0 lines refused.")


def test_one_store_is_copied_into_another_through_a_pipe(tmp_path: Path, nx: MongoServer) -> None:
    data = write_users(tmp_path / "users.jsonl", 1500)
    url = nx.url(timeoutMS=20_000)
    assert run(tmp_path, "import", "users.jsonl").returncode == 0
    exported = run(tmp_path, "export", "-")
    assert (exported.returncode, exported.stdout) == (0, data)
    imported = run(tmp_path, "import", "-", "--store-url", url, given=exported.stdout)
    assert imported.returncode == 0, imported.stderr
    assert b"1,500 users created" in imported.stderr
    assert run(tmp_path, "export", "-", "--store-url", url).stdout == data


def test_what_is_refused_ends_with_1_and_names_the_report(tmp_path: Path) -> None:
    (tmp_path / "users.jsonl").write_bytes(b'{"id": "a", "name": "A"}\n{"id": "b"}\n')
    done = run(tmp_path, "import", "users.jsonl")
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-3:] == [
        "2 lines, 1 refused. Nothing was written.",
        "Why: users.jsonl.refused.jsonl",
        "Correct them, or import the others with --skip-refused.",
    ]
    assert orjson.loads((tmp_path / "users.jsonl.refused.jsonl").read_bytes())["line"] == 2
    assert run(tmp_path, "export", "-").stdout == b""
    done = run(tmp_path, "import", "users.jsonl", "--skip-refused")
    assert done.returncode == 1
    assert b"1 users created" in done.stderr


def test_a_file_that_is_there_is_not_written_over_by_mistake(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_bytes(b"precious")
    done = run(tmp_path, "export", "out.jsonl")
    assert (done.returncode, done.stderr) == (
        1,
        b"Error: out.jsonl already exists. Name another file, or give --overwrite.\n",
    )
    assert (tmp_path / "out.jsonl").read_bytes() == b"precious"
    data = write_users(tmp_path / "users.jsonl", 3)
    assert run(tmp_path, "import", "users.jsonl").returncode == 0
    assert run(tmp_path, "export", "out.jsonl", "--overwrite").returncode == 0
    assert (tmp_path / "out.jsonl").read_bytes() == data


def test_a_file_of_another_program_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "users.jsonl").write_bytes(b'{"id": "a", "name": "A"}\n')
    (tmp_path / "userline.db").write_bytes(b"This is no database. " * 100)
    done = run(tmp_path, "import", "users.jsonl")
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: ")
    assert done.stderr.count(b"\n") == 1


def test_a_running_gateway_shows_what_was_imported_when_it_reads_again(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--cache-seconds", "0.5")
    try:
        gateway.set_user("held", name="Old")
        assert gateway.data('{ user(id: "held") { name } }') == {"user": {"name": "Old"}}
        lines = b'{"id": "held", "name": "New", "version": 1}\n{"id": "other", "name": "Other"}\n'
        (tmp_path / "users.jsonl").write_bytes(lines)
        store = f"sqlite:///{gateway.database}"
        done = run(tmp_path, "import", "users.jsonl", "--on-existing", "replace", "--store-url", store)
        assert done.returncode == 0, done.stderr
        deadline = time.monotonic() + 10
        seen: dict[str, Any] = {}
        while seen != {"user": {"name": "New"}} and time.monotonic() < deadline:
            seen = gateway.data('{ user(id: "held") { name } }')
        assert seen == {"user": {"name": "New"}}
        assert gateway.data('{ user(id: "other") { name } }') == {"user": {"name": "Other"}}
    finally:
        assert gateway.stop() == 0
