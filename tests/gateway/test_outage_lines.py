"""An outage is one line when it begins and one when it ends, with how long it was, whoever meets it meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

AWAY_SECONDS: Final = 3.0
PROBES: Final = ("/readyz", "/readyz?strict=1", "/metrics")


def told(gateway: RunningGateway) -> list[dict[str, Any]]:
    """Return the lines that are not of single requests."""
    lines = [json.loads(line) for line in gateway.log.splitlines()]
    return [line for line in lines if line["logger"] not in {"userline.access", "userline.audit"}]


@asynccontextmanager
async def traffic(gateway: RunningGateway) -> AsyncIterator[None]:
    """Read, write, probe and watch all the time, whatever comes of it."""
    over = asyncio.Event()
    watching = [await Watching.start(gateway.websocket_url, [f"u{number}"]) for number in range(5)]

    async def ask() -> None:
        number = 0
        async with httpx.AsyncClient(verify=False, base_url=gateway.url, timeout=30) as http:  # noqa: S501 - no TLS
            while not over.is_set():
                number += 1
                write = f'mutation {{ setUser(id: "u{number % 9}", input: {{name: "{number}"}}) {{ changed }} }}'
                for query in (f'{{ user(id: "read{number}") {{ name }} }}', write):
                    with suppress(httpx.TransportError):
                        await http.post("/graphql", json={"query": query})
                with suppress(httpx.TransportError):
                    await http.get(PROBES[number % 3])
                await asyncio.sleep(0.02)

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*asking)
        for each in watching:
            await each.stop()


def see(lines: list[dict[str, Any]], begins: str, ends: str) -> None:
    """See that these are the two lines, and that the last has how long it was."""
    assert len(lines) == 2, lines
    assert re.search(begins, lines[0]["event"]), lines
    assert lines[0]["level"] in {"warning", "error"}
    (seconds,) = re.findall(rf"{ends}, after (\d+\.\d) s\.", lines[1]["event"])
    assert AWAY_SECONDS - 1 <= float(seconds) < AWAY_SECONDS + 30


async def test_the_bus_is_away(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    gateway = await asyncio.to_thread(
        RunningGateway, tmp_path, "--bus-url", redis.url, "--log-format", "json", "--reread-seconds", "1"
    )
    try:
        async with traffic(gateway):
            before = len(told(gateway))
            for outage in range(2):
                redis.kill()
                await until(lambda: len(told(gateway)) > before + 2 * outage)  # noqa: B023 - asked at once
                await asyncio.sleep(AWAY_SECONDS)
                redis.start()
                await until(lambda: gateway.http.get("/readyz?strict=1").status_code == 200)
        lines = told(gateway)[before:]
        see(lines[:2], "Lost the connection to the bus", "Listening to the changes of all gateways again")
        see(lines[2:], "Lost the connection to the bus", "Listening to the changes of all gateways again")
    finally:
        assert await asyncio.to_thread(gateway.stop) == 0
        redis.remove()


@pytest.mark.parametrize("what", ["moved away", "of nobody"])
async def test_the_store_is_away(tmp_path: Path, what: str) -> None:
    gateway = await asyncio.to_thread(RunningGateway, tmp_path, "--log-format", "json", "--reread-seconds", "1")
    files = [tmp_path / f"users.db{end}" for end in ("", "-wal", "-shm")]
    try:
        async with traffic(gateway):
            before = len(told(gateway))
            for file in files if what == "moved away" else files[:1]:
                file.rename(tmp_path / f"away-{file.name}")
            await until(lambda: len(told(gateway)) > before)
            started = time.monotonic()
            await asyncio.sleep(AWAY_SECONDS)
            for file in files if what == "moved away" else files[:1]:
                (tmp_path / f"away-{file.name}").rename(file)
            await until(lambda: gateway.http.get("/readyz?strict=1").status_code == 200)
            await asyncio.sleep(1)
        assert time.monotonic() - started >= AWAY_SECONDS
        lines = told(gateway)[before:]
        see(lines, "The user database failed", "can be (read|written) again".replace("(", "(?:"))
    finally:
        assert await asyncio.to_thread(gateway.stop) == 0
