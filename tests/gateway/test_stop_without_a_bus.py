"""A gateway that is stopped while its bus says nothing: what was written there is told to the others before it ends."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.detour import Detour
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNPUBLISHED = "users: the bus did not accept them"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.remove()


_started: list[RunningGateway] = []


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """End what a test that failed has left."""
    yield
    while _started:
        _started.pop().kill()


async def _gateway(directory: Path, port: int, *flags: str) -> RunningGateway:
    given = ("--bus-url", f"redis://127.0.0.1:{port}", "--reread-seconds", "300", *flags)
    gateway = await asyncio.to_thread(RunningGateway, directory, *given)
    _started.append(gateway)
    return gateway


async def test_what_waits_is_published_when_the_bus_answers_again(tmp_path: Path, redis: RedisServer) -> None:
    way = await Detour.open(redis.port)
    stopped, other = await asyncio.gather(_gateway(tmp_path, way.port), _gateway(tmp_path, redis.port))
    watching = await Watching.start(other.websocket_url, ["alice", "bob"])
    await until(lambda: watching.seen["alice"] and watching.seen["bob"])
    way.hold()
    for user_id, name in (("alice", "Alice"), ("bob", "Bob"), ("alice", "Alice A.")):
        await asyncio.to_thread(stopped.set_user, user_id, name=name)
    stopped.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(4)
    assert watching.last("alice") is None
    way.release()
    assert await asyncio.to_thread(stopped.stop) == 0
    await until(lambda: (watching.last("alice"), watching.last("bob")) == ("Alice A.", "Bob"))
    assert _UNPUBLISHED not in stopped.log
    assert "requests under way may take" in stopped.log
    await watching.stop()
    assert await asyncio.to_thread(other.stop) == 0
    await way.close()


async def test_a_connection_that_is_lost_without_a_word_is_made_anew(tmp_path: Path, redis: RedisServer) -> None:
    """As a firewall does that has forgotten it; the bus itself has been there all the time."""
    way = await Detour.open(redis.port)
    stopped, other = await asyncio.gather(_gateway(tmp_path, way.port), _gateway(tmp_path, redis.port))
    watching = await Watching.start(other.websocket_url, ["alice"])
    await until(lambda: watching.seen["alice"])
    way.lose()
    await asyncio.to_thread(stopped.set_user, "alice", name="Alice")
    assert await asyncio.to_thread(stopped.stop) == 0
    await until(lambda: watching.last("alice") == "Alice")
    assert _UNPUBLISHED not in stopped.log
    await watching.stop()
    assert await asyncio.to_thread(other.stop) == 0
    await way.close()


async def test_a_redis_that_is_frozen_is_waited_for_until_somebody_gives_up(tmp_path: Path, redis: RedisServer) -> None:
    directories = [tmp_path / name for name in ("a", "b")]
    for directory in directories:
        directory.mkdir()
    gateways = await asyncio.gather(
        *(_gateway(directory, redis.port, "--shutdown-seconds", "60") for directory in directories)
    )
    redis.freeze()
    for gateway in gateways:
        for number in range(3):
            await asyncio.to_thread(gateway.set_user, f"user {number}", name="x")
        gateway.process.send_signal(signal.SIGTERM)
    for gateway, last in zip(gateways, (signal.SIGTERM, signal.SIGINT), strict=True):
        await until(lambda g=gateway: "requests under way may take" in g.log)  # type: ignore[misc]
        assert gateway.process.poll() is None
        gateway.process.send_signal(last)
    for gateway in gateways:
        assert await asyncio.to_thread(gateway.process.wait, 10) == 0
        gateway.http.close()
        assert gateway.log.count(f"Stopping with unpublished changes of 3 {_UNPUBLISHED}") == 1
        assert "Traceback" not in gateway.log
    redis.thaw()


async def test_the_time_for_it_is_bounded(tmp_path: Path, redis: RedisServer) -> None:
    gateway = await _gateway(tmp_path, redis.port, "--shutdown-seconds", "3")
    redis.freeze()
    await asyncio.to_thread(gateway.set_user, "alice", name="Alice")
    began = time.monotonic()
    assert await asyncio.to_thread(gateway.stop) == 0
    assert 3 <= time.monotonic() - began < 30
    assert gateway.log.count(f"Stopping with unpublished changes of 1 {_UNPUBLISHED}") == 1
    redis.thaw()


async def test_a_redis_that_is_frozen_and_goes_on_is_told(tmp_path: Path, redis: RedisServer) -> None:
    gateway = await _gateway(tmp_path, redis.port)
    redis.freeze()
    await asyncio.to_thread(gateway.set_user, "alice", name="Alice")
    gateway.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(2.5)
    redis.thaw()
    assert await asyncio.to_thread(gateway.stop) == 0
    assert _UNPUBLISHED not in gateway.log


async def test_without_anything_to_publish_nothing_is_waited_for(tmp_path: Path, redis: RedisServer) -> None:
    gateway = await _gateway(tmp_path, redis.port, "--shutdown-seconds", "60")
    redis.freeze()
    began = time.monotonic()
    assert await asyncio.to_thread(gateway.stop) == 0
    assert time.monotonic() - began < 30
    assert "Stopping" not in gateway.log
    redis.thaw()
