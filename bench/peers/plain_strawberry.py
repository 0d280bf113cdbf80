"""Strawberry as it comes: its ASGI application with the gateway's own schema, and plain resolvers.

With ``caches`` it has Strawberry's optional caches of parsed and validated documents. Each subscription has a queue.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from userline.resolvers.context import AppInfo
from userline.schema.sdl import make_schema
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from bench.peers.stores import Store
    from userline.users.record import UserSnapshot
    from userline.users.viewer import Viewer

    Queues = dict[str, set[asyncio.Queue[UserSnapshot]]]


@dataclass(frozen=True, slots=True)
class _Written:
    created: bool = False
    changed: bool = True


class PlainUsers:
    """What the schema's resolvers call."""

    def __init__(self, store: Store, queues: Queues) -> None:
        self._store = store
        self._reader = store.reader()
        self._queues = queues

    async def get(self, user_id: str) -> UserSnapshot | None:
        return await self._reader.load(user_id)

    async def get_many(self, user_ids: Sequence[str]) -> list[UserSnapshot | None]:
        return list(await self._reader.load_many(user_ids))

    async def set(self, user_id: str, given: Mapping[str, Any], *, viewer: Viewer) -> tuple[UserSnapshot, _Written]:
        assert viewer is OPEN_VIEWER
        snapshot = await self._store.write(user_id, given)
        for queue in self._queues.get(user_id, ()):
            queue.put_nowait(snapshot)
        return snapshot, _Written()

    async def watch(self, user_id: str) -> AsyncGenerator[UserSnapshot | None, None]:
        queue: asyncio.Queue[UserSnapshot] = asyncio.Queue()
        queues = self._queues.setdefault(user_id, set())
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
    viewer: Viewer = OPEN_VIEWER
    request_id: str = ""


class PlainGraphQL(GraphQL[PlainContext, None]):
    """Strawberry's ASGI application, given its context."""

    def __init__(self, store: Store, *, caches: bool) -> None:
        schema = make_schema()
        if caches:
            schema.extensions = (*schema.extensions, ParserCache, ValidationCache)
        super().__init__(schema)
        self._store = store
        self._queues: Queues = {}
        self._app = AppInfo("bench", "en")

    async def get_context(
        self,
        request: Request | WebSocket,  # noqa: ARG002 - Strawberry's signature
        response: Response | WebSocket,  # noqa: ARG002
    ) -> PlainContext:
        return PlainContext(PlainUsers(self._store, self._queues), self._app)
