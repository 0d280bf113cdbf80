"""Columns that another version of userline has added, and how this one adds its own: nobody's writes lose them."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.storage.contract.base import RULES, Clock, existing, new_user, patch
from tests.storage.records import record_of
from userline.storage.sqlite import SQLiteUserStore, database
from userline.storage.sqlite.database import FORMAT, open_existing, open_writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NEWER = (
    "ALTER TABLE users ADD COLUMN mood_of_newer TEXT",
    "CREATE TABLE IF NOT EXISTS added (id TEXT NOT NULL PRIMARY KEY) STRICT",  # it is there if this userline adds one
    "ALTER TABLE added ADD COLUMN zodiac_of_newer TEXT",
    "UPDATE users SET mood_of_newer = 'good ' || id",
    (
        "INSERT INTO added (id, zodiac_of_newer) SELECT id, 'sign of ' || id FROM users WHERE true "
        "ON CONFLICT (id) DO UPDATE SET zodiac_of_newer = excluded.zodiac_of_newer"
    ),
)
"""What a newer userline might do to a file. No field of ours will ever have these names."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteUserStore]:
    store = SQLiteUserStore(path, RULES, Clock())
    await store.open()
    yield store
    await store.close()


def execute(path: Path, *statements: str) -> list[Any]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


@pytest.mark.parametrize("count", [1, 3, 40, 300])
@pytest.mark.parametrize("how", ["patch", "patch_many", "put_many"])
async def test_what_a_newer_userline_keeps_stays(store: SQLiteUserStore, path: Path, how: str, count: int) -> None:
    ids = [f"{number:03}" for number in range(count)]
    await store.put_many([record_of(user_id) for user_id in ids], overwrite=True)
    execute(path, *NEWER)
    if how == "put_many":
        await store.put_many([record_of(user_id, name="Bob") for user_id in ids], overwrite=True)
    elif how == "patch_many":
        for start in range(0, count, 100):
            await store.patch_many({user_id: patch(name="Bob") for user_id in ids[start : start + 100]})
    else:
        for user_id in ids[:5]:
            await store.patch(user_id, patch(name="Bob"))
    written = ids[:5] if how == "patch" else ids
    assert [(await existing(store, user_id)).snapshot.name for user_id in written] == ["Bob"] * len(written)
    rows = execute(path, "SELECT id, mood_of_newer, zodiac_of_newer FROM users JOIN added USING (id) ORDER BY id")
    assert rows == [(user_id, f"good {user_id}", f"sign of {user_id}") for user_id in ids]


async def test_a_new_user_has_nothing_of_a_newer_userline(store: SQLiteUserStore, path: Path) -> None:
    execute(path, *NEWER)
    await store.create_if_not_exists("alice", new_user())
    assert execute(path, "SELECT mood_of_newer FROM users") == [(None,)]
    assert execute(path, "SELECT count(zodiac_of_newer) FROM added") == [(0,)]


@pytest.fixture
def two_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ADDED_COLUMNS", {"pronouns": "TEXT", "moods": "TEXT"})


def columns(path: Path) -> list[str]:
    return [name for (name,) in execute(path, "SELECT name FROM pragma_table_info('added')")]


@pytest.fixture
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ADDED_COLUMNS", {})


@pytest.mark.usefixtures("no_columns")
def test_no_column_is_added_where_there_is_none_to_add(path: Path) -> None:
    open_writer(path).close()
    assert columns(path) == []
    assert execute(path, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'trigger')") == [("users",)]


@pytest.mark.usefixtures("no_columns")
@pytest.mark.parametrize("opened", [open_writer, open_existing])
def test_columns_are_added_to_what_is_there_once(path: Path, monkeypatch: pytest.MonkeyPatch, opened: Any) -> None:
    open_writer(path).close()
    for number, added in enumerate(({"pronouns": "TEXT"}, {"pronouns": "TEXT", "moods": "TEXT"}, {"moods": "TEXT"})):
        monkeypatch.setattr(database, "ADDED_COLUMNS", added)
        for _ in range(2):
            opened(path).close()
        assert columns(path) == ["id", "pronouns", "moods"][: 2 + min(number, 1)]
    # An older userline, which knows of none of this, takes the file for one of its own.
    assert execute(path, "PRAGMA user_version") == [(FORMAT,)] == [(1,)]


@pytest.mark.usefixtures("two_columns")
def test_gateways_that_start_together_add_them_together(path: Path) -> None:
    failures = []

    def start() -> None:
        try:
            open_writer(path).close()
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert columns(path) == ["id", "pronouns", "moods"]


@pytest.mark.usefixtures("two_columns")
def test_what_was_added_ends_with_the_user_and_not_with_a_row_that_is_replaced(path: Path) -> None:
    open_writer(path).close()
    row = "VALUES ('a', 1, 'A', NULL, NULL, 'default', NULL, '{}', '[]', '[]', '[]', 1, 1)"
    execute(path, f"INSERT INTO users {row}", "INSERT INTO added VALUES ('a', 'x', NULL)")
    execute(path, f"INSERT OR REPLACE INTO users {row}")  # as the first versions write
    assert execute(path, "SELECT pronouns FROM added") == [("x",)]
    execute(path, "DELETE FROM users WHERE id = 'a'")  # by whatever program
    assert execute(path, "SELECT * FROM added") == []
