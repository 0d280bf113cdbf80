"""Files with users in them are for their owner alone, whatever the umask, from the moment they are created."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from tests.moving.generated import write_users
from tests.support.needed import not_permitted
from userline.cli.main import userline
from userline.storage.sqlite import SQLiteUserStore
from userline.users.errors import StoreUnavailable
from userline.users.patch import parse_new_user
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UMASKS = [0o000, 0o002, 0o022, 0o027, 0o077, 0o177, 0o277, 0o777]

_watched: list[str] = []
_wide: list[str] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Take note of whatever creates a file in another way than by os.open with a mode of its own."""
    if not _watched or event not in {"open", "sqlite3.connect"}:
        return
    name = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else ""
    if _watched[0] not in name:
        return
    if event == "sqlite3.connect" and "mode=rw" not in name.replace("mode=rwc", "") and "mode=ro" not in name:
        _wide.append(f"SQLite may create {name}")
    is_unnamed = os.path.isdir(name)  # noqa: PTH112 - O_TMPFILE: a file of nobody's in a directory
    if event == "open" and not is_unnamed and arguments[1] is not None and set(arguments[1]) & set("wax"):
        _wide.append(f"{name} is opened as {arguments[1]!r}")


sys.addaudithook(_audit)


@contextmanager
def watching(directory: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail if a file is created for more than its owner."""
    plain = os.open

    def watched(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if flags & os.O_CREAT and str(directory) in str(path):
            assert mode & 0o077 == 0, f"{path} is created with mode {mode:04o}"
            assert flags & os.O_EXCL, f"{path} may be somebody's"
        return plain(path, flags, mode, **more)

    before = os.umask(umask)
    _watched.append(str(directory))
    try:
        with monkeypatch.context() as patches:
            patches.setattr(os, "open", watched)
            yield
    finally:
        _watched.clear()
        os.umask(before)
    assert _wide == []


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir() if path.is_file()}


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
async def test_the_store(tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLiteUserStore(tmp_path / "userline.db", Rules())
    with watching(tmp_path, umask, monkeypatch):
        for _ in range(2):
            await store.open()
            await store.create_if_not_exists("alice", parse_new_user({"name": "Alice"}, Rules()))
            assert modes(tmp_path) == dict.fromkeys(["userline.db", "userline.db-wal", "userline.db-shm"], 0o600)
            await store.close()
    assert modes(tmp_path) == {"userline.db": 0o600}


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_every_command(tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write_users(tmp_path / "users.jsonl", 30)
    (tmp_path / "bad.jsonl").write_bytes(b'{"id": "x"}\n')
    (tmp_path / "users.jsonl").chmod(0o600)
    (tmp_path / "bad.jsonl").chmod(0o600)
    (tmp_path / "wide").write_bytes(b"old")
    (tmp_path / "wide").chmod(0o666)
    (tmp_path / "wide.db").write_bytes(b"old")
    (tmp_path / "wide.db").chmod(0o666)
    store = ["--store-url", f"sqlite:///{tmp_path}/userline.db"]
    with watching(tmp_path, umask, monkeypatch):
        for command, code in (
            (["import", f"{tmp_path}/users.jsonl"], 0),
            (["import", f"{tmp_path}/bad.jsonl"], 1),
            (["import", f"{tmp_path}/bad.jsonl", "--report", f"{tmp_path}/report"], 1),
            (["export", f"{tmp_path}/out.jsonl"], 0),
            (["export", f"{tmp_path}/wide", "--overwrite"], 0),
            (["backup", f"{tmp_path}/out.db"], 0),
            (["backup", f"{tmp_path}/wide.db", "--overwrite"], 0),
            (["doctor"], 0),
        ):
            done = CliRunner().invoke(userline, [*command, *store])
            assert done.exit_code == code, (command, done.output, done.exception)
            assert set(modes(tmp_path).values()) <= {0o600, 0o666}
    sources = ["userline.db", "users.jsonl", "bad.jsonl"]
    made = ["bad.jsonl.refused.jsonl", "report", "out.jsonl", "out.db", "wide", "wide.db"]
    assert modes(tmp_path) == dict.fromkeys(sources + made, 0o600)


@pytest.mark.parametrize(
    ("before", "mode", "after"),
    [
        (0o644, 0o600, 0o600),
        (0o666, 0o600, 0o600),
        (0o640, 0o600, 0o600),
        (0o660, 0o600, 0o600),
        (0o777, 0o600, 0o600),
        (0o644, 0o660, 0o660),
        (0o600, 0o660, 0o660),
        (0o600, 0o640, 0o640),
        (0o600, 0o600, 0o600),
    ],
)
async def test_files_that_are_there_are_brought_to_the_mode(tmp_path: Path, before: int, mode: int, after: int) -> None:
    path = tmp_path / "userline.db"
    store = SQLiteUserStore(path, Rules(), mode=mode)
    await store.open()
    beside = [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))]
    assert {stat.S_IMODE(file.stat().st_mode) for file in beside} == {mode}
    for file in beside:
        file.chmod(before)
    other = SQLiteUserStore(path, Rules(), mode=mode)
    await other.open()
    assert {stat.S_IMODE(file.stat().st_mode) for file in beside} == {after}
    for each in (store, other):
        await each.close()


async def test_what_the_owner_may_not_do_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "userline.db"
    store = SQLiteUserStore(path, Rules())
    await store.open()
    await store.close()
    path.chmod(0o444)
    with suppress(StoreUnavailable):  # which root does not meet
        await store.open()
        await store.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


async def test_reading_commands_leave_modes_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "userline.db"
    store = SQLiteUserStore(path, Rules())
    await store.open()
    await store.close()
    path.chmod(0o660)  # as USERLINE_SQLITE_MODE says to the gateway, and perhaps not to this command
    await store.open(create=False)
    await store.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_somebody_elses_wide_file_is_told_of(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        not_permitted("only root can make a file somebody else's")
    path = tmp_path / "userline.db"

    async def make() -> None:
        store = SQLiteUserStore(path, Rules())
        await store.open()
        await store.close()

    asyncio.run(make())
    path.chmod(0o666)
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)

    # What is imported comes first: others may not be able to read where Python is.
    code = "import os, sys; from pathlib import Path; from userline.storage.sqlite.file import set_mode\n"
    code += "os.setuid(65534); set_mode(Path(sys.argv[1]), 0o600)"
    told = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True).stderr
    assert "chmod 0600" in told
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_a_link_to_the_store_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "userline.db").symlink_to(tmp_path / "data" / "real.db")

    async def use() -> None:
        store = SQLiteUserStore(tmp_path / "userline.db", Rules())
        await store.open()
        await store.create_if_not_exists("alice", parse_new_user({"name": "Alice"}, Rules()))
        await store.ping()
        assert modes(tmp_path / "data") == dict.fromkeys(["real.db", "real.db-wal", "real.db-shm"], 0o600)
        await store.close()

    with watching(tmp_path, 0, monkeypatch):
        asyncio.run(use())
    with sqlite3.connect(tmp_path / "data" / "real.db") as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (1,)
    connection.close()
