"""The bus through a Redis that refuses some of what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.changes.listening import Listener
from tests.changes.test_hub import snapshot

if TYPE_CHECKING:
    from tests.changes.conftest import Listen
    from tests.support.redis import RedisServer


Join: TypeAlias = Callable[[], Awaitable[Listener]]


@pytest.fixture
def join(server: RedisServer, listen: Listen) -> Join:
    async def join() -> Listener:
        listener = listen(server.url)
        await listener.start()
        return listener

    return join


async def test_a_redis_that_refuses_pings_is_heard_all_the_same(server: RedisServer, join: Join) -> None:
    server.break_saving()
    listener = await join()
    await asyncio.sleep(4)
    listener.bus.publish(snapshot(1))
    await listener.until_version(1)
    assert listener.events == ["joined"]


async def test_why_the_bus_cannot_be_joined_is_logged_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.command("CONFIG", "SET", "requirepass", "hunter2")
    listener = Listener(server.url.replace("//", "//:hunter3@"))
    await listener.start()
    assert not listener.bus.connected
    (reason,) = [line for line in caplog.messages if "cannot connect to the bus" in line]
    assert "invalid username-password pair" in reason
    assert "hunter" not in caplog.text
    await listener.bus.stop()
