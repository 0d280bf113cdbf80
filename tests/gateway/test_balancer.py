"""Two gateways behind the balancer that docker/compose.yaml puts before them."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.support.balancer import CONFIGURATION, Balancer, haproxy
from tests.support.gateway import RunningGateway, end_all
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.watching import Watching
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_SECONDS = 1
NAME = 'mutation($name: String!) { setUser(id: "alice", input: {name: $name}) { changed } }'


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[list[RunningGateway]]:
    redis = RedisServer(tmp_path)
    running = [RunningGateway(tmp_path, "--bus-url", redis.url, "--drain-seconds", "5") for _ in range(2)]
    yield running
    end_all(running)
    redis.kill()


@pytest.fixture
def balancer(tmp_path: Path, gateways: list[RunningGateway]) -> Iterator[Balancer]:
    addresses = [gateway.url.removeprefix("http://") for gateway in gateways]
    balancer = Balancer(tmp_path, addresses, timeout_seconds=TIMEOUT_SECONDS)
    yield balancer
    balancer.stop()


async def set_name(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.post("/graphql", json={"query": NAME, "variables": {"name": name}})
    assert answer.json() == {"data": {"setUser": {"changed": True}}}


def test_the_configuration_as_it_is_in_the_container() -> None:
    checked = subprocess.run([haproxy(), "-c", "-f", CONFIGURATION], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    warnings = [line for line in checked.stderr.splitlines() if "[WARNING]" in line]
    assert all("could not resolve address 'gateway" in line for line in warnings), warnings


def test_gateways_learn_who_asks_from_the_balancer_alone(tmp_path: Path) -> None:
    limits = ["--rate-limit-per-second", "0.01", "--rate-limit-burst", "2"]
    gateway = RunningGateway(tmp_path, "--trusted-proxies", "127.0.0.1", *limits)
    balancer = Balancer(tmp_path, [gateway.url.removeprefix("http://")] * 2)

    def ask(address: str) -> list[int]:
        with httpx.Client(base_url=balancer.url, transport=httpx.HTTPTransport(local_address=address)) as http:
            claims = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(3)]
            return [http.get("/graphql?query={__typename}", headers=claim).status_code for claim in claims]

    assert ask("127.0.0.2") == [200, 200, 429]
    assert ask("127.0.0.3") == [200, 200, 429]
    balancer.stop()
    assert gateway.stop() == 0


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
