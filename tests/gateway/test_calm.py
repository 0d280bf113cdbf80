"""Clients that come and go, and clients that do neither: nothing of them is left, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import time
from typing import TYPE_CHECKING, Any

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

LONG = os.environ.get("USERLINE_TEST_LONG") == "1"
LIMITS = ("--max-new-sockets-per-address", "2000", "--rate-limit-per-second", "100000", "--rate-limit-burst", "100000")
CYCLES = 10
WARM_UP = 20 if LONG else 1
AT_ONCE = 500 if LONG else 100
READERS = 1000 if LONG else 200
WATCH = "subscription($id: ID!) { userChanged(id: $id) { name } }"
EDIT = 'mutation($input: SetUserInput!) { setUser(id: "alice", input: $input) { changed } }'
PROTOCOL = Subprotocol("graphql-transport-ws")


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


class Reader:
    """A socket that watches Alice and notes how late it hears of each change."""

    def __init__(self, client: ClientConnection, sent_at: dict[str, float]) -> None:
        self.delays: list[float] = []
        self.last = ""
        self._client = client
        self._sent_at = sent_at
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for text in self._client:
            message: dict[str, Any] = json.loads(text)
            if message["type"] == "next":
                self.last = message["payload"]["data"]["userChanged"]["name"]
                if self.last in self._sent_at:
                    self.delays.append(time.monotonic() - self._sent_at[self.last])


async def test_a_reader_that_stalls_is_noticed_by_nobody_and_soon_gone(gateway: RunningGateway) -> None:
    padding = "x" * 50_000  # some seconds of this are more than the system takes
    gateway.set_user("alice", name="start", welcomeMessage=padding)
    sent_at: dict[str, float] = {}
    clients = [await open_socket(gateway) for _ in range(READERS)]
    readers = [Reader(client, sent_at) for client in clients]
    for client in clients:
        await subscribe(client, 'subscription { userChanged(id: "alice") { name } }')
    await until(lambda: all(reader.last == "start" for reader in readers), 60)

    async def edit(name: str, seconds: float) -> list[float]:
        """Change Alice twenty times a second; return the delays."""
        for reader in readers:
            reader.delays.clear()
        ends, number = time.monotonic() + seconds, 0
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as http:
            while time.monotonic() < ends:
                number += 1
                last = f"{name} {number}"
                sent_at[last] = time.monotonic()
                body = {"query": EDIT, "variables": {"input": {"name": last, "welcomeMessage": padding + last}}}
                assert "errors" not in (await http.post("/graphql", json=body)).json()
                await asyncio.sleep(0.05)
        await until(lambda: all(reader.last == last for reader in readers), 30)
        return [delay for reader in readers for delay in reader.delays]

    await edit("warm", 1)
    without = await edit("without", 5)
    memory = Vitals.of(gateway).memory
    stalled = stall(await open_socket(gateway))
    await subscribe(stalled, 'subscription { userChanged(id: "alice") { name welcomeMessage } }')
    began = time.monotonic()
    editing = asyncio.create_task(edit("with", 20))
    await until(lambda: gateway.metric("userline_sockets") == READERS, 30)
    gone = time.monotonic() - began
    among = await editing
    growth = Vitals.of(gateway).memory - memory
    p99 = [statistics.quantiles(delays, n=100)[98] * 1000 for delays in (without, among)]
    print(f"p99 {p99[0]:.1f} ms without, {p99[1]:.1f} ms with a stalled reader, gone after {gone:.1f} s, {growth:+} kB")
    assert growth < 4096
    assert reaped(gateway) == 1
    for reader in readers:
        reader.task.cancel()
    await asyncio.gather(*(reader.task for reader in readers), return_exceptions=True)
    for client in (*clients, stalled):
        client.transport.abort()
    await asyncio.gather(*(client.wait_closed() for client in (*clients, stalled)))


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
