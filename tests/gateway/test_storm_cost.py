"""Coming back costs the gateway no more of its processor than coming did."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.waiting import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.alone

SOCKETS = 1000 if int(os.environ.get("USERLINE_TEST_STORMS", "1")) > 1 else 150
ROUNDS = 3
AT_ONCE = 50
TOLERANCE = 1.5
"""What one measurement differs from the next anyway, beside others on the same processors."""


def processor_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    running = await asyncio.to_thread(RunningGateway, tmp_path, "--max-new-sockets-per-address", "0")
    for number in range(SOCKETS):
        running.set_user(f"user {number}", name=f"User {number}")
    yield running
    assert await asyncio.to_thread(running.stop) == 0


async def come(gateway: RunningGateway, stack: AsyncExitStack) -> list[ClientConnection]:
    """Open the sockets, each with a watch of a user of its own, and return when each has its first event."""
    door = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> ClientConnection:
        async with door:
            opening = connect(gateway.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")])
            socket = await stack.enter_async_context(opening)
            await socket.send('{"type":"connection_init"}')
            await socket.recv()
            query = "subscription($id: ID!) { userChanged(id: $id) { id name } }"
            payload = {"query": query, "variables": {"id": f"user {number}"}}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            assert json.loads(await socket.recv())["payload"]["data"]["userChanged"]["name"] == f"User {number}"
            return socket

    return list(await asyncio.gather(*(one(number) for number in range(SOCKETS))))


async def test_coming_back_costs_no_more_than_coming(gateway: RunningGateway) -> None:
    process_id = gateway.process.pid
    came: list[float] = []
    came_back: list[float] = []
    for _ in range(ROUNDS + 1):  # the first one is for what is made once
        async with AsyncExitStack() as stack:
            before = processor_seconds(process_id)
            sockets = await come(gateway, stack)
            connected = processor_seconds(process_id)
            for socket in sockets:
                socket.transport.abort()
            await come(gateway, stack)
            came.append(connected - before)
            came_back.append(processor_seconds(process_id) - connected)
        await until(lambda: not gateway.metric("userline_sockets"))
    first, again = min(came[1:]), min(came_back[1:])
    print(
        f"{SOCKETS} sockets: {1000 * first / SOCKETS:.2f} ms each to come, {1000 * again / SOCKETS:.2f} ms to come back"
    )
    assert again < first * TOLERANCE + 2 / os.sysconf("SC_CLK_TCK"), (came, came_back)
