"""A gateway whose SQLite file goes, fills its disk or is locked: refused, told of, and gone on from."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.disks import small_disk
from tests.support.gateway import RunningGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITE = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { changed } }"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path, "--no-access-log", "--cache-seconds", "0")
    running.set_user("alice", name="Alice")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log, running.log


def code_of(body: dict[str, Any]) -> str | None:
    """Return the code of the first error."""
    return body["errors"][0]["extensions"]["code"] if "errors" in body else None


def write(gateway: RunningGateway, **patch: object) -> str | None:
    return code_of(gateway.execute(WRITE, {"id": "alice", "input": patch}))


def read(gateway: RunningGateway) -> str | None:
    return code_of(gateway.execute('{ user(id: "alice") { name } }'))


def ready(gateway: RunningGateway) -> int:
    return gateway.http.get("/readyz?strict=1").status_code


def becomes_ready(gateway: RunningGateway) -> bool:
    give_up = time.monotonic() + 20
    while ready(gateway) != 200 and time.monotonic() < give_up:
        time.sleep(0.05)
    return ready(gateway) == 200


def refused(gateway: RunningGateway) -> None:
    """Check that everybody is told, by the right code."""
    for number in range(3):
        assert write(gateway, name=f"Lost {number}") == "STORE_UNAVAILABLE"
    assert ready(gateway) == 503
    answer = gateway.http.get("/readyz")
    assert (answer.status_code, answer.json()["status"], answer.json()["store"]) == (200, "degraded", "unavailable")
    assert gateway.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("what", ["file", "all files", "log", "directory"])
def test_a_file_that_is_deleted(tmp_path: Path, what: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    gateway = RunningGateway(
        tmp_path, "--no-access-log", "--cache-seconds", "0", "--store-url", f"sqlite:///{data}/u.db"
    )
    gateway.set_user("alice", name="Alice")
    files = {
        "file": [data / "u.db"],
        "all files": [*data.iterdir()],
        "log": [data / "u.db-wal"],
        "directory": [],
    }[what]
    for path in files:
        path.unlink()
    if what == "directory":
        shutil.rmtree(data)
    left = sorted(path.name for path in data.iterdir()) if data.exists() else None
    refused(gateway)
    time.sleep(0.3)
    assert read(gateway) == "STORE_UNAVAILABLE"
    refused(gateway)
    assert gateway.log.count("cannot be written") == 1
    assert "Stop the gateway, put the file back" in gateway.log
    assert (sorted(path.name for path in data.iterdir()) if data.exists() else None) == left, "nothing is made anew"
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.log


def test_a_file_that_is_replaced_by_a_backup_needs_a_restart(gateway: RunningGateway, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(gateway.database)) as one, closing(sqlite3.connect(backup)) as other:
        one.backup(other)
    backup.replace(gateway.database)
    refused(gateway)
    assert gateway.stop() == 0
    again = RunningGateway(tmp_path, "--no-access-log")
    assert again.data('{ user(id: "alice") { name } }') == {"user": {"name": "Alice"}}
    assert again.stop() == 0


def test_a_file_that_comes_back_is_gone_on_with(gateway: RunningGateway) -> None:
    away = gateway.database.with_name("away.db")
    gateway.database.rename(away)
    refused(gateway)
    away.rename(gateway.database)
    assert becomes_ready(gateway)
    assert write(gateway, name="Back") is None
    assert gateway.data('{ user(id: "alice") { name } }') == {"user": {"name": "Back"}}


def test_a_lock_of_another_program(gateway: RunningGateway) -> None:
    with closing(sqlite3.connect(gateway.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert ready(gateway) == 503
        assert read(gateway) is None
        assert write(gateway, name="Waits") == "STORE_UNAVAILABLE"
        assert "Another program keeps the file locked" in gateway.log
        other.execute("ROLLBACK")
    assert becomes_ready(gateway)
    assert write(gateway, name="Goes on") is None


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        flags = ("--no-access-log", "--cache-seconds", "0", "--store-url", f"sqlite:///{disk.path}/users.db")
        gateway = RunningGateway(tmp_path, *flags)
        gateway.set_user("alice", name="Alice")
        ballast = disk.fill()
        assert ready(gateway) == 503
        large = {"welcomeMessage": "x" * 60_000}
        assert [write(gateway, **large) for _ in range(2)] == ["STORE_UNAVAILABLE"] * 2
        assert read(gateway) is None
        assert ready(gateway) == 503
        assert gateway.log.count("the disk is full. Free some space on it") <= 4  # /readyz says so too
        ballast.unlink()
        assert becomes_ready(gateway)
        assert write(gateway, **large) is None
        assert "can be written again" in gateway.log
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log
