"""Documents that are BSON no more, or hold what Python cannot say: each is a matter of its user alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

from tests.storage.contract.base import RULES, new_user, patch
from tests.support.mongo_wire import Rewrite, WireProxy
from tests.support.mongodb import MongoServer, new_database
from userline.storage.mongo import MongoUserStore
from userline.storage.protocol import StoreFormatError, WriteResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from userline.storage.mongo.driver import DriverName

USERS = [f"user {number}" for number in range(40)]


@asynccontextmanager
async def with_broken(
    nx: MongoServer, driver: DriverName, broken: set[str]
) -> AsyncIterator[tuple[MongoUserStore, WireProxy]]:
    """Open a store of ``USERS``, whose server shows some of them with a name that is not UTF-8."""

    def break_some(answer: dict[str, Any]) -> dict[str, Any]:
        batch = answer["cursor"]["firstBatch"]
        answer["cursor"]["firstBatch"] = [
            RawBSONDocument(bson.encode({**document, "name": "XXXX"}).replace(b"XXXX", b"\xff\xfe\xfd\xfc"))
            if document["_id"] in broken
            else document
            for document in batch
        ]
        return answer

    async with await WireProxy.open(nx.port) as proxy:
        store = MongoUserStore(proxy.url(new_database(), retryWrites="false", timeoutMS=10_000), RULES, driver)
        await store.open()
        await asyncio.gather(*(store.create_if_not_exists(user, new_user(name=user)) for user in USERS))
        proxy.rule(Rewrite(break_some), "find", times=None)
        try:
            yield store, proxy
        finally:
            await store.close()


@pytest.mark.parametrize("numbers", [(), (0,), (39,), (7, 8), (0, 19, 39), tuple(range(40))])
async def test_who_cannot_be_read_is_missing_and_the_others_are_there(
    nx: MongoServer, driver: DriverName, numbers: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    broken = {USERS[number] for number in numbers}
    async with with_broken(nx, driver, broken) as (store, proxy):
        proxy.commands.clear()
        found = await store.get_many([*USERS, "nobody"])
        assert [record.snapshot.id if record else None for record in found] == [
            *(None if user in broken else user for user in USERS),
            None,
        ]
        logged = {user for user in USERS if f"The document {user!r} is not a user" in caplog.text}
        assert logged == broken
        assert len(proxy.commands) <= 1 + 2 * 6 * len(broken) + 2


async def test_who_cannot_be_read_is_not_written_and_the_others_are(nx: MongoServer, driver: DriverName) -> None:
    broken = {USERS[3], USERS[20]}
    async with with_broken(nx, driver, broken) as (store, _):
        store._writing.guesses.clear()
        outcomes = await asyncio.gather(
            *(store.patch(user, patch(locale="en")) for user in USERS), return_exceptions=True
        )
        for user, outcome in zip(USERS, outcomes, strict=True):
            assert isinstance(outcome, StoreFormatError if user in broken else WriteResult)


async def test_times_past_pythons_are_no_fault(nx: MongoServer, driver: DriverName) -> None:
    def add_times(answer: dict[str, Any]) -> dict[str, Any]:
        times = (-(2**62), -(2**40), 0, 2**50, 2**62)
        for number, document in enumerate(answer["cursor"]["firstBatch"]):
            document["seen"] = DatetimeMS(times[number % len(times)])
        return answer

    async with with_broken(nx, driver, set()) as (store, proxy):
        proxy.rules[:] = []
        proxy.rule(Rewrite(add_times), "find", times=None)
        assert all(await store.get_many(USERS))
        assert len(await store.list_users(limit=100, after=None)) == len(USERS)
        assert [len(page) async for page in store.walk(after=None)] == [len(USERS)]
