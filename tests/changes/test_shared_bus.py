"""The bus through real servers that are killed, frozen and restarted: each kind, by the same tests."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.changes.listening import Listener
from tests.changes.test_hub import snapshot
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.waiting import until
from userline.changes.bus import CHANGES

if TYPE_CHECKING:
    from tests.changes.conftest import Listen, SharedServer


Join: TypeAlias = Callable[[], Awaitable[Listener]]


@pytest.fixture
def join(shared: SharedServer, listen: Listen) -> Join:
    async def join() -> Listener:
        listener = listen(shared.url)
        await listener.start()
        return listener

    return join


async def test_every_gateway_hears_every_change(join: Join) -> None:
    listeners = await asyncio.gather(*(join() for _ in range(5)))
    for number, listener in enumerate(listeners):
        listener.bus.publish(snapshot(1, user_id=f"user {number}"))
    for listener in listeners:
        await listener.until_heard(5)
        assert {change.id for change in listener.heard} == {f"user {number}" for number in range(5)}
        assert listener.events == ["joined"]


async def test_a_large_message_arrives_whole(join: Join) -> None:
    listener = await join()
    for number in range(100):
        listener.bus.publish(snapshot(1, name="x" * 60_000, user_id=f"user {number}"))
    await until(lambda: len(listener.heard) == 100)
    assert {len(change.name) for change in listener.heard} == {60_000}
    assert listener.bus.gaps == 0


@pytest.mark.parametrize("seconds", [0.0, 1.0, 3.0])
async def test_after_a_kill_and_a_restart_everybody_hears_again(
    shared: SharedServer, join: Join, seconds: float
) -> None:
    first, second = await join(), await join()
    shared.kill()
    await until(lambda: not first.bus.connected and not second.bus.connected)
    await asyncio.sleep(seconds)
    shared.start()
    back = time.monotonic()
    await until(lambda: first.bus.connected and second.bus.connected)
    first.bus.publish(snapshot(1))
    await until(lambda: second.versions() == [1])
    assert time.monotonic() - back < 5
    for listener in (first, second):
        assert listener.events == ["joined", "lost", "joined"]


async def test_what_could_not_be_published_is_published_when_the_bus_is_back(shared: SharedServer, join: Join) -> None:
    publisher = await join()
    shared.kill()
    await until(lambda: not publisher.bus.connected)
    for version in (1, 2, 3):
        publisher.bus.publish(snapshot(version))
    await until(lambda: publisher.bus.publish_failures > 0)
    shared.start()
    await until(lambda: publisher.bus.published > 0 and publisher.bus.waiting == 0)
    assert publisher.bus.dropped == 0


async def test_clients_killed_fifty_times_are_never_deaf(shared: SharedServer, join: Join) -> None:
    listeners = [await join(), await join()]
    for version in range(1, 51):
        shared.kill_listeners()
        listeners[0].bus.publish(snapshot(version))
        await asyncio.sleep(0.02)
    await until(lambda: all(listener.bus.connected for listener in listeners))
    listeners[0].bus.publish(snapshot(51))
    for listener in listeners:
        await listener.until_version(51)
        assert listener.bus.gaps > 0
        assert listener.events[-1] == "joined"
        assert listener.events == ["joined"] + ["lost", "joined"] * (len(listener.events) // 2)


async def test_a_frozen_server_is_noticed_and_joined_again(shared: SharedServer, join: Join) -> None:
    listener = await join()
    shared.freeze()
    await until(lambda: not listener.bus.connected, 10)
    started = time.monotonic()
    listener.bus.publish(snapshot(1))
    assert time.monotonic() - started < 0.1, "publishing waits for nothing"
    await asyncio.sleep(2)
    shared.thaw()
    await until(lambda: listener.bus.connected and listener.bus.waiting == 0)
    assert listener.events == ["joined", "lost", "joined"], "what was published before it joined is read again"
    listener.bus.publish(snapshot(2))
    await listener.until_version(2)


async def test_nonsense_from_strangers_harms_nobody(shared: SharedServer, join: Join) -> None:
    listener = await join()
    channel = listener.bus.channel_of(CHANGES)
    change = '{"app": "userline", "body": [{"version": 1, "user": null}]}'
    for nonsense in ("", "{", "[5]", "\udcff", change):
        await listener.bus._broadcast.publish(channel, nonsense.encode(errors="surrogateescape"))
    if isinstance(shared, RedisServer):
        shared.command("PUBLISH", "another channel", "x")
    else:
        shared.command("SELECT pg_notify('another channel', 'x')", f"SELECT pg_notify('{channel}', 'x')")
    listener.bus.publish(snapshot(1))
    await until(lambda: listener.versions() == [1])
    assert listener.bus.nonsense == (5 if isinstance(shared, RedisServer) else 6)
    assert listener.bus.gaps == 0


async def test_a_bus_that_is_away_at_the_start_is_joined_when_it_comes(shared: SharedServer) -> None:
    shared.kill()
    listener = Listener(shared.url)
    await listener.start()
    assert not listener.bus.connected
    assert listener.events == ["lost"]
    shared.start()
    await until(lambda: listener.bus.connected)
    assert listener.events == ["lost", "joined"]
    await listener.bus.stop()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}", "postgres://u:p@127.0.0.1:{}/d"])
async def test_stopping_while_the_bus_is_away_takes_no_longer_than_it_says(url: str) -> None:
    listener = Listener(url.format(free_port()))
    await listener.start()
    listener.bus.publish(snapshot(1))
    started = time.monotonic()
    await listener.bus.stop()
    assert time.monotonic() - started < 5
    assert listener.bus.waiting == 1


async def test_it_can_be_stopped_at_any_moment(join: Join, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is raised or logged, and nothing is left open (or the collector would complain)."""
    for number in range(25):
        listeners = await asyncio.gather(*(join() for _ in range(4)))
        for listener in listeners:
            listener.bus.publish(snapshot(number + 1))
            await asyncio.sleep(random.choice([0, 0, 0.001, 0.02, 0.2]))
        caplog.clear()
        await asyncio.gather(*(listener.bus.stop() for listener in listeners))
        assert caplog.messages == []


async def test_two_hundred_publishers_at_once_lose_nothing(join: Join) -> None:
    publisher, listener = await join(), await join()
    for number in range(2000):
        publisher.bus.publish(snapshot(1, user_id=f"user {number}"))
    await until(lambda: len({change.id for change in listener.heard}) == 2000)
    assert publisher.bus.published == 2000
    assert listener.bus.heard == 2000
