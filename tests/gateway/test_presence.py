"""Who is connected, seen through one gateway and through several, one of which dies."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer
from tests.support.tokens import SECRET, token_of
from tests.support.waiting import until
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.alone

SECONDS = 2.0
ONLINE = "subscription($id: ID!) { userOnlineChanged(id: $id) { isConnected user { name } } }"
CHANGED = "subscription($id: ID!) { userChanged(id: $id) { name } }"
PROTOCOL = Subprotocol("graphql-transport-ws")


class Watching:
    """A socket that is told whether some users are connected. ``seen`` has what it was told of each, in order."""

    def __init__(self, user_ids: list[str]) -> None:
        self.seen: dict[str, list[tuple[bool, str | None]]] = {user_id: [] for user_id in user_ids}
        self.heard_at: dict[str, float] = {}

    def take(self, text: str | bytes) -> None:
        message: dict[str, Any] = json.loads(text)
        if message["type"] == "next":
            told = message["payload"]["data"]["userOnlineChanged"]
            self.seen[message["id"]].append((told["isConnected"], told["user"] and told["user"]["name"]))
            self.heard_at[message["id"]] = time.monotonic()

    def of(self, user_id: str) -> list[bool]:
        return [is_connected for is_connected, _ in self.seen[user_id]]


@asynccontextmanager
async def socket_of(gateway: RunningGateway, user_id: str | None) -> AsyncIterator[Any]:
    async with connect(gateway.websocket_url, subprotocols=[PROTOCOL]) as socket:
        payload = {} if user_id is None else {"Authorization": f"Bearer {token_of(user_id)}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        yield socket


async def subscribe(socket: Any, query: str, user_id: str) -> None:
    payload = {"query": query, "variables": {"id": user_id}}
    await socket.send(json.dumps({"id": user_id, "type": "subscribe", "payload": payload}))


@asynccontextmanager
async def watching(gateway: RunningGateway, *user_ids: str, by: str | None = "watcher") -> AsyncIterator[Watching]:
    async with socket_of(gateway, by) as socket:
        watched = Watching(list(user_ids))

        async def read() -> None:
            async for text in socket:
                watched.take(text)

        for user_id in user_ids:
            await subscribe(socket, ONLINE, user_id)
        reading = asyncio.create_task(read())
        await until(lambda: all(watched.seen.values()))
        yield watched
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def online(gateway: RunningGateway, user_id: str) -> AsyncIterator[Any]:
    """Have a user subscribed to something."""
    async with socket_of(gateway, user_id) as socket:
        await subscribe(socket, CHANGED, "somebody")
        await socket.recv()
        yield socket


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[list[RunningGateway]]:
    redis = RedisServer(tmp_path)
    flags = ("--bus-url", redis.url, "--presence-seconds", str(SECONDS))
    running = [RunningGateway(tmp_path, *flags, env={"USERLINE_SECRET": SECRET}) for _ in range(2)]
    yield running
    for gateway in running:
        if gateway.process.poll() is None:
            assert gateway.stop() == 0, gateway.log
        assert "Traceback" not in gateway.log, gateway.log
    redis.kill()


@pytest.mark.parametrize("lane", ["--fast-lane", "--no-fast-lane"])
async def test_who_comes_and_goes_and_comes_back(tmp_path: Path, lane: str) -> None:
    flags = ("--presence-seconds", str(SECONDS), lane)
    gateway = RunningGateway(tmp_path, *flags, env={"USERLINE_SECRET": SECRET})
    async with watching(gateway, "ann") as watched:
        assert watched.seen["ann"] == [(False, None)]
        async with online(gateway, "ann"), online(gateway, "ann"):
            await until(lambda: watched.of("ann") == [False, True])
            assert gateway.metric("userline_connected_users") == 2, "the watcher is one, too"
        async with online(gateway, "ann"):
            await asyncio.sleep(SECONDS * 1.5)
            assert watched.of("ann") == [False, True], "who comes back at once was never away"
        left = time.monotonic()
        await until(lambda: watched.of("ann") == [False, True, False])
        assert SECONDS * 0.7 < time.monotonic() - left < SECONDS * 2
        with httpx.Client(base_url=gateway.url, headers={"Authorization": f"Bearer {token_of('ann')}"}) as http:
            body = {"query": 'mutation { setUser(id: "ann", input: {name: "Ann"}) { created } }'}
            assert http.post("/graphql", json=body).json() == {"data": {"setUser": {"created": True}}}
        await until(lambda: watched.seen["ann"][-1] == (True, "Ann"))
        await until(lambda: watched.seen["ann"][-1] == (False, "Ann"))
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.log


async def test_a_stream_over_http_connects_its_user(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--presence-seconds", "1", env={"USERLINE_SECRET": SECRET})
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token_of('ann')}"}
    body = {"query": CHANGED, "variables": {"id": "somebody"}}
    async with watching(gateway, "ann") as watched, httpx.AsyncClient(base_url=gateway.url) as http:
        async with http.stream("POST", "/graphql", json=body, headers=headers):
            await asyncio.sleep(3)
            assert watched.of("ann") == [False, True]
        await until(lambda: watched.of("ann") == [False, True, False])
    assert gateway.stop() == 0


async def test_one_gateway_hears_who_is_connected_at_another(gateways: list[RunningGateway]) -> None:
    here, there = gateways
    async with watching(here, "ann", "bob") as watched:
        async with online(there, "ann"):
            await until(lambda: watched.of("ann") == [False, True])
            async with watching(here, "ann") as late:
                assert late.of("ann") == [True], "the first event is what is the case"
            await asyncio.sleep(3 * SECONDS)
            async with online(here, "ann"):
                pass
            assert watched.of("ann") == [False, True]
        await until(lambda: watched.of("ann") == [False, True, False])
        assert watched.of("bob") == [False]


async def test_when_a_gateway_dies_its_users_go_and_others_never_flicker(gateways: list[RunningGateway]) -> None:
    here, there = gateways
    mine, theirs = [f"mine {n}" for n in range(20)], [f"theirs {n}" for n in range(20)]
    async with watching(here, *mine, *theirs, "both") as watched, AsyncExitStack() as sockets:
        for user_id in [*mine, "both"]:
            await sockets.enter_async_context(online(here, user_id))
        for user_id in [*theirs, "both"]:
            await sockets.enter_async_context(online(there, user_id))
        await until(lambda: all(watched.of(user_id) == [False, True] for user_id in watched.seen))
        await asyncio.sleep(SECONDS)
        killed = time.monotonic()
        there.kill()
        await until(lambda: all(watched.of(user_id)[-1] is False for user_id in theirs))
        delays = [watched.heard_at[user_id] - killed for user_id in theirs]
        assert min(delays) > SECONDS * 0.5
        assert max(delays) < SECONDS * 1.5, "within the stated time, and a tick"
        await asyncio.sleep(2 * SECONDS)
        for user_id in [*mine, "both"]:
            assert watched.of(user_id) == [False, True], user_id
        for user_id in theirs:
            assert watched.of(user_id) == [False, True, False], user_id


async def test_an_open_gateway_knows_nobody(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--presence-seconds", "1")
    async with watching(gateway, "ann", by=None) as watched:
        gateway.set_user("ann", name="Ann")
        await until(lambda: watched.seen["ann"] == [(False, None), (False, "Ann")])
    assert gateway.metric("userline_connected_users") == 0
    assert gateway.stop() == 0
