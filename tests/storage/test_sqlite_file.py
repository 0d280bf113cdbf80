"""The file: what is in it, who else may have it open, and which files are refused."""

import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.contract.base import RULES, Clock, new_user, patch
from tests.storage.sqlite_helpers import locked, own_threads
from userline.storage.protocol import StoreFormatError
from userline.storage.sqlite import SQLiteUserStore, database
from userline.users.errors import StoreUnavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteUserStore]:
    store = SQLiteUserStore(path, RULES)
    await store.open()
    yield store
    await store.close()


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_both_connections_are_durable_and_patient(path: Path) -> None:
    with closing(database.open_writer(path)) as writer, closing(database.open_reader(path)) as reader:
        for connection in (writer, reader):
            assert pragma(connection, "journal_mode") == "wal"
            assert pragma(connection, "synchronous") == 2  # FULL
            assert pragma(connection, "fullfsync") == 1
            assert pragma(connection, "busy_timeout") == 5000
            assert pragma(connection, "application_id") == int.from_bytes(b"usln")
            assert pragma(connection, "user_version") == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM users")


async def test_columns_can_be_read_by_other_tools(store: SQLiteUserStore, path: Path) -> None:
    given = {"custom": {"a.b": "é"}, "email": "a@example.com", "pushTokens": {"fcm:b": True, "apns:a": True}}
    created = await store.create_if_not_exists("alice", new_user(**given))
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        (row,) = map(dict, connection.execute("SELECT * FROM users"))
    assert row.pop("created_at") == row.pop("updated_at")
    assert row == {
        "id": "alice",
        "version": created.after.snapshot.version,
        "name": "Alice",
        "locale": None,
        "photo_url": None,
        "role": "default",
        "welcome_message": None,
        "custom": '{"a.b":"é"}',
        "email": '["a@example.com"]',
        "phone": "[]",
        "push_tokens": '["apns:a","fcm:b"]',
    }


async def test_times_are_unix_milliseconds(store: SQLiteUserStore) -> None:
    before = time.time() * 1000
    created = await store.create_if_not_exists("alice", new_user())
    assert before - 1 <= created.after.created_at <= time.time() * 1000


async def test_an_empty_file_is_taken(path: Path) -> None:
    path.touch()
    store = SQLiteUserStore(path, RULES)
    await store.open()
    await store.close()


@pytest.mark.parametrize("name", ["a b?c#d%20é.db", ":memory:", "file:x?mode=memory"])
async def test_any_file_name_is_just_a_name(tmp_path: Path, name: str) -> None:
    store = SQLiteUserStore(tmp_path / name, RULES)
    await store.open()
    await store.close()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_new_file_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    def open_and_close(path: Path) -> None:
        together.wait()
        database.open_writer(path).close()

    together = threading.Barrier(8)
    with ThreadPoolExecutor(8) as threads:
        for number in range(10):
            list(threads.map(open_and_close, [tmp_path / f"{number}.db"] * 8))


def test_a_new_file_that_another_process_has_locked_is_waited_for(path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        with locked(path):
            opening = threads.submit(lambda: database.open_writer(path).close())
            time.sleep(0.1)
            assert not opening.done()
        opening.result()


async def check_refused(path: Path, kind: type[Exception], says: str) -> None:
    """Check that the file is refused in words that name it, again and again, and is left as it was."""
    contents = path.read_bytes() if path.is_file() else None
    for _ in range(2):
        store = SQLiteUserStore(path, RULES)
        with pytest.raises(kind, match=says) as caught:
            await store.open()
        assert str(path) in str(caught.value)
        assert own_threads() == []
    assert (path.read_bytes() if path.is_file() else None) == contents


async def test_a_newer_format_is_refused(path: Path) -> None:
    database.open_writer(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    await check_refused(path, StoreFormatError, "newer userline: it has format 2.*Use that newer userline")


@pytest.mark.parametrize("contents", [b"hi", b"hello world\n" * 1000], ids=["2 bytes", "12 kB"])
async def test_a_file_that_is_no_database_is_refused(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)
    await check_refused(path, StoreFormatError, "file is not a database. Name another file")


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE users (id)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"]
)
async def test_the_database_of_another_program_is_refused(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    await check_refused(path, StoreFormatError, "of another program, and is not changed. Name another file")


async def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    await check_refused(tmp_path / "no" / "users.db", StoreUnavailable, "no directory .*/no. Create the directory")


async def test_a_directory_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    await check_refused(path, StoreUnavailable, "unable to open database file. Check that the user who runs")


async def test_a_locked_file_is_refused_after_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    database.open_writer(path).close()
    with locked(path):
        await check_refused(path, StoreUnavailable, "locked. Another program keeps the file locked")


async def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    with pytest.raises(StoreUnavailable, match=r"needs 3\.38\.0 or newer"):
        await SQLiteUserStore(path, RULES).open()
    assert not path.exists()


async def test_a_file_system_without_write_ahead_log_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An in-memory database answers "memory" when asked for WAL.
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda _, **options: connect(":memory:", **{**options, "uri": False}))
    await check_refused(path, StoreUnavailable, "cannot keep a write-ahead log. Name a file on a local disk")


async def test_small_versions_of_older_files_go_on_from_the_clock(path: Path) -> None:
    clock = Clock()
    store = SQLiteUserStore(path, RULES, clock)
    await store.open()
    for user_id in ("alice", "bob"):
        await store.create_if_not_exists(user_id, new_user())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE users SET version = 3")
    clock.now += 1
    changed = await store.patch("alice", patch(locale="en"))
    assert changed.before is not None
    assert (changed.before.snapshot.version, changed.after.snapshot.version) == (3, clock.now)
    assert not (await store.patch("bob", patch(name="Alice"))).changed
    assert [each and each.snapshot.version for each in await store.get_many(["alice", "bob"])] == [clock.now, 3]
    await store.close()
