"""WebSocket subscriptions of one user, and changes of it, one at a time: how fast everybody hears of each."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from typing import TYPE_CHECKING, Any, Final, Self, cast

import orjson

from bench import users
from bench.http_load import connect
from bench.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from bench.servers import Address

_WATCHED: Final = 1
_PATIENCE: Final = 60.0
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class WatchLoad:
    """``sockets`` sockets with ``each`` subscriptions on each. A delivery is one event that one subscription gets.

    ``writes_to`` is where the user is changed, if that is another gateway of the deployment.
    """

    def __init__(self, address: Address, *, sockets: int, each: int, writes_to: Address | None = None) -> None:
        self._address = address
        self._writes_to = writes_to or address
        self._each = each
        self._count = sockets
        self._sockets: list[_Socket] = []
        self._changes = 0
        self._marker = b""
        self._arrived: list[float] = []
        self._everybody_has_it = asyncio.Event()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._expect(f'"id":"{users.user_id(_WATCHED)}"')
        try:
            async with asyncio.timeout(_PATIENCE):
                for _ in range(self._count):
                    _, socket = await loop.create_connection(lambda: _Socket(self._heard), *self._address)
                    self._sockets.append(socket)
                    await socket.shake_hands()
                    for number in range(self._each):
                        socket.send({"type": "subscribe", "id": str(number), "payload": users.watch(_WATCHED)})
                await self._everybody_has_it.wait()
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    async def run(self, seconds: float) -> Sample:
        """Change the user again and again, each time after everybody has heard of the change before."""
        sample = Sample()
        client = await connect(self._writes_to)
        try:
            while sample.seconds < seconds:
                self._changes += 1
                name = f"Change {self._changes}"
                self._expect(f'"name":"{name}"')
                sent = time.perf_counter()
                async with asyncio.timeout(_PATIENCE):
                    await client.ask(users.write(_WATCHED, name))
                    await self._everybody_has_it.wait()
                sample.seconds += max(self._arrived) - sent
                sample.count += len(self._arrived)
                sample.latencies += [arrived - sent for arrived in self._arrived]
        finally:
            client.close()
        return sample

    def _expect(self, marker: str) -> None:
        self._marker = marker.encode()
        self._arrived = []
        self._everybody_has_it.clear()

    def _heard(self, message: bytes) -> None:
        # Spaces after colons are a matter of taste.
        if self._marker in message or self._marker in message.replace(b'": "', b'":"'):
            self._arrived.append(time.perf_counter())
            if len(self._arrived) == self._count * self._each:
                self._everybody_has_it.set()

    def _close(self) -> None:
        for socket in self._sockets:
            socket.close()


class _Socket(asyncio.Protocol):
    """A WebSocket client that knows what it needs of RFC 6455: unfragmented text, pings."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._buffer = bytearray()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"The server closed a socket: {exc}")

    async def shake_hands(self) -> None:
        """Open the WebSocket, and GraphQL on it."""
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        await self._opened
        self.send({"type": "connection_init"})
        await self._acknowledged

    def send(self, message: dict[str, Any]) -> None:
        self._frame(_TEXT, orjson.dumps(message))

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._opened.done():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._buffer.startswith(b"HTTP/1.1 101"):
                self._fail(f"The server refused a socket: {bytes(self._buffer[:200])!r}")
                return
            del self._buffer[: end + 4]
            self._opened.set_result(None)
        position = 0
        while (frame := _frame_at(self._buffer, position)) is not None:
            opcode, start, end = frame
            self._take(opcode, bytes(self._buffer[start:end]))
            position = end
        del self._buffer[:position]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self._frame(_PONG, payload)
        elif opcode == _CLOSE:
            self._fail(f"The server closed a socket: {payload!r}")
        elif self._acknowledged.done():
            self._heard(payload)
        elif b"connection_ack" in payload:
            self._acknowledged.set_result(None)

    def _frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2)
        # A mask of zeros leaves the payload as it is.
        self._transport.write(bytes([0x80 | opcode]) + length + bytes(4) + payload)

    def _fail(self, message: str) -> None:
        self._transport.abort()
        waited_for = self._acknowledged if self._opened.done() else self._opened
        if not waited_for.done():
            waited_for.set_exception(ConnectionError(message))


def _frame_at(buffer: bytearray, position: int) -> tuple[int, int, int] | None:
    """Return the opcode, start and end of the frame there, or None if it is not complete."""
    have = len(buffer)
    start = position + 2
    if have < start:
        return None
    size = buffer[position + 1]
    if size >= 126:
        extended = 2 if size == 126 else 8
        if have < start + extended:
            return None
        size = int.from_bytes(buffer[start : start + extended])
        start += extended
    return (buffer[position] & 0x0F, start, start + size) if have >= start + size else None
