"""A TCP proxy whose connections can be cut."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass
class Traffic:
    """What has gone one way: bytes, and frames of WebSocket that have a message or a part of one."""

    bytes: int = 0
    frames: int = 0


class Frames:
    """Counts the frames of one direction of one connection."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._buffer = bytearray()
        self._is_http = True
        self._skip = 0

    def feed(self, data: bytes) -> None:
        """Take what went through."""
        self._traffic.bytes += len(data)
        self._buffer += data
        if self._is_http:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._is_http = False
            del self._buffer[: end + 4]
        while True:
            skipped = min(self._skip, len(self._buffer))
            del self._buffer[:skipped]
            self._skip -= skipped
            if self._skip or len(self._buffer) < 2:
                return
            opcode, short = self._buffer[0] & 0x0F, self._buffer[1] & 0x7F
            more = {126: 2, 127: 8}.get(short, 0)
            if len(self._buffer) < 2 + more:
                return
            size = int.from_bytes(self._buffer[2 : 2 + more]) if more else short
            self._traffic.frames += opcode < 8
            self._skip = 2 + more + (4 if self._buffer[1] & 0x80 else 0) + size


class Proxy:
    """Forwards to ``port`` of the loopback address.

    ``budget`` says of each new connection how many bytes may come back through it before it is cut, which can be in the
    middle of a message; ``None`` is any number.
    """

    def __init__(self, port: int, budget: Callable[[], int | None]) -> None:
        self._port = port
        self.budget = budget
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._swallowing: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_open = True
        """Whether new connections are let through; otherwise they are cut at once."""
        self.accepted = 0
        """How many connections were let through."""
        self.up = Traffic()
        self.down = Traffic()
        """What has gone through, over all connections."""
        self.cuts = 0
        """How many connections were cut while they were open."""
        self.url = ""

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/graphql"
        return server

    def cut(self) -> None:
        """Cut every connection, as a network does that is gone."""
        for pair in list(self._pairs):
            self._pairs.discard(pair)
            self.cuts += 1
            for writer in pair:
                writer.transport.abort()

    def swallow(self) -> None:
        """Let nothing through any more that comes over the connections there are, without ending them."""
        self._swallowing |= self._pairs

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.is_open:
                raise ConnectionAbortedError
            self.accepted += 1
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            pair = (writer, back)
            self._pairs.add(pair)
            try:
                _, is_used_up = await asyncio.gather(
                    self._pump(reader, pair, back, self.up, None),
                    self._pump(there, pair, writer, self.down, self.budget()),
                )
                self.cuts += is_used_up
            finally:
                self._pairs.discard(pair)
                self._swallowing.discard(pair)
                for each in pair:
                    each.transport.abort()
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
        traffic: Traffic,
        budget: int | None,
    ) -> bool:
        """Forward until one side ends or the budget is used up, and return whether it was that."""
        left = 2**62 if budget is None else budget
        frames = Frames(traffic)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if pair in self._swallowing:
                    continue
                frames.feed(data[:left])
                writer.write(data[:left])
                await writer.drain()
                left -= len(data)
                if left <= 0:
                    break
        writer.close()
        return left <= 0

    async def stop(self) -> None:
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy_to(port: int, budget: Callable[[], int | None] = lambda: None) -> AsyncIterator[Proxy]:
    """Start a proxy, and stop it on the way out."""
    proxy = Proxy(port, budget)
    server = await proxy.start()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
        await server.wait_closed()
