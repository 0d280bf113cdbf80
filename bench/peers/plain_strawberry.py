"""Strawberry as it comes: its ASGI application with the gateway's own schema, and plain resolvers.

Reads go through a DataLoader per request to the gateway's SQLite store. Writes are one UPDATE and one commit each, as
durable as the gateway's, on one thread with one connection, and check nothing. Each subscription has a queue.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader

from userline.resolvers.context import AppInfo
from userline.schema.sdl import make_schema
from userline.storage.protocol import MAX_BATCH
from userline.storage.sqlite import SQLiteUserStore
from userline.users.record import UserSnapshot
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

_COLUMNS: Final = {
    "name": "name",
    "locale": "locale",
    "photoUrl": "photo_url",
    "role": "role",
    "welcomeMessage": "welcome_message",
}
_RETURNED: Final = "id, version, name, custom, locale, photo_url, role, welcome_message"


class PlainGateway:
    """What all requests share: the store, the writing thread, the queues of those who watch."""

    def __init__(self, database: Path) -> None:
        self._store = SQLiteUserStore(database, Rules())
        self._writer = ThreadPoolExecutor(1)
        self._database = database
        self.queues: dict[str, set[asyncio.Queue[UserSnapshot]]] = {}

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

    async def read(self, ids: list[str]) -> list[UserSnapshot | None]:
        """Return users, for a DataLoader."""
        return [record.snapshot if record else None for record in await self._store.get_many(ids)]

    async def write(self, user_id: str, given: Mapping[str, Any]) -> UserSnapshot:
        """Set columns of a user who exists, and tell everybody who watches it."""
        loop = asyncio.get_running_loop()
        snapshot = await loop.run_in_executor(self._writer, self._update, user_id, given)
        for queue in self.queues.get(user_id, ()):
            queue.put_nowait(snapshot)
        return snapshot

    def _update(self, user_id: str, given: Mapping[str, Any]) -> UserSnapshot:
        assignments = ", ".join(f"{_COLUMNS[name]} = ?" for name in given)
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


@dataclass(frozen=True, slots=True)
class _Written:
    created: bool = False
    changed: bool = True


class PlainUsers:
    """What the schema's resolvers call."""

    def __init__(self, gateway: PlainGateway) -> None:
        self._gateway = gateway
        self._loader = DataLoader(load_fn=gateway.read, max_batch_size=MAX_BATCH)

    async def get(self, user_id: str) -> UserSnapshot | None:
        return await self._loader.load(user_id)

    async def get_many(self, user_ids: Sequence[str]) -> list[UserSnapshot | None]:
        return list(await self._loader.load_many(user_ids))

    async def set(self, user_id: str, given: Mapping[str, Any]) -> tuple[UserSnapshot, _Written]:
        return await self._gateway.write(user_id, given), _Written()

    async def watch(self, user_id: str) -> AsyncGenerator[UserSnapshot | None, None]:
        queue: asyncio.Queue[UserSnapshot] = asyncio.Queue()
        queues = self._gateway.queues.setdefault(user_id, set())
        queues.add(queue)
        try:
            yield await self.get(user_id)
            while True:
                yield await queue.get()
        finally:
            queues.remove(queue)


@dataclass(frozen=True, slots=True)
class PlainContext:
    """The context of one request, or of one socket."""

    users: PlainUsers
    app: AppInfo


class PlainGraphQL(GraphQL[PlainContext, None]):
    """Strawberry's ASGI application, given its context."""

    def __init__(self, gateway: PlainGateway) -> None:
        super().__init__(make_schema())
        self._gateway = gateway
        self._app = AppInfo("bench", "en")

    async def get_context(
        self,
        request: Request | WebSocket,  # noqa: ARG002 - Strawberry's signature
        response: Response | WebSocket,  # noqa: ARG002
    ) -> PlainContext:
        return PlainContext(PlainUsers(self._gateway), self._app)
