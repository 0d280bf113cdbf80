"""A store behind a port that delays commands, or holds them back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import TYPE_CHECKING

from tests.storage.contract.base import RULES
from tests.support.mongo_wire import Delay, Message, WireProxy
from tests.support.mongodb import MongoServer, new_database
from userline.storage.mongo import MongoUserStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.mongo_wire.proxy import Forward
    from userline.storage.mongo.connection import Connection
    from userline.storage.mongo.driver import DriverName

PATIENT = {"retryWrites": "false", "timeoutMS": 20_000}


class Held:
    """Holds commands of a name back until it is told to let one of them take effect: the one of the first user."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.most = 0

    async def play(self, message: Message, forward: Forward) -> Message | None:
        if message.command != self._name or not message.namespace.endswith(".users"):
            return None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_first_user(message), turn))
        self.most = max(self.most, len(self._waiting))
        await turn
        return await forward(message)

    def __len__(self) -> int:
        return len(self._waiting)

    def release(self) -> None:
        self._waiting.sort(key=itemgetter(0))
        self._waiting.pop(0)[1].set_result(None)


def _first_user(message: Message) -> int:
    """Return the number of the first user that a command writes."""
    ids = [update["q"]["_id"] for update in message.documents("updates")]
    return int(ids[0].rpartition(" ")[2]) if ids else 0


@asynccontextmanager
async def opened(
    server: MongoServer, driver: DriverName, away: float = 0, **options: object
) -> AsyncIterator[tuple[MongoUserStore, WireProxy]]:
    async with await WireProxy.open(server.port) as proxy:
        if away:
            proxy.rule(Delay(away), times=None)
        store = MongoUserStore(proxy.url(new_database(), **{**PATIENT, **options}), RULES, driver)
        await store.open()
        try:
            yield store, proxy
        finally:
            await store.close()


def connection_of(store: MongoUserStore) -> Connection:
    assert store._connection is not None
    return store._connection
