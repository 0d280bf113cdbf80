"""Gateways on one store that do not hear each other, as two versions in a rolling upgrade: late, but never wrong."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ = '{ user(id: "alice") { name } }'
SECONDS = 1.0


@pytest.fixture(params=["redis", "postgres"])
def gateways(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[RunningGateway]]:
    bus = RedisServer(tmp_path) if request.param == "redis" else PostgresServer()
    periods = ["--reread-seconds", str(SECONDS), "--cache-seconds", str(SECONDS)]
    running = [
        RunningGateway(tmp_path, "--bus-url", bus.url, "--bus-prefix", prefix, *periods) for prefix in ("old", "new")
    ]
    yield running
    for gateway in running:
        assert gateway.stop() == 0, gateway.log
        assert "Traceback" not in gateway.log, gateway.log
    bus.remove()


async def test_watchers_and_readers_are_late_by_the_periods_that_are_set(gateways: list[RunningGateway]) -> None:
    watchers = [await Watching.start(gateway.websocket_url, ["alice"]) for gateway in gateways]
    for watching in watchers:
        await until(lambda w=watching: w.seen["alice"])  # type: ignore[misc]
    for number in range(4):
        name = f"Alice {number}"
        await asyncio.to_thread(gateways[number % 2].set_user, "alice", name=name)
        written = time.monotonic()
        for watching in watchers:
            await until(lambda w=watching, n=name: w.last("alice") == n)  # type: ignore[misc]
        # A period, and what a busy machine takes; the default of 30 s would be far more.
        assert time.monotonic() - written < SECONDS + 4
        for gateway in gateways:
            assert (await asyncio.to_thread(gateway.data, READ))["user"]["name"] == name
    expected = [None, *(f"Alice {number}" for number in range(4))]
    for watching in watchers:
        assert watching.seen["alice"] == expected, "in order, and each of them"
        await watching.stop()


async def test_patches_through_both_hold(gateways: list[RunningGateway]) -> None:
    def patch(gateway: RunningGateway, start: int) -> None:
        for number in range(start, 40, 2):
            gateway.set_user("bob", name="Bob", custom={f"key {number}": str(number)})

    await asyncio.gather(*(asyncio.to_thread(patch, gateway, start) for start, gateway in enumerate(gateways)))
    deadline = time.monotonic() + 20
    query = '{ user(id: "bob") { custom } }'
    for gateway in gateways:
        while len((await asyncio.to_thread(gateway.data, query))["user"]["custom"]) < 40:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
