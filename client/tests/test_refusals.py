"""What a gateway says seldom: a scripted one says it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from userline_client import Active, Backoff, Disconnected, Failed, Forbidden, ProtocolError, Session, UserlineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from websockets.asyncio.server import ServerConnection

SOON = Backoff(base=0.001, ceiling=0.01)


def user(name: str) -> dict[str, Any]:
    return {
        "id": "ann",
        "name": name,
        "custom": {},
        "locale": None,
        "photoUrl": None,
        "role": "default",
        "welcomeMessage": None,
    }


class Script:
    """A gateway that acknowledges each connection, and answers each operation by ``answer``."""

    def __init__(self, answer: Callable[[Script, ServerConnection, dict[str, Any]], Awaitable[None]]) -> None:
        self.answer = answer
        self.connections = 0
        self.operations: list[dict[str, Any]] = []

    async def serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        try:
            await socket.recv()
            await socket.send('{"type":"connection_ack"}')
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "subscribe":
                    self.operations.append(message)
                    await self.answer(self, socket, message)
        except ConnectionClosed:
            pass


async def send(socket: ServerConnection, message: dict[str, Any], kind: str, payload: Any) -> None:
    await socket.send(json.dumps({"id": message["id"], "type": kind, "payload": payload}))


@asynccontextmanager
async def scripted(script: Script, **options: Any) -> AsyncIterator[Session]:
    async with serve(script.serve, "127.0.0.1", 0, subprotocols=[Subprotocol("graphql-transport-ws")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with Session(f"ws://127.0.0.1:{port}/graphql", backoff=SOON, **options) as session:
            yield session


def refusal(code: str) -> list[dict[str, Any]]:
    return [{"message": "No.", "extensions": {"code": code}}]


@pytest.mark.parametrize("code", ["STORE_UNAVAILABLE", "RATE_LIMITED"])
async def test_a_refusal_that_passes_is_tried_again(code: str) -> None:
    async def answer(script: Script, socket: ServerConnection, message: dict[str, Any]) -> None:
        if len(script.operations) < 4:
            await send(socket, message, "error", refusal(code))
        else:
            await send(socket, message, "next", {"data": {"userChanged": user("Ann")}})

    script = Script(answer)
    async with scripted(script) as session:
        subscription = session.user("ann").subscribe()
        async with asyncio.timeout(20):
            await subscription.connected
        assert isinstance(subscription.state, Active)
        assert script.connections == 1


async def test_any_other_refusal_ends_the_subscription() -> None:
    async def answer(_: Script, socket: ServerConnection, message: dict[str, Any]) -> None:
        await send(socket, message, "error", refusal("FORBIDDEN"))

    async with scripted(Script(answer)) as session:
        subscription = session.user("ann").subscribe()
        await subscription.terminated
        assert isinstance(subscription.state, Failed)
        assert isinstance(subscription.state.error, Forbidden)


@pytest.mark.parametrize("code", [4400, 4401, 4406, 4409, 4429])
async def test_what_is_the_clients_mistake_ends_everything(code: int) -> None:
    async def answer(_: Script, socket: ServerConnection, __: dict[str, Any]) -> None:
        await socket.close(code, "a mistake")

    errors: list[UserlineError] = []
    script = Script(answer)
    async with scripted(script, on_error=errors.append) as session:
        with pytest.raises(ProtocolError):
            await session.user("ann").get()
        assert [type(error) for error in errors] == [ProtocolError]
        assert script.connections == 1


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4408, 4430, 4431])
async def test_all_other_closes_are_answered_by_coming_back(code: int) -> None:
    async def answer(script: Script, socket: ServerConnection, message: dict[str, Any]) -> None:
        if script.connections < 3:
            await socket.close(code)
        else:
            await send(socket, message, "next", {"data": {"users": [user("Ann")]}})

    script = Script(answer)
    async with scripted(script) as session:
        found = await session.user("ann").get()
        assert found is not None
        assert found.name == "Ann"
        assert len(script.operations) == 3, "the request was sent on each connection"


async def test_an_answer_from_before_a_change_does_not_take_its_place() -> None:
    asked = asyncio.Event()
    asking: list[tuple[ServerConnection, dict[str, Any]]] = []

    async def answer(_: Script, socket: ServerConnection, message: dict[str, Any]) -> None:
        if "users(" in message["payload"]["query"]:
            asking.append((socket, message))
            asked.set()
        else:
            await send(socket, message, "next", {"data": {"userChanged": user("Newer")}})

    async with scripted(Script(answer)) as session:
        getting = asyncio.create_task(session.user("ann").get())
        await asked.wait()
        subscription = session.user("ann").subscribe()
        await subscription.connected
        socket, message = asking[0]
        await send(socket, message, "next", {"data": {"users": [user("Older")]}})
        found = await getting
        assert found is subscription.latest_snapshot
        assert found is not None
        assert found.name == "Newer"


async def test_what_was_read_is_forgotten_with_the_connection() -> None:
    async def answer(script: Script, socket: ServerConnection, message: dict[str, Any]) -> None:
        await send(socket, message, "next", {"data": {"users": [user(str(script.connections))]}})
        if len(script.operations) == 1:
            await socket.close(1012)

    async with scripted(Script(answer)) as session:
        first = await session.user("ann").get()
        await asyncio.sleep(0.2)
        second = await session.user("ann").get()
        assert (first and first.name, second and second.name) == ("1", "2")


async def test_requests_have_a_time_limit() -> None:
    async with Session("ws://127.0.0.1:9/graphql", timeout=0.3, backoff=SOON) as session:
        with pytest.raises(Disconnected):
            await session.user("ann").get()
