"""A thousand watches, and ten thousand: what they cost on the wire, and how soon they are there."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from clients.conformance.proxy import proxy_to
from clients.python.tests.helpers import session_with
from tests.support.gateway import RunningGateway

from userline_client import Active

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with some of the users that are watched here."""
    running = RunningGateway(tmp_path_factory.mktemp("many"), "--no-access-log")
    for number in range(0, 1000, 100):
        running.set_user(_id(number), name=f"Name {number}")
    yield running
    assert running.stop() == 0, running.log


def _id(number: int) -> str:
    return f"user-{number:08}-0000-4000-8000-000000000000"


@pytest.mark.behaviour(6)
async def test_1000_in_one_turn_are_one_operation_and_active_within_a_second(users: RunningGateway) -> None:
    async with proxy_to(int(users.url.rpartition(":")[2])) as proxy, session_with(proxy.url) as session:
        started = time.monotonic()
        subscriptions = [session.user(_id(number)).subscribe() for number in range(1000)]
        await subscriptions[0].connected
        assert (proxy.up.frames, proxy.down.frames) == (2, 2), "connection_init and the operation, and their answers"
        assert proxy.up.bytes <= 60 * 1024
        await asyncio.gather(*(subscription.connected for subscription in subscriptions))
        assert time.monotonic() - started < 1
        assert all(isinstance(subscription.state, Active) for subscription in subscriptions)
        assert sum(subscription.latest_snapshot is not None for subscription in subscriptions) == 10
        assert proxy.accepted == 1


@pytest.mark.behaviour(6, 7)
async def test_10000_in_one_turn_are_active_within_5_seconds(users: RunningGateway) -> None:
    async with proxy_to(int(users.url.rpartition(":")[2])) as proxy, session_with(proxy.url) as session:
        started = time.monotonic()
        subscriptions = [session.user(_id(number)).subscribe() for number in range(10_000)]
        await asyncio.gather(*(subscription.connected for subscription in subscriptions))
        assert time.monotonic() - started < 5
        assert proxy.accepted == 2, "5,000 users are watched over a socket"
        assert proxy.up.frames == 12
        proxy.cut()
        for user_id in (_id(1), _id(9_999)):
            users.set_user(user_id, name="New")
        async with asyncio.timeout(5):
            for number in (1, 9_999):
                async for snapshot in subscriptions[number]:
                    if snapshot is not None and snapshot.name == "New":
                        break
