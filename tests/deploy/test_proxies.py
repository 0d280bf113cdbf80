"""nginx, Caddy and HAProxy with the configurations that are shipped, before two real gateways."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.deploy.proxies import NAME, TRUSTED, addresses, caddy, nginx, set_name
from tests.support.balancer import Balancer
from tests.support.gateway import RunningGateway
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.proxy import Proxy

PROXIES = {"nginx": nginx, "caddy": caddy, "haproxy": Balancer}


@pytest.fixture(params=PROXIES)
def start(request: pytest.FixtureRequest) -> Callable[..., Proxy]:
    started: Callable[..., Proxy] = PROXIES[request.param]
    return started


@pytest.fixture
def proxy(tmp_path: Path, start: Callable[..., Proxy], lasting_gateways: list[RunningGateway]) -> Iterator[Proxy]:
    proxy = start(tmp_path, addresses(lasting_gateways))
    yield proxy
    proxy.stop()


async def test_everything_works_through_it(proxy: Proxy, lasting_gateways: list[RunningGateway]) -> None:
    async with httpx.AsyncClient(base_url=proxy.url, timeout=30) as http:
        await set_name(http, "0")
        watchers = [await Watching.start(proxy.websocket_url, ["alice"]) for _ in range(4)]
        await until(lambda: all(watching.last("alice") == "0" for watching in watchers))
        assert all(gateway.metric("userline_sockets") for gateway in lasting_gateways), "all on one of them"
        await set_name(http, "1")
        await until(lambda: all(watching.last("alice") == "1" for watching in watchers))

        # What is streamed comes at once, and not when a buffer is full.
        query = {"query": 'subscription { userChanged(id: "alice") { name } }'}
        async with http.stream("POST", "/graphql", json=query, headers={"accept": "text/event-stream"}) as stream:
            lines = stream.aiter_lines()
            for name in ("1", "2"):
                async with asyncio.timeout(10):
                    while f'"name":"{name}"' not in await anext(lines):
                        pass
                await set_name(http, "2") if name == "1" else None

        ids = {"ids": [f"{number:0200}" for number in range(1000)]}
        large = {"query": "query($ids: [ID!]!) { users(ids: $ids) { id } }", "variables": ids}
        assert (await http.post("/graphql", json=large)).json() == {"data": {"users": [None] * 1000}}
        for path in ("/metrics", "/metrics/"):
            assert (await http.get(path)).status_code == 404
        for watching in watchers:
            await watching.stop()


async def test_a_page_opens_sockets_to_its_own_origin_on_any_port(proxy: Proxy) -> None:
    protocol = [Subprotocol("graphql-transport-ws")]
    async with connect(proxy.websocket_url, subprotocols=protocol, origin=Origin(proxy.url)) as socket:
        await socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
    with pytest.raises(InvalidStatus, match="403"):
        await connect(proxy.websocket_url, subprotocols=protocol, origin=Origin("http://elsewhere.example"))


def test_gateways_learn_who_asks_from_it_alone(tmp_path: Path, start: Callable[..., Proxy]) -> None:
    limits = ["--rate-limit-per-second", "0.01", "--rate-limit-burst", "2"]
    gateway = RunningGateway(tmp_path, *TRUSTED, *limits)
    proxy = start(tmp_path, addresses([gateway] * 2))

    def ask(address: str) -> list[int]:
        with httpx.Client(base_url=proxy.url, transport=httpx.HTTPTransport(local_address=address)) as http:
            claims = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(3)]
            return [http.get("/graphql?query={__typename}", headers=claim).status_code for claim in claims]

    assert ask("127.0.0.2") == [200, 200, 429]
    assert ask("127.0.0.3") == [200, 200, 429]
    proxy.stop()
    assert gateway.stop() == 0


async def test_no_request_fails_while_gateways_stop_and_die(
    request: pytest.FixtureRequest, tmp_path: Path, start: Callable[..., Proxy], gateways: list[RunningGateway]
) -> None:
    proxy = start(tmp_path, addresses(gateways))
    request.addfinalizer(proxy.stop)
    failed: list[str] = []
    done = asyncio.Event()
    asked = 0

    async def ask() -> None:
        nonlocal asked
        async with httpx.AsyncClient(base_url=proxy.url, timeout=30) as http:
            while not done.is_set():
                answer = await http.post("/graphql", json={"query": NAME, "variables": {"name": str(asked)}})
                asked += 1
                if answer.status_code != 200:
                    failed.append(f"{answer.status_code} {answer.text[:100]}")

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(ask())
        await asyncio.sleep(1)
        assert await asyncio.to_thread(gateways[0].stop) == 0
        await asyncio.sleep(1)
        done.set()
    assert asked > 20
    assert failed == []


class _Outage(BaseHTTPRequestHandler):
    """A gateway whose store is away: what needs it is refused, and what is held in memory is served."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"errorCode":"STORE_UNAVAILABLE"}' if self.path.startswith("/v1/") else b"served"
        self.send_response(503 if self.path.startswith("/v1/") else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_outage_that_all_gateways_share_takes_none_of_them_away(tmp_path: Path, start: Callable[..., Proxy]) -> None:
    """Gateways serve on from memory then, so what one of them refuses is no reason to ask none."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _Outage) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy = start(tmp_path, [f"127.0.0.1:{server.server_port}" for server in servers])
    try:
        for _ in range(10):
            refused = httpx.get(proxy.url + "/v1/userline/users/u")
            assert (refused.status_code, refused.json()) == (503, {"errorCode": "STORE_UNAVAILABLE"})
            served = httpx.get(proxy.url + "/graphql")
            assert (served.status_code, served.text) == (200, "served")
    finally:
        proxy.stop()
        for server in servers:
            server.shutdown()
            server.server_close()
