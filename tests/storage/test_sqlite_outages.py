"""What happens to the file while a store has it open: it is noticed, refused, told once, and gone on from."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.storage.contract.base import RULES, get, new_user, patch
from tests.storage.sqlite_helpers import locked
from tests.support.disks import SmallDisk, small_disk
from userline.storage.sqlite import SQLiteUserStore, database, watch
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "users.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteUserStore]:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    await store.create_if_not_exists("alice", new_user())
    yield store
    await store.close()


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def other_database(path: Path) -> Path:
    """Return a database of users that is another one."""
    other = path.with_name("other.db")
    database.open_writer(other).close()
    return other


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        beside(path, suffix).unlink()


def delete_log(path: Path) -> None:
    beside(path, "-wal").unlink()


def delete_index(path: Path) -> None:
    beside(path, "-shm").unlink()


def move_away(path: Path) -> None:
    path.rename(path.with_name("away.db"))


def move_all_away(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        beside(path, suffix).rename(path.with_name("away.db" + suffix))


def replace(path: Path) -> None:
    other_database(path).replace(path)


def replace_all(path: Path) -> None:
    other = other_database(path)
    delete_all(path)
    other.replace(path)


def delete_and_put_another_store_there(path: Path) -> None:
    delete_all(path)
    database.open_writer(path).close()


def put_an_empty_file_there(path: Path) -> None:
    path.unlink()
    path.touch()


def put_a_directory_there(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_a_link_to_nothing_there(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def delete_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


def move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def move_directory_and_make_another(path: Path) -> None:
    move_directory(path)
    path.parent.mkdir()


def restore_a_copy(path: Path) -> None:
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    copy.replace(path)


GONE = [
    delete,
    delete_all,
    delete_log,
    delete_index,
    move_away,
    move_all_away,
    replace,
    replace_all,
    delete_and_put_another_store_there,
    put_an_empty_file_there,
    put_a_directory_there,
    put_a_link_to_nothing_there,
    delete_directory,
    move_directory,
    move_directory_and_make_another,
    restore_a_copy,
]


async def refused(store: SQLiteUserStore) -> None:
    """Check that the store does nothing that anybody could believe."""
    for write in (
        store.patch("alice", patch(name="Lost")),
        store.create_if_not_exists("bob", new_user()),
        store.patch_many({"alice": patch(name="Lost"), "carol": patch(name="Carol")}),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            await write
        assert str(caught.value) == str(StoreUnavailable())
    with pytest.raises(StoreUnavailable):
        await store.ping()
    await asyncio.sleep(watch.SECONDS_BETWEEN_LOOKS)
    for read in (store.get_many(["alice"]), store.count_users(), store.list_users(limit=1, after=None)):
        with pytest.raises(StoreUnavailable):
            await read


@pytest.mark.parametrize("happens", GONE)
@pytest.mark.parametrize("settled", [False, True], ids=["at once", "after a while"])
async def test_no_write_to_a_file_that_is_gone_is_acknowledged(
    store: SQLiteUserStore,
    path: Path,
    happens: Callable[[Path], None],
    settled: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if settled:  # so that the directory is known from before
        await asyncio.sleep(0.15)
        await store.patch("alice", patch(name="Settled"))
    happens(path)
    await refused(store)
    await refused(store)
    told = [record.getMessage() for record in caplog.records]
    reasons = [text.partition(" cannot be ")[2].partition(": ")[2] for text in told]
    assert 1 <= len(reasons) == len(set(reasons)) <= 2, told  # each reason once, whether it is met reading or writing
    assert all(str(path.parent) in text and "Stop the gateway, put the file back" in text for text in told)


@pytest.mark.parametrize("happens", [delete_all, replace_all, delete_and_put_another_store_there, move_all_away])
async def test_closing_does_no_harm_to_what_is_at_the_path_now(
    path: Path, happens: Callable[[Path], None], tmp_path: Path
) -> None:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    await store.create_if_not_exists("alice", new_user())
    happens(path)
    with pytest.raises(StoreUnavailable):
        await store.patch("alice", patch(name="Lost"))
    if not path.exists():
        await store.close()
        assert not path.exists()
        return
    newer = SQLiteUserStore(path, RULES)
    await newer.open()
    await newer.create_if_not_exists("in the new file", new_user())
    await store.close()
    assert await get(newer, "in the new file") is not None
    assert (await newer.create_if_not_exists("after", new_user())).created
    await newer.close()
    shutil.copytree(path.parent, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy" / path.name)) as connection:
        assert {row[0] for row in connection.execute("SELECT id FROM users")} == {"in the new file", "after"}


@pytest.mark.parametrize("away", [move_away, move_all_away, move_directory])
async def test_it_goes_on_when_the_file_is_back(
    store: SQLiteUserStore, path: Path, away: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    away(path)
    await refused(store)
    if away is move_directory:
        path.parent.with_name("elsewhere").rename(path.parent)
    else:
        for suffix in ("", "-wal", "-shm"):
            moved = path.with_name("away.db" + suffix)
            if moved.exists():
                moved.rename(beside(path, suffix))
    await store.ping()
    assert (await store.patch("alice", patch(name="Back"))).changed
    assert (found := await get(store, "alice")) is not None
    assert found.snapshot.name == "Back"
    messages = [record.getMessage() for record in caplog.records]
    begun = [text for text in messages if " cannot be " in text]
    ends = [text.split(" can ")[1] for text in messages if text not in begun]
    assert [re.sub(r"\d+\.\d", "N", text) for text in ends] == [
        f"be {what} again, after N s."
        for what in ("read", "written")
        if any(f"cannot be {what}" in one for one in begun)
    ]


async def test_other_files_of_the_directory_come_and_go_as_they_like(store: SQLiteUserStore, path: Path) -> None:
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        path.with_name("other").touch()
        assert (await store.patch("alice", patch(custom={"t": str(time.monotonic())}))).changed
        path.with_name("other").unlink()
        await store.ping()


async def test_a_vacuum_by_another_program_is_no_outage(path: Path) -> None:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    for number in range(50):
        await store.patch(f"user {number}", patch(name="x", welcomeMessage="x" * 20_000))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        large = path.stat().st_size
        await store.ping()
        connection.execute("DELETE FROM users WHERE id != 'user 0'")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < large / 2
    await asyncio.sleep(watch.SECONDS_BETWEEN_LOOKS)
    assert (await store.patch("user 0", patch(name="y"))).changed
    assert await store.count_users() == 1
    await store.close()


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 10_000])
async def test_a_file_that_is_cut_short_is_noticed(path: Path, size: int, caplog: pytest.LogCaptureFixture) -> None:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    for number in range(20):
        await store.patch(f"user {number}", patch(name="x", welcomeMessage="x" * 20_000))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await asyncio.sleep(watch.SECONDS_BETWEEN_LOOKS)
    await store.ping()
    os.truncate(path, size)
    await asyncio.sleep(watch.SECONDS_BETWEEN_LOOKS)
    await refused(store)
    assert "truncated" in caplog.text
    await store.close()


class TestADiskOfItsOwn:
    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[SmallDisk]:
        with small_disk(tmp_path / "disk") as disk:
            yield disk

    @pytest.fixture
    def path(self, disk: SmallDisk) -> Path:
        return disk.path / "users.db"

    async def test_a_full_disk_is_an_outage_until_there_is_room(
        self, store: SQLiteUserStore, disk: SmallDisk, caplog: pytest.LogCaptureFixture
    ) -> None:
        ballast = disk.fill()
        with pytest.raises(StoreUnavailable):
            await store.ping()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await store.patch("bob", patch(name="Bob", welcomeMessage="x" * 60_000))
        assert await get(store, "bob") is None
        assert (await get(store, "alice")) is not None
        with pytest.raises(StoreUnavailable):
            await store.ping()
        assert caplog.text.count("the disk is full. Free some space") == 1
        ballast.unlink()
        await store.ping()
        assert (await store.patch("bob", patch(name="Bob", welcomeMessage="x" * 60_000))).created
        assert "can be written again" in caplog.text


async def test_a_file_system_that_is_turned_read_only_is_an_outage_until_it_is_not(
    store: SQLiteUserStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # What has files open for writing cannot be made read-only; so the system's answer is played.
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    await asyncio.sleep(watch.SECONDS_BETWEEN_LOOKS)
    with pytest.raises(StoreUnavailable):
        await store.ping()
    with pytest.raises(StoreUnavailable):
        await store.patch("alice", patch(name="x"))
    assert await get(store, "alice") is not None
    assert caplog.text.count("is not writable any more") == 1
    monkeypatch.undo()
    await store.ping()
    assert (await store.patch("alice", patch(name="y"))).changed


async def test_a_lock_that_stays_is_an_outage_until_it_is_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    store = SQLiteUserStore(path, RULES)
    await store.open()
    await store.create_if_not_exists("alice", new_user())
    with locked(path):
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await store.ping()
            with pytest.raises(StoreUnavailable):
                await store.patch("alice", patch(name="x"))
        assert await get(store, "alice") is not None
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Another program keeps the file locked. Stop it" in caplog.text
    await store.ping()
    assert (await store.patch("alice", patch(name="x"))).changed
    await store.close()


async def test_a_ping_writes_nothing_while_all_is_well(store: SQLiteUserStore, path: Path) -> None:
    before = beside(path, "-wal").stat()
    for _ in range(5):
        await store.ping()
    assert beside(path, "-wal").stat() == before


async def test_a_write_whose_file_goes_during_the_commit_is_not_acknowledged(path: Path) -> None:
    deleted = False

    def clock() -> int:
        nonlocal deleted
        if not deleted and path.exists():
            deleted = True
            path.unlink()
        return 1

    store = SQLiteUserStore(path, RULES, clock)
    await store.open()
    with pytest.raises(StoreUnavailable):
        await store.create_if_not_exists("alice", new_user())
    assert deleted
    await store.close()
