"""A deployment is upgraded under traffic: its gateways are replaced one after the other, behind the balancer."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from tests.support import trees
from tests.support.balancer import Balancer
from tests.support.gateway import RunningGateway
from tests.support.mongodb import new_database, running_mongo
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITE = "mutation($id: ID!, $name: String!) { setUser(id: $id, input: {name: $name}) { user { name } } }"
READ = "query($ids: [ID!]!) { users(ids: $ids) { name } }"
WATCH = "subscription($id: ID!) { userChanged(id: $id) { name } }"
USERS = [f"user-{number}" for number in range(6)]
STEADY_SECONDS = 1.0


@pytest.fixture(params=["sqlite", "nx-27017"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shared.db"
    else:
        with running_mongo(tmp_path, request.param) as server:
            yield server.url(new_database())


class Traffic:
    """Writers and watchers who know nothing of the gateways behind the address."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._is_over = asyncio.Event()
        self.written = dict.fromkeys(USERS, -1)
        """The last number that was written to each user, and acknowledged."""
        self.seen: dict[str, list[int]] = {user: [] for user in USERS}
        self.failed: list[str] = []

    async def write(self, user: str) -> None:
        """Write numbers until it is over, each by a connection that is kept as long as it lasts."""
        async with httpx.AsyncClient(base_url=self._balancer.url, timeout=30) as http:
            while not self._is_over.is_set():
                number = self.written[user] + 1
                body = {"query": WRITE, "variables": {"id": user, "name": str(number)}}
                answer = await http.post("/graphql", json=body)
                if answer.status_code != 200 or "errors" in answer.json():
                    self.failed.append(f"{answer.status_code} {answer.text[:200]}")
                    return
                self.written[user] = number
                await asyncio.sleep(0.01)

    async def watch(self, user: str) -> None:
        """Watch a user for ever, and come back after each end of a socket."""
        while True:
            with suppress(WebSocketException, OSError):
                await self._watch_once(user)
            await asyncio.sleep(0.05)

    async def _watch_once(self, user: str) -> None:
        async with connect(
            self._balancer.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")], open_timeout=30
        ) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            await socket.recv()
            payload = {"query": WATCH, "variables": {"id": user}}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "next" and (changed := message["payload"]["data"]["userChanged"]):
                    self.seen[user].append(int(changed["name"]))

    def end_writes(self) -> None:
        """Let each writer end its write."""
        self._is_over.set()


async def test_nothing_is_lost_when_gateways_are_upgraded_one_after_the_other(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, store_url: str
) -> None:
    old = trees.environment(trees.old_tree(tmp_path_factory.mktemp("old"), trees.BEFORE_DELETIONS))
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        redis = RedisServer(tmp_path)
        stack.callback(redis.kill)
        flags = ["--store-url", store_url, "--bus-url", redis.url, "--drain-seconds", "2"]
        gateways: list[RunningGateway] = []

        def start(port: int, environment: dict[str, str]) -> RunningGateway:
            gateway = RunningGateway(tmp_path, *flags, "--port", str(port), env=environment)
            stack.callback(gateway.stop)
            return gateway

        gateways = [start(port, old) for port in ports]
        balancer = Balancer(tmp_path, [f"127.0.0.1:{port}" for port in ports])
        stack.callback(balancer.stop)
        traffic = Traffic(balancer)
        async with asyncio.TaskGroup() as group:
            writers = [group.create_task(traffic.write(user)) for user in USERS]
            watchers = [group.create_task(traffic.watch(user)) for user in USERS]
            await until(lambda: min(traffic.written.values()) > 0, 20)
            for number, port in enumerate(ports):
                await asyncio.sleep(STEADY_SECONDS)
                assert await asyncio.to_thread(gateways[number].stop) == 0
                gateways[number] = await asyncio.to_thread(start, port, {})
                await asyncio.sleep(STEADY_SECONDS)
            traffic.end_writes()
            await asyncio.gather(*writers)
            await until(lambda: all(traffic.seen[user][-1:] == [traffic.written[user]] for user in USERS), 20)
            for watcher in watchers:
                watcher.cancel()
        assert traffic.failed == []
        assert min(traffic.written.values()) > 20
        for user, seen in traffic.seen.items():
            assert seen == sorted(seen), f"{user} went back"
        async with httpx.AsyncClient(timeout=30) as http:
            for port in ports:
                answer = await http.post(
                    f"http://127.0.0.1:{port}/graphql", json={"query": READ, "variables": {"ids": USERS}}
                )
                names = [int(user["name"]) for user in answer.json()["data"]["users"]]
                assert names == [traffic.written[user] for user in USERS]
