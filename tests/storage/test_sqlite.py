"""What is SQLite's own: the groups of writes, the threads, and what goes wrong with them."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.contract.base import RULES, Clock, existing, get, new_user, patch
from tests.storage.sqlite_helpers import locked, own_threads
from userline.storage.protocol import MAX_BATCH
from userline.storage.sqlite import SQLiteUserStore, database
from userline.storage.sqlite import store as store_module
from userline.storage.sqlite import writes as writes_module
from userline.users.errors import StoreUnavailable
from userline.users.patch import apply


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteUserStore]:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What writers opened after this are told to run."""
    seen: list[str] = []
    open_writer = database.open_writer

    def open_traced(path: Path) -> sqlite3.Connection:
        connection = open_writer(path)
        connection.set_trace_callback(seen.append)
        return connection

    monkeypatch.setattr(store_module, "open_writer", open_traced)
    return seen


# Groups


async def test_concurrent_writes_share_their_commits(statements: list[str], path: Path) -> None:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    await asyncio.gather(*(store.create_if_not_exists(f"user {number}", new_user()) for number in range(200)))
    assert 1 <= statements.count("COMMIT") <= 10
    assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT")
    await store.close()


async def test_a_group_has_a_bound(statements: list[str], store_of_three: SQLiteUserStore) -> None:
    with locked(store_of_three.path):
        writes = [asyncio.ensure_future(store_of_three.patch("alice", patch(custom={str(n): ""}))) for n in range(10)]
        await asyncio.sleep(0.05)
    await asyncio.gather(*writes)
    assert statements.count("COMMIT") >= 4


@pytest.fixture
async def store_of_three(
    path: Path, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SQLiteUserStore]:
    """A store that commits at most three writes at once."""
    monkeypatch.setattr(store_module, "MOST_WRITES_A_COMMIT", 3)
    store = SQLiteUserStore(path, RULES)
    await store.open()
    await store.patch("alice", patch(name="Alice"))
    statements.clear()
    yield store
    await store.close()


async def test_a_group_writes_each_user_once(statements: list[str], path: Path) -> None:
    clock = Clock()
    store = SQLiteUserStore(path, RULES, clock)
    await store.open()
    with locked(path):
        writes = [asyncio.ensure_future(store.patch("alice", patch(name=f"Alice {n}"))) for n in range(50)]
        await asyncio.sleep(0.05)
    versions = [result.after.snapshot.version for result in await asyncio.gather(*writes)]
    assert versions == [clock.now + number for number in range(50)]
    assert sum(statement.startswith("INSERT") for statement in statements) <= 2
    await store.close()


async def test_groups_of_any_size_are_written_whole(store: SQLiteUserStore) -> None:
    for size in (1, 3, 4, 5, 31, 37, 256, 293, 512):
        ids = [f"{size}: {number}" for number in range(size)]
        with locked(store.path):
            first = asyncio.ensure_future(store.create_if_not_exists("first", new_user()))
            await asyncio.sleep(0.01)
            writes = [asyncio.ensure_future(store.create_if_not_exists(user_id, new_user())) for user_id in ids]
            await asyncio.sleep(0)
        results = await asyncio.gather(*writes)
        await first
        assert await store.get_many(ids) == [result.after for result in results]


async def test_a_write_with_an_unexpected_error_fails_alone(
    store: SQLiteUserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apply_or_break(*given: object, user_id: str, **more: object) -> object:
        if user_id == "broken":
            raise ZeroDivisionError
        return apply(*given, user_id=user_id, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(writes_module, "apply", apply_or_break)
    ids = ["alice", "broken", "bob"]
    outcomes = await asyncio.gather(*(store.patch(i, patch(name="x")) for i in ids), return_exceptions=True)
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert [record is not None for record in await store.get_many(ids)] == [True, False, True]


async def test_a_read_with_an_unexpected_error_fails_alone(store: SQLiteUserStore) -> None:
    outcomes = await asyncio.gather(
        store.get_many(["alice"]), store.get_many(["\ud800"]), store.get_many(["bob"]), return_exceptions=True
    )
    assert (outcomes[0], outcomes[2]) == ([None], [None])
    assert isinstance(outcomes[1], TypeError)


async def test_too_large_a_batch_is_a_mistake(store: SQLiteUserStore) -> None:
    with pytest.raises(ValueError, match="at most 1000 ids, not 1001"):
        await store.get_many(["alice"] * (MAX_BATCH + 1))


# Waiting


async def test_neither_the_loop_nor_a_read_waits_for_a_lock(store: SQLiteUserStore) -> None:
    await store.create_if_not_exists("alice", new_user())
    longest = 0.0
    with locked(store.path):
        write = asyncio.ensure_future(store.patch("alice", patch(name="Later")))
        until = time.monotonic() + 0.5
        while (start := time.monotonic()) < until:
            await asyncio.sleep(0.005)
            assert (await existing(store, "alice")).snapshot.name == "Alice"
            longest = max(longest, time.monotonic() - start)
        assert not write.done()
    assert (await write).after.snapshot.name == "Later"
    assert longest < 0.25


async def test_a_lock_that_stays_makes_the_store_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    store = SQLiteUserStore(path, RULES)
    await store.open()
    created = await store.create_if_not_exists("alice", new_user())
    with locked(path):
        writes = (store.patch("alice", patch(custom={str(n): ""})) for n in range(5))
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    assert {str(outcome) for outcome in outcomes} == {str(StoreUnavailable())}
    assert caplog.records
    assert {(record.name, record.levelno) for record in caplog.records} == {("userline.storage", logging.ERROR)}
    assert "database is locked" in caplog.text
    assert (await store.patch("alice", patch(name="Again"))).before == created.after
    await store.close()


async def test_patience_ends_and_what_had_not_begun_never_happens(
    store: SQLiteUserStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await store.create_if_not_exists("alice", new_user())
    monkeypatch.setattr(store_module, "PATIENCE_SECONDS", 0.1)
    with locked(store.path):
        begun = asyncio.ensure_future(store.patch("alice", patch(custom={"begun": ""})))
        await asyncio.sleep(0.05)
        queued = asyncio.ensure_future(store.patch("alice", patch(custom={"queued": ""})))
        for write in (begun, queued):
            with pytest.raises(StoreUnavailable):
                await write
    assert "has not answered for 0.1 s (userline-write)" in caplog.text
    monkeypatch.undo()
    after = (await store.patch("alice", patch(name="Again"))).after
    assert set(after.snapshot.custom) == {"begun"}


async def test_cancelling_a_write_that_has_begun_harms_no_other_of_its_group(path: Path) -> None:
    steps = threading.Semaphore(0)
    begun = 0

    def stepwise() -> int:
        nonlocal begun
        begun += 1
        assert steps.acquire(timeout=5)
        return 0

    store = SQLiteUserStore(path, RULES, stepwise)
    await store.open()
    first = asyncio.ensure_future(store.patch("alice", patch(name="Alice")))
    while begun < 1:
        await asyncio.sleep(0.001)
    group = [asyncio.ensure_future(store.patch("alice", patch(custom={str(n): ""}))) for n in range(3)]
    await asyncio.sleep(0)
    steps.release()
    while begun < 2:
        await asyncio.sleep(0.001)
    group[0].cancel()
    steps.release(3)
    versions = [(await write).after.snapshot.version for write in (first, group[1], group[2])]
    assert versions == [1, 3, 4]
    assert group[0].cancelled()
    await store.close()


async def test_cancelled_writes_that_had_not_begun_never_happen(store: SQLiteUserStore) -> None:
    await store.create_if_not_exists("alice", new_user())
    with locked(store.path):
        begun = asyncio.ensure_future(store.patch("alice", patch(custom={"begun": ""})))
        await asyncio.sleep(0.05)
        queued = [asyncio.ensure_future(store.patch("alice", patch(custom={str(n): ""}))) for n in range(4)]
        await asyncio.sleep(0)
        queued[0].cancel()
        queued[2].cancel()
    await asyncio.gather(begun, *queued, return_exceptions=True)
    assert set((await existing(store, "alice")).snapshot.custom) == {"begun", "1", "3"}


# Failing


async def test_a_full_database_makes_the_group_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_writer = database.open_writer

    def open_small(path: Path) -> sqlite3.Connection:
        connection = open_writer(path)
        connection.execute("PRAGMA max_page_count = 20")
        return connection

    monkeypatch.setattr(store_module, "open_writer", open_small)
    store = SQLiteUserStore(path, RULES)
    await store.open()
    created = await store.create_if_not_exists("alice", new_user())
    large = (store.patch(f"user {n}", patch(name="x", welcomeMessage="x" * 50_000)) for n in range(4))
    outcomes = await asyncio.gather(*large, return_exceptions=True)
    assert StoreUnavailable in {type(outcome) for outcome in outcomes}
    for number, outcome in enumerate(outcomes):
        assert (await get(store, f"user {number}") is None) == isinstance(outcome, StoreUnavailable)
    assert await get(store, "alice") == created.after
    assert (await store.patch("alice", patch(name="Still here"))).changed
    await store.close()


async def test_a_damaged_file_makes_reads_unavailable(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    ids = [f"user {number}" for number in range(300)]
    await asyncio.gather(*(store.create_if_not_exists(user_id, new_user()) for user_id in ids))
    await store.close()
    contents = path.read_bytes()
    path.write_bytes(contents[:4096] + b"\xff" * (len(contents) - 4096))
    await store.open()
    with pytest.raises(StoreUnavailable):
        await store.get_many(ids)
    with pytest.raises(StoreUnavailable):
        await store.patch("user 7", patch(name="x"))
    assert "malformed" in caplog.text
    await store.close()


# Coming and going


async def test_close_leaves_one_file_and_no_thread(path: Path) -> None:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    await store.create_if_not_exists("alice", new_user())
    assert sorted(own_threads()) == ["userline-read", "userline-write"]
    await asyncio.gather(store.close(), store.close())
    assert own_threads() == []
    assert [entry.name for entry in path.parent.iterdir()] == ["users.db"]


async def test_the_loop_does_not_wait_for_close(store: SQLiteUserStore) -> None:
    with locked(store.path):
        write = asyncio.ensure_future(store.patch("alice", patch(name="Alice")))
        await asyncio.sleep(0.01)
        start = time.monotonic()
        closes = [asyncio.ensure_future(store.close()) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert time.monotonic() - start < 1
        assert not any(close.done() for close in closes)
    await asyncio.gather(*closes)
    assert (await write).created


async def test_a_store_can_be_opened_again(path: Path) -> None:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    await store.open()
    created = await store.create_if_not_exists("alice", new_user())
    await store.close()
    await store.open()
    assert await get(store, "alice") == created.after
    await store.close()
    assert own_threads() == []


async def test_a_cancelled_open_leaves_no_thread(path: Path) -> None:
    for turns in range(4):
        opening = asyncio.ensure_future(SQLiteUserStore(path, RULES).open())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        give_up = time.monotonic() + 5
        while own_threads():
            assert time.monotonic() < give_up
            await asyncio.sleep(0.01)


async def test_a_reader_that_cannot_open_leaves_no_thread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> sqlite3.Connection:
        raise StoreUnavailable

    monkeypatch.setattr(store_module, "open_reader", fail)
    with pytest.raises(StoreUnavailable):
        await SQLiteUserStore(path, RULES).open()
    assert own_threads() == []
