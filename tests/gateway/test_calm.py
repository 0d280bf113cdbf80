"""Clients that come and go, and clients that do neither: nothing of them is left, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.support.gateway import RunningGateway
from tests.support.vitals import Vitals
from tests.support.waiting import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.alone

LONG = os.environ.get("USERLINE_TEST_LONG") == "1"
LIMITS = ("--max-new-sockets-per-address", "2000", "--rate-limit-per-second", "100000", "--rate-limit-burst", "100000")
CYCLES = 10
WARM_UP = 20 if LONG else 1
AT_ONCE = 500 if LONG else 100
READERS = 1000 if LONG else 200
EDITING_SECONDS = 20.0
"""How long there is one who does not read: it is cut off after 10 s or more."""
"""What is sent to the stalled reader is more than the system takes after some seconds, and it is gone 10 s later."""
WATCH = "subscription($id: ID!) { userChanged(id: $id) { name } }"
EDIT = 'mutation($input: SetUserInput!) { setUser(id: "alice", input: $input) { changed } }'
PROTOCOL = Subprotocol("graphql-transport-ws")
TEXT, PING, PONG = 0x81, 0x89, 0x8A


@pytest.fixture
def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path, "--no-access-log", *LIMITS, *getattr(request, "param", ()))
    yield running
    assert running.stop() == 0, running.log
    assert "Traceback" not in running.log, running.log


async def open_socket(gateway: RunningGateway) -> ClientConnection:
    client = await connect(gateway.websocket_url, subprotocols=[PROTOCOL], open_timeout=60, ping_interval=None)
    await client.send('{"type":"connection_init"}')
    await client.recv()
    return client


async def subscribe(client: ClientConnection, query: str, operation_id: str = "1", **variables: str) -> None:
    payload = {"query": query, "variables": variables}
    await client.send(json.dumps({"id": operation_id, "type": "subscribe", "payload": payload}))


@pytest.mark.parametrize("gateway", [(), ("--no-fast-lane", "--no-plans")], indirect=True, ids=["lane", "tasks"])
async def test_clients_that_come_and_go_leave_nothing_behind(gateway: RunningGateway) -> None:
    async def come_and_go(number: int) -> None:
        client = await open_socket(gateway)
        await subscribe(client, WATCH, id=f"user {number}")
        await subscribe(client, WATCH, "2", id="all")
        if number % 3:
            await client.recv()
        client.transport.abort()
        await client.wait_closed()

    async def cycle() -> Vitals:
        await asyncio.gather(*(come_and_go(number) for number in range(AT_ONCE)))
        await until(lambda: gateway.metric("userline_sockets") == gateway.metric("userline_watchers") == 0, 30)
        await until(lambda: Vitals.of(gateway).tasks <= before.tasks, 30)
        return Vitals.of(gateway)

    before = Vitals.of(gateway)
    for _ in range(WARM_UP):
        await cycle()  # what is made once and kept is made now
    now = warm = await cycle()
    for _ in range(CYCLES):
        now = await cycle()
        assert (now.tasks, now.sockets, now.watchers, now.files) == before[:4]
    drift = now.memory / warm.memory - 1
    print(f"{CYCLES} x {AT_ONCE} clients: {now}, memory {drift:+.1%}")
    assert drift < (0.02 if LONG else 0.1)


class Reader(asyncio.Protocol):
    """What becomes of a socket that watches Alice: it notes how late it hears of each change, and does little else.

    A thousand of them are to cost less than what the gateway does for them, or their own delays would be measured.
    """

    def __init__(self, client: ClientConnection, sent_at: dict[bytes, float]) -> None:
        self.delays: list[float] = []
        self.last = b""
        self.closed = asyncio.Event()
        self.transport = client.transport
        self._sent_at = sent_at
        self._unread = b""
        self.transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Take frames, all of which are shorter than 126 bytes."""
        self._unread += data
        while len(self._unread) >= 2 and len(self._unread) >= (end := 2 + self._unread[1]):
            frame, self._unread = self._unread[:end], self._unread[end:]
            if frame[0] == TEXT:
                self.last = frame[frame.rindex(b":") + 2 : frame.rindex(b'"')]
                self.delays.append(time.monotonic() - self._sent_at[self.last])
            elif frame[0] == PING:
                self.transport.write(bytes([PONG, 0x80 | frame[1]]) + bytes(4) + frame[2:])
            else:
                raise AssertionError(frame)

    def connection_lost(self, _: Exception | None) -> None:
        """Say so."""
        self.closed.set()


async def test_a_reader_that_stalls_is_noticed_by_nobody_and_soon_gone(gateway: RunningGateway) -> None:
    padding = "x" * 50_000  # some seconds of this are more than the system takes
    gateway.set_user("alice", name="start", welcomeMessage=padding)
    sent_at: dict[bytes, float] = {}
    clients = [await open_socket(gateway) for _ in range(READERS)]
    for client in clients:
        await subscribe(client, 'subscription { userChanged(id: "alice") { name } }')
        assert "start" in str(await client.recv())
    readers = [Reader(client, sent_at) for client in clients]

    gone = 0.0

    async def edit(name: str, seconds: float) -> float:
        """Change Alice twenty times a second; return the 99th percentile of the delays in milliseconds.

        Meanwhile the gateway is asked once a second, and not more often, how many sockets it has.
        """
        nonlocal gone
        for reader in readers:
            reader.delays.clear()
        ends, number = time.monotonic() + seconds, 0
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as http:
            while time.monotonic() < ends:
                number += 1
                last = f"{name} {number}"
                body = {"query": EDIT, "variables": {"input": {"name": last, "welcomeMessage": padding + last}}}
                sent_at[last.encode()] = time.monotonic()
                assert "errors" not in (await http.post("/graphql", json=body)).json()
                if number % 20 == 0 and await asyncio.to_thread(gateway.metric, "userline_sockets") == READERS:
                    gone = gone or time.monotonic() - began
                await asyncio.sleep(max(0, sent_at[last.encode()] + 0.05 - time.monotonic()))
        await until(lambda: all(reader.last == last.encode() for reader in readers), 30)
        return statistics.quantiles([delay for reader in readers for delay in reader.delays], n=100)[98] * 1000

    began = time.monotonic()
    await edit("warm", 1)
    without = await edit("without", EDITING_SECONDS if LONG else 5.0)
    memory = Vitals.of(gateway).memory
    stalled = stall(await open_socket(gateway))
    await subscribe(stalled, 'subscription { userChanged(id: "alice") { name welcomeMessage } }')
    began, gone = time.monotonic(), 0.0
    among = await edit("with", EDITING_SECONDS)
    growth = Vitals.of(gateway).memory - memory
    print(f"p99 {without:.1f} ms, {among:.1f} ms with a stalled reader, gone after {gone:.1f} s, {growth:+} kB")
    assert growth < 4096
    assert reaped(gateway) == 1
    assert 10 <= gone < EDITING_SECONDS + 1
    for client in (*clients, stalled):
        client.transport.abort()
    await asyncio.gather(stalled.wait_closed(), *(reader.closed.wait() for reader in readers))


def stall(client: ClientConnection) -> ClientConnection:
    """Let a client read nothing any more, and its system take little for it."""
    raw: socket.socket = client.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.transport.pause_reading()
    return client


def reaped(gateway: RunningGateway) -> float:
    for line in gateway.http.get("/metrics").text.splitlines():
        if line.startswith("userline_reaped") and 'reason="stuck"' in line:
            return float(line.split()[-1])
    return 0
