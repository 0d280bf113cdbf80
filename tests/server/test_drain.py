"""A gateway that is told to stop: nobody is dropped without a word, nobody comes back in a crowd, it ends in time."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.alone

WATCH = 'subscription { userChanged(id: "alice") { name welcomeMessage } }'
IDLE = 1000 if os.environ.get("USERLINE_TEST_LONG") == "1" else 50
SHORT = 'subscription{userChanged(id:"alice"){welcomeMessage}}'


class Watcher:
    """A socket that watches Alice, and notes when and how it was closed."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.closed_at = 0.0
        self.code = 0
        self.retry_after = 0.0
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, gateway: RunningGateway) -> Watcher:
        socket = await connect(gateway.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")])
        await socket.send('{"type":"connection_init"}')
        await socket.recv()
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": WATCH}}))
        assert json.loads(await socket.recv())["type"] == "next"
        return cls(socket)

    async def ended(self) -> None:
        """Wait until it is closed, which must be with a word about when to come back."""
        closed = await self._reading
        assert closed.rcvd is not None, "dropped without a word"
        self.code = closed.rcvd.code
        hint = re.search(r"retry after (\d+\.\d) s$", closed.rcvd.reason)
        assert hint, closed.rcvd.reason
        self.retry_after = float(hint[1])

    async def _read(self) -> ConnectionClosed:
        while True:
            try:
                await self._socket.recv()
            except ConnectionClosed as closed:
                self.closed_at = time.monotonic()
                return closed


@asynccontextmanager
async def watched(gateway: RunningGateway, many: int) -> AsyncIterator[list[Watcher]]:
    watchers = [await Watcher.start(gateway) for _ in range(many)]
    yield watchers
    async with asyncio.timeout(20):
        await asyncio.gather(*(watcher.ended() for watcher in watchers))


async def exit_code(gateway: RunningGateway) -> int:
    gateway.http.close()
    return await asyncio.to_thread(gateway.process.wait, 30)


async def test_sockets_are_closed_one_after_the_other_and_requests_answered_meanwhile(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--drain-seconds", "3")
    async with watched(gateway, 60) as watchers, httpx.AsyncClient(base_url=gateway.url, timeout=10) as http:
        kept = await http.get("/healthz")
        assert kept.headers.get("connection") != "close"
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        while (ready := await http.get("/readyz")).status_code == 200:
            assert time.monotonic() - began < 1
        assert ready.json() == {"status": "stopping"}
        with pytest.raises(ConnectionClosed) as refused:
            await Watcher.start(gateway)
        assert refused.value.rcvd is not None
        assert refused.value.rcvd.code == 1012
        assert re.fullmatch(r"This gateway is being stopped; retry after [012]\.\d s", refused.value.rcvd.reason)
        answered = 0
        while any(not watcher.closed_at for watcher in watchers) and time.monotonic() - began < 2.5:
            answer = await http.post("/graphql", json={"query": '{ user(id: "alice") { name } }'})
            assert answer.json() == {"data": {"user": None}}
            assert answer.headers["connection"] == "close"
            answered += 1
        assert answered > 3
        assert (await http.get("/healthz")).status_code == 200
        assert await exit_code(gateway) == 0
        assert 2.5 < time.monotonic() - began < 3 + 2
    times = sorted(watcher.closed_at - began for watcher in watchers)
    assert {watcher.code for watcher in watchers} == {1012}
    assert all(watcher.retry_after <= 1 for watcher in watchers)
    assert times[-1] < 3 + 1
    busiest = max(sum(start <= moment < start + 0.5 for moment in times) for start in times)
    assert busiest < 30, f"{busiest} of 60 within half a second: {times}"


@pytest.mark.parametrize("signals", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)])
async def test_a_second_signal_and_ctrl_c_are_quicker(tmp_path: Path, signals: tuple[signal.Signals, ...]) -> None:
    gateway = RunningGateway(tmp_path, "--drain-seconds", "60")
    async with watched(gateway, 20) as watchers:
        began = time.monotonic()
        for number in signals:
            gateway.process.send_signal(number)
            await asyncio.sleep(0.3)
        assert await exit_code(gateway) == 0
        assert time.monotonic() - began < 5
    assert max(watcher.retry_after for watcher in watchers) > 10, "they are told to come back spread over the minute"
    assert {watcher.code for watcher in watchers} == {1012}


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_several_workers_hurry_as_one(tmp_path: Path, second: signal.Signals) -> None:
    redis = RedisServer(tmp_path)
    gateway = RunningGateway(tmp_path, "--drain-seconds", "60", "--workers", "2", "--bus-url", redis.url)
    async with watched(gateway, 10):
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(1)
        assert gateway.process.poll() is None
        gateway.process.send_signal(second)
        began = time.monotonic()
        assert await exit_code(gateway) == 0
        assert time.monotonic() - began < 5
    redis.kill()


async def test_who_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--drain-seconds", "2")
    async with watched(gateway, IDLE):
        stalled = [stall(gateway) for _ in range(5)]
        # More than the system's buffers take, so that the gateway has something that it cannot send.
        for number in range(400):
            gateway.set_user("alice", name="Alice", welcomeMessage=f"{number}" + "x" * 30_000)
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert await exit_code(gateway) == 0
        assert time.monotonic() - began < 2 + 2
    for connection in stalled:
        connection.close()


def stall(gateway: RunningGateway) -> socket.socket:
    """Watch Alice and never read."""
    connection = socket.create_connection(("127.0.0.1", httpx.URL(gateway.url).port or 0))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = [
        "GET /graphql HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol: graphql-transport-ws",
    ]
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 101")
    for message in ('{"type":"connection_init"}', {"id": "1", "type": "subscribe", "payload": {"query": SHORT}}):
        text = (message if isinstance(message, str) else json.dumps(message)).encode()
        connection.sendall(bytes((0x81, 0x80 | len(text))) + bytes(4) + text)
        assert connection.recv(1000)
    return connection
