"""Three gateways that are restarted one after the other, under sockets and edits: nobody misses how it ended."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support.gateway import RunningGateway, end_all
from tests.support.redis import RedisServer
from tests.support.waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LONG = os.environ.get("USERLINE_TEST_LONG") == "1"
SOCKETS = 2000 if LONG else 200
USERS = 100
DRAIN_SECONDS = 10 if LONG else 3
EDITS_A_SECOND = 50

WATCH = "subscription($id: ID!) { userChanged(id: $id) { name } }"
SET = "mutation($id: ID!, $name: String!) { setUser(id: $id, input: {name: $name}) { changed } }"


class Deployment:
    """Three gateways on one store and one Redis, and their addresses, which stay."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.redis = RedisServer(directory)
        self.gateways = [self._start("0") for _ in range(3)]

    def _start(self, port: str) -> RunningGateway:
        flags = ("--drain-seconds", str(DRAIN_SECONDS), "--bus-url", self.redis.url, "--port", port)
        return RunningGateway(self._directory, *flags)

    def restart(self, number: int) -> tuple[int, float]:
        """Stop a gateway and start it again where it was; return its exit code and how many seconds it took to end."""
        gateway = self.gateways[number]
        gateway.http.close()
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        code = gateway.process.wait(DRAIN_SECONDS + 30)
        took = time.monotonic() - began
        self.gateways[number] = self._start(gateway.url.rpartition(":")[2])
        return code, took

    def stop(self) -> None:
        end_all(self.gateways)
        self.redis.kill()


class Watcher:
    """A client that watches a user through any of the gateways, and connects to the next one when it is told to."""

    def __init__(self, urls: list[str], user_id: str, reconnections: list[float]) -> None:
        self._urls = urls
        self._next = random.randrange(len(urls))
        self._reconnections = reconnections
        self.user_id = user_id
        self.last = ""
        self.codes: Counter[int] = Counter()
        self.connected = False
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            try:
                await self._watch()
            except ConnectionClosed as closed:
                self.codes[closed.rcvd.code if closed.rcvd else 1006] += 1
                hint = re.search(r"retry after (\S+) s", closed.rcvd.reason if closed.rcvd else "")
                await asyncio.sleep(float(hint[1]) if hint else random.random())
                self._reconnections.append(time.monotonic())
            except (OSError, InvalidHandshake):
                await asyncio.sleep(random.random() / 10)
            self.connected = False
            self._next += 1

    async def _watch(self) -> None:
        url = self._urls[self._next % len(self._urls)]
        subprotocols = [Subprotocol("graphql-transport-ws")]
        async with connect(url, subprotocols=subprotocols, open_timeout=30, ping_interval=None) as socket:
            await socket.send('{"type":"connection_init"}')
            payload = {"query": WATCH, "variables": {"id": self.user_id}}
            while True:
                message: dict[str, Any] = json.loads(await socket.recv())
                if message["type"] == "connection_ack":
                    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
                elif message["type"] == "next":
                    self.connected = True
                    self.last = message["payload"]["data"]["userChanged"]["name"]


class Editor:
    """Edits users all the time, through any gateway that takes the request."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self.last: dict[str, str] = {}
        self.failures = 0
        self.is_over = False
        """Set to end it after the edit under way, whose outcome is then known."""

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=30) as http:
            for number in itertools.takewhile(lambda _: not self.is_over, itertools.count()):
                await self.edit(http, f"user {number % USERS}", str(number))
                await asyncio.sleep(1 / EDITS_A_SECOND)

    async def edit(self, http: httpx.AsyncClient, user_id: str, name: str) -> None:
        """Write until a gateway has said that it is done: a repeated write does no harm."""
        body = {"query": SET, "variables": {"id": user_id, "name": name}}
        while True:
            try:
                answer = await http.post(random.choice(self._urls), json=body)
            except httpx.TransportError:
                self.failures += 1
                continue
            assert "errors" not in answer.json(), answer.text
            self.last[user_id] = name
            return


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    deployment = await asyncio.to_thread(Deployment, tmp_path)
    yield deployment
    await asyncio.to_thread(deployment.stop)


async def test_nobody_misses_how_it_ended(deployment: Deployment) -> None:
    http_urls = [f"{gateway.url}/graphql" for gateway in deployment.gateways]
    editor = Editor(http_urls)
    async with httpx.AsyncClient(timeout=30) as http:
        for number in range(USERS):
            await editor.edit(http, f"user {number}", "0")
    reconnections: list[float] = []
    socket_urls = [gateway.websocket_url for gateway in deployment.gateways]
    watchers = [Watcher(socket_urls, f"user {number % USERS}", reconnections) for number in range(SOCKETS)]
    await until(lambda: all(watcher.connected for watcher in watchers), 60)
    editing = asyncio.create_task(editor.run())
    for number in range(3):
        code, took = await asyncio.to_thread(deployment.restart, number)
        assert code == 0, deployment.gateways[number].log
        assert took < DRAIN_SECONDS + 2
    await asyncio.sleep(1)
    editor.is_over = True
    await editing
    await until(lambda: all(watcher.last == editor.last[watcher.user_id] for watcher in watchers), 30)
    codes = sum((watcher.codes for watcher in watchers), Counter[int]())
    for watcher in watchers:
        watcher.task.cancel()
    await asyncio.gather(*(watcher.task for watcher in watchers), return_exceptions=True)

    assert set(codes) == {1012}, codes
    assert sum(codes.values()) >= SOCKETS
    busiest = max(sum(start <= moment < start + 1 for moment in reconnections) for start in reconnections[::10])
    print(f"{len(reconnections)} reconnections, at most {busiest} within a second; {editor.failures} edits sent again")
    assert busiest < len(reconnections) / DRAIN_SECONDS, "they came back in a crowd"
