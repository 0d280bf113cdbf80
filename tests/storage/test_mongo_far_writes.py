"""Writes to a database that is far away: how many commands they make. Counted, not timed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.storage.contract.base import patch
from tests.storage.far_database import Held, connection_of, opened
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.mongo_wire import WireProxy
    from tests.support.mongodb import MongoServer
    from userline.storage.mongo import MongoUserStore
    from userline.storage.mongo.driver import DriverName


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for an answer to what is under way does so for as long as that takes."""
    monkeypatch.setattr("userline.storage.batch_scheduler._PATIENCE_SECONDS", 60)


@asynccontextmanager
async def held_up(
    nx: MongoServer, driver: DriverName, users: list[str]
) -> AsyncIterator[tuple[MongoUserStore, WireProxy, Held]]:
    """Give a store of these users, who are known to it, with writes that are held back."""
    async with opened(nx, driver, away=0.02) as (store, proxy):
        for first in range(0, len(users), 100):
            await store.patch_many({user: patch(name="Before") for user in users[first : first + 100]})
        held = Held("update")
        proxy.players.append(held)
        proxy.commands.clear()
        yield store, proxy, held


async def in_turns(store: MongoUserStore, users: list[str]) -> list[asyncio.Future[bool]]:
    """Begin to write each of the users in a turn of the event loop of its own."""

    async def write(user: str) -> bool:
        return (await store.patch(user, patch(name="After"))).changed

    begun: list[asyncio.Future[bool]] = []
    for user in users:
        begun.append(asyncio.ensure_future(write(user)))
        for _ in range(5):
            await asyncio.sleep(0)
    return begun


def sizes_of(proxy: WireProxy) -> list[int]:
    """Return how many writes each command had; there must have been nothing else."""
    commands = [message for message in proxy.commands if message.namespace.endswith(".users")]
    assert {message.command for message in commands} == {"update"}, "who is known is not read"
    return [len(message.documents("updates")) for message in commands]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("count", [1, 2, 40, 200])
async def test_writes_that_come_one_by_one_share_commands_on_a_long_way(
    nx: MongoServer, driver: DriverName, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """With all the time of the world between two commands, there is one while the first is under way."""
    monkeypatch.setattr("userline.storage.mongo.connection.writes_apart_for", lambda _: 60.0)
    users = [f"user {number}" for number in range(count + 1)]
    async with held_up(nx, driver, users) as (store, proxy, held):
        (first,) = await in_turns(store, users[:1])
        await until(lambda: len(held) == 1)
        others = await in_turns(store, users[1:])
        assert len(held) == 1
        held.release()
        assert await first
        while not all(other.done() for other in others):
            if len(held):
                held.release()
            await asyncio.sleep(0.01)
        assert all([await other for other in others])
        groups = [64] * (count // 64) + [count % 64] * (count % 64 > 0)
        first_size, *sizes = sizes_of(proxy)
        # Those that set out together have a connection each, and arrive in any order.
        assert (first_size, sorted(sizes, reverse=True)) == (1, groups)


@pytest.mark.usefixtures("patient")
async def test_as_many_commands_of_writes_are_under_way_as_the_way_is_long(nx: MongoServer, driver: DriverName) -> None:
    users = [f"user {number}" for number in range(60)]
    async with held_up(nx, driver, users) as (store, proxy, held):
        most = connection_of(store).most_batches
        assert most > 2
        begun: list[asyncio.Future[bool]] = []
        for number in range(most):
            begun += await in_turns(store, [users[number]])
            await until(lambda number=number: len(held) == number + 1)  # type: ignore[misc]
        begun += await in_turns(store, users[most:])
        await asyncio.sleep(0.1)
        assert len(held) == held.most == most, "the others wait for an answer, and not for longer"
        while len(held):
            held.release()
            await asyncio.sleep(0.1)
        assert all([await each for each in begun])
        assert sizes_of(proxy) == [1] * most + [len(users) - most]
