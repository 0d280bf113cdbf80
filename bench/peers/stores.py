"""The users of the peers in Python: in memory, or in the gateway's SQLite store behind a DataLoader."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import orjson
from strawberry.dataloader import DataLoader

from userline.storage.protocol import MAX_BATCH
from userline.storage.sqlite import SQLiteUserStore
from userline.users.record import UserSnapshot
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence
    from types import TracebackType

COLUMNS: Final = {
    "name": "name",
    "locale": "locale",
    "photoUrl": "photo_url",
    "role": "role",
    "welcomeMessage": "welcome_message",
}
_RETURNED: Final = "id, version, name, custom, locale, photo_url, role, welcome_message"


class Reader(Protocol):
    """Reads users for one operation."""

    def load(self, user_id: str, /) -> Awaitable[UserSnapshot | None]: ...

    def load_many(self, user_ids: Sequence[str], /) -> Awaitable[Sequence[UserSnapshot | None]]: ...


class Store(Protocol):
    """What all operations share."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def reader(self) -> Reader: ...

    async def write(self, user_id: str, given: Mapping[str, Any]) -> UserSnapshot:
        """Set columns of a user who exists."""


def open_store(url: str) -> Store:
    """Return the store, to be entered."""
    if url.startswith("memory:"):
        return MemoryStore(Path(url.removeprefix("memory:")))
    return SQLiteStore(Path(url.removeprefix("sqlite:///")))


class MemoryStore:
    """A dict. It is its own reader."""

    def __init__(self, file: Path) -> None:
        self._users: dict[str, UserSnapshot] = {}
        for user in orjson.loads(file.read_bytes()):
            columns = {column: user[name] for name, column in COLUMNS.items()}
            self._users[user["id"]] = UserSnapshot(id=user["id"], version=1, custom=user["custom"], **columns)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def reader(self) -> Reader:
        return self

    async def load(self, user_id: str) -> UserSnapshot | None:
        return self._users.get(user_id)

    async def load_many(self, user_ids: Sequence[str]) -> list[UserSnapshot | None]:
        return [self._users.get(user_id) for user_id in user_ids]

    async def write(self, user_id: str, given: Mapping[str, Any]) -> UserSnapshot:
        before = self._users[user_id]
        columns = {COLUMNS[name]: value for name, value in given.items()}
        after = self._users[user_id] = replace(before, version=before.version + 1, **columns)
        return after


class SQLiteStore:
    """Reads through a DataLoader for each operation, and writes without checking anything.

    A write is one UPDATE and one commit, as durable as the gateway's, on one thread with one connection.
    """

    def __init__(self, database: Path) -> None:
        self._store = SQLiteUserStore(database, Rules())
        self._writer = ThreadPoolExecutor(1)
        self._database = database

    async def __aenter__(self) -> Self:
        await self._store.open()
        self._connection = sqlite3.connect(self._database, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.shutdown()
        self._connection.close()
        await self._store.close()

    def reader(self) -> Reader:
        return DataLoader(load_fn=self._read, max_batch_size=MAX_BATCH)

    async def write(self, user_id: str, given: Mapping[str, Any]) -> UserSnapshot:
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._update, user_id, given)

    async def _read(self, ids: list[str]) -> list[UserSnapshot | None]:
        return [record.snapshot if record else None for record in await self._store.get_many(ids)]

    def _update(self, user_id: str, given: Mapping[str, Any]) -> UserSnapshot:
        assignments = ", ".join(f"{COLUMNS[name]} = ?" for name in given)
        with self._connection:
            row = self._connection.execute(
                f"UPDATE users SET {assignments}, version = version + 1 WHERE id = ? RETURNING {_RETURNED}",
                (*given.values(), user_id),
            ).fetchone()
        found, version, name, custom, locale, photo_url, role, welcome_message = row
        return UserSnapshot(
            id=found,
            version=version,
            name=name,
            custom=json.loads(custom),
            locale=locale,
            photo_url=photo_url,
            role=role,
            welcome_message=welcome_message,
        )
