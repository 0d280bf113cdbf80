"""What a connection leaves behind is freed by reference counts: no collection has to find it."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import socket
import struct
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from tests.support.waiting import until

from userline.gateway.runtime import Runtime
from userline.gateway.server import make_config
from userline.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

LIVES = 20
OURS = ("userline", "uvicorn", "websockets", "httptools", "starlette")

WATCH = 'subscription { userChanged(id: "a") { name } }'
WATCH_ANOTHER_WAY = 'subscription($named: Boolean!) { userChanged(id: "a") { name id @include(if: $named) } }'
WRITE = 'mutation { setUser(id: "a", input: {name: "A"}) { changed } }'


@contextmanager
def connected(port: int, data: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 20) as made:
        made.sendall(data)
        yield made


def post(query: str, *lines: str, path: str = "/graphql", **variables: object) -> bytes:
    body = json.dumps({"query": query, "variables": variables}).encode()
    head = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def shake_hands(protocol: str, *lines: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    head = [
        "GET /graphql HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
    ]
    head += [f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Protocol: {protocol}", *lines]
    return "\r\n".join([*head, "", ""]).encode()


def frame(message: dict[str, Any] | None) -> bytes:
    """Return a masked text, or a close."""
    payload = struct.pack("!H", 1000) if message is None else json.dumps(message).encode()
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0xFE]) + len(payload).to_bytes(2)
    return bytes([0x88 if message is None else 0x81]) + length + bytes(4) + payload


def read_until(made: socket.socket, part: bytes) -> None:
    found = b""
    while part not in found:
        data = made.recv(65_536)
        assert data, found
        found += data


def reset(made: socket.socket) -> None:
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def life_of_requests(port: int, *requests: bytes) -> None:
    with connected(port) as made:
        for request in requests:
            made.sendall(request)
            read_until(made, b"\r\n\r\n")


def life_of_a_socket(
    port: int, *messages: dict[str, Any], protocol: str = "graphql-transport-ws", until: bytes, end: str
) -> None:
    with connected(port, shake_hands(protocol)) as made:
        read_until(made, b"\r\n\r\n")
        made.sendall(frame({"type": "connection_init"}))
        for message in messages:
            made.sendall(frame(message))
        read_until(made, until)
        if end == "close":
            made.sendall(frame(None))
            made.shutdown(socket.SHUT_WR)
            while made.recv(65_536):
                pass
        elif end == "reset":
            reset(made)


def life_of_a_half(port: int, data: bytes) -> None:
    with connected(port, data) as made:
        made.shutdown(socket.SHUT_WR)
        while made.recv(65_536):
            pass


def operation(query: str, kind: str = "subscribe", **variables: object) -> dict[str, Any]:
    return {"id": "1", "type": kind, "payload": {"query": query, "variables": variables}}


def life_of_a_stream(port: int, accept: str, end: str) -> None:
    with connected(port, post(WATCH, f"Accept: {accept}")) as made:
        read_until(made, b"userChanged")
        if end == "reset":
            reset(made)


ENDS = ("close", "cut", "reset")
READ = post('{ user(id: "a") { name } }')
SOCKETS: dict[str, tuple[tuple[dict[str, Any], ...], str, bytes]] = {
    "nothing asked": ((), "graphql-transport-ws", b"connection_ack"),
    "a watch": ((operation(WATCH),), "graphql-transport-ws", b"userChanged"),
    "a watch with a task": ((operation(WATCH_ANOTHER_WAY, named=True),), "graphql-transport-ws", b"userChanged"),
    "a legacy watch": ((operation(WATCH, "start"),), "graphql-ws", b"userChanged"),
    "a write": ((operation(WRITE),), "graphql-transport-ws", b"setUser"),
    "a mistake": ((operation("{ nothing }"),), "graphql-transport-ws", b'"error"'),
    "a watch that was stopped": (
        (operation(WATCH), {"id": "1", "type": "complete"}, operation(WRITE)),
        "graphql-transport-ws",
        b"setUser",
    ),
}
HALF = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"

LIFES: dict[str, Callable[[int], None]] = {
    "reads": lambda port: life_of_requests(port, READ, READ),
    "a batch in a pipeline": lambda port: life_of_requests(port, READ * 3),
    "a write": lambda port: life_of_requests(port, post(WRITE)),
    "no GraphQL": lambda port: life_of_requests(port, post("{")),
    "no JSON": lambda port: life_of_requests(port, HALF + b"\r\n" + b"x" * 100),
    "no HTTP": lambda port: life_of_requests(port, b"no HTTP\r\n\r\n"),
    "large headers": lambda port: life_of_requests(port, HALF + b"X: " + b"x" * 20_000 + b"\r\n\r\n"),
    "nothing there": lambda port: life_of_requests(port, b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "health": lambda port: life_of_requests(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "REST": lambda port: life_of_requests(port, b"GET /v1/userline/users/a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "half a head": lambda port: life_of_a_half(port, HALF),
    "half a body": lambda port: life_of_a_half(port, HALF + b"\r\n{"),
    "a handshake without a subprotocol": lambda port: life_of_requests(port, shake_hands("another")),
    "a handshake without a key": lambda port: life_of_requests(port, shake_hands("graphql-ws").replace(b"Key", b"Kez")),
    "a frame that is none": lambda port: life_of_a_half(port, shake_hands("graphql-ws") + b"\xff\xff"),
    "a text that is none": lambda port: life_of_a_half(port, shake_hands("graphql-ws") + b"\x81\x81\0\0\0\0\xff"),
    "a frame that is not masked": lambda port: life_of_a_half(port, shake_hands("graphql-ws") + b"\x81\x01a"),
    **{
        f"a stream ({accept}), {end}": lambda port, accept=accept, end=end: life_of_a_stream(port, accept, end)  # type: ignore[misc]
        for accept in ("text/event-stream", "multipart/mixed;subscriptionSpec=1.0")
        for end in ENDS[1:]
    },
    **{
        f"a socket with {name}, {end}": lambda port, of=of, end=end: life_of_a_socket(  # type: ignore[misc]
            port, *of[0], protocol=of[1], until=of[2], end=end
        )
        for name, of in SOCKETS.items()
        for end in ENDS
    },
}


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    """Serve a gateway in this process: its port, and what knows the connections."""
    runtime = Runtime(Settings(store_url=f"sqlite:///{directory}/users.db", access_log=False, env="development"))
    config = make_config(runtime.settings, runtime.make_app(), runtime.drain, runtime.lane)
    config.load()
    server = uvicorn.Server(config)

    def protocol() -> asyncio.Protocol:
        return config.http_protocol_class(config=config, server_state=server.server_state, app_state={})  # type: ignore[call-arg]

    async with runtime.running():
        listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1")
        try:
            yield listener.sockets[0].getsockname()[1], server
        finally:
            listener.close()


@pytest.mark.parametrize("life", LIFES)
async def test_a_connection_that_is_over_leaves_no_garbage(
    tmp_path: Path, life: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "enable", gc.disable)  # documents are prepared with it off
    async with served(tmp_path) as (port, server):
        state = server.server_state

        async def live(times: int) -> None:
            for _ in range(times):
                await asyncio.to_thread(LIFES[life], port)
            await until(lambda: not state.connections and not state.tasks)

        await asyncio.to_thread(life_of_requests, port, post(WRITE))
        await live(3)
        gc.disable()
        try:
            gc.collect()
            await live(LIVES)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            found = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            monkeypatch.undo()
            gc.enable()
    ours = {name: count for name, count in found.items() if name.startswith(OURS) and count >= LIVES / 4}
    assert not ours, f"{ours} {found.most_common(40)}"
