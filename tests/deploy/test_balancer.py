"""What the balancer of docker/compose.yaml does that is its own: test_proxies.py has what every proxy does."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.deploy.proxies import addresses, set_name
from tests.support.balancer import CONFIGURATION, Balancer, haproxy
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gateway import RunningGateway

TIMEOUT_SECONDS = 1


@pytest.fixture
def balancer(tmp_path: Path, gateways: list[RunningGateway]) -> Iterator[Balancer]:
    balancer = Balancer(tmp_path, addresses(gateways), timeout_seconds=TIMEOUT_SECONDS)
    yield balancer
    balancer.stop()


def test_the_configuration_as_it_is_in_the_container() -> None:
    checked = subprocess.run([haproxy(), "-c", "-f", CONFIGURATION], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    warnings = [line for line in checked.stderr.splitlines() if "[WARNING]" in line]
    assert all("could not resolve address 'gateway" in line for line in warnings), warnings


async def test_sockets_live_longer_than_the_timeouts_of_http(
    balancer: Balancer, gateways: list[RunningGateway]
) -> None:
    async with httpx.AsyncClient(base_url=balancer.url, timeout=30) as http:
        await set_name(http, "0")
        watchers = [await Watching.start(balancer.websocket_url, ["alice"]) for _ in range(6)]
        await until(lambda: all(watching.last("alice") == "0" for watching in watchers))
        assert all(gateway.metric("userline_sockets") == 3 for gateway in gateways), "spread evenly"
        await asyncio.sleep(3 * TIMEOUT_SECONDS)
        await set_name(http, "1")
        await until(lambda: all(watching.last("alice") == "1" for watching in watchers))
        assert not any(watching.closed for watching in watchers)
        for watching in watchers:
            await watching.stop()


async def come_back(url: str) -> Watching:
    """Watch Alice, as soon as the balancer sends nobody to the gateway any more that stops."""
    refused: set[int | None] = set()
    while True:
        try:
            watching = await Watching.start(url, ["alice"])
        except ConnectionClosed as closed:
            refused.add(closed.rcvd.code if closed.rcvd else None)
            await asyncio.sleep(0.2)
        else:
            assert refused <= {1012}
            return watching


async def test_a_gateway_that_is_stopped_is_noticed_by_nobody_but_its_sockets(
    balancer: Balancer, gateways: list[RunningGateway]
) -> None:
    stopping = asyncio.Event()

    async def ask(http: httpx.AsyncClient) -> int:
        number = 0
        while not stopping.is_set():
            answer = await http.post("/graphql", json={"query": '{ user(id: "alice") { name } }'})
            assert answer.status_code == 200, answer.text
            number += 1
        return number

    async with httpx.AsyncClient(base_url=balancer.url, timeout=30) as http:
        await set_name(http, "0")
        watchers = [await Watching.start(balancer.websocket_url, ["alice"]) for _ in range(6)]
        await until(lambda: all(watching.last("alice") == "0" for watching in watchers))
        asking = [asyncio.create_task(ask(http)) for _ in range(4)]
        await asyncio.sleep(0.5)
        stopped = asyncio.create_task(asyncio.to_thread(gateways[0].stop))
        await until(lambda: any(watching.closed for watching in watchers))
        again = [await come_back(balancer.websocket_url) for _ in range(3)]
        assert await stopped == 0
        assert sum(watching.closed for watching in watchers) == 3
        await set_name(http, "1")
        watchers += again
        await until(lambda: all(watching.closed or watching.last("alice") == "1" for watching in watchers))
        await asyncio.sleep(0.5)
        stopping.set()
        assert all(await asyncio.gather(*asking))
        for watching in watchers:
            await watching.stop()
