"""A line that takes its time: ``python -m bench.delay HOST PORT MILLISECONDS`` forwards TCP to there, on a free port.

Every piece of bytes arrives so much later than it was sent, in each direction, and pieces travel at the same time, as
they do on a real line: the delay takes nothing from the throughput. It is good to half a millisecond.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit, urlunsplit

import uvloop

from bench.servers import BenchError, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_TOLERANCE: Final = 0.0005
"""Timers wake at whole milliseconds: what is due in less than this is sent with what is due now."""

_UNDER_WAY: Final = 64 * 2**20
"""How many bytes may be under way in one direction before its sender has to wait."""


class _Direction(asyncio.Protocol):
    """Takes what one end sends, and has the other end hear of it later. ``None`` under way is the end of it all."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[tuple[float, bytes | None]] = deque()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self.transport: asyncio.Transport | None = None
        self.other: _Direction | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(_UNDER_WAY)
        if self._under_way:
            self._look()

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        self.other.deliver(data)

    def eof_received(self) -> bool:
        assert self.other is not None
        self.other.deliver(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        assert self.other is not None
        self.other.deliver(None)
        if self._timer is not None:
            self._timer.cancel()
        self._under_way.clear()

    def deliver(self, data: bytes | None) -> None:
        """Send that to this end when its time has come."""
        self._under_way.append((time.monotonic() + self._delay, data))
        self._bytes += len(data or b"")
        self._balance()
        if self._timer is None and self.transport is not None:
            self._timer = self._loop.call_later(self._delay, self._look)

    def _look(self) -> None:
        self._timer = None
        transport, under_way = self.transport, self._under_way
        assert transport is not None
        now = time.monotonic()
        while under_way and under_way[0][0] - now <= _TOLERANCE:
            _, data = under_way.popleft()
            if data is None:
                transport.close()
                return
            self._bytes -= len(data)
            if not transport.is_closing():
                transport.write(data)
        self._balance()
        if under_way:
            self._timer = self._loop.call_later(max(under_way[0][0] - now, 0), self._look)

    def _balance(self) -> None:
        assert self.other is not None
        pause = self._bytes > _UNDER_WAY
        sender = self.other.transport
        if pause is not self._paused and sender is not None and not sender.is_closing():
            self._paused = pause
            if pause:
                sender.pause_reading()
            else:
                sender.resume_reading()


async def serve(host: str, port: int, delay: float) -> asyncio.Server:
    """Forward what comes in on a free port, each way so many seconds later."""
    loop = asyncio.get_running_loop()

    def begin() -> _Direction:
        near, far = _Direction(delay), _Direction(delay)
        near.other, far.other = far, near
        connecting = loop.create_task(loop.create_connection(lambda: far, host, port))
        under_way.add(connecting)
        connecting.add_done_callback(lambda task: _connected(task, near))
        return near

    def _connected(task: asyncio.Task[tuple[asyncio.Transport, _Direction]], near: _Direction) -> None:
        under_way.discard(task)
        if task.exception() is not None and near.transport is not None:
            near.transport.abort()

    under_way: set[asyncio.Task[tuple[asyncio.Transport, _Direction]]] = set()
    return await loop.create_server(begin, "127.0.0.1", backlog=2048)


@asynccontextmanager
async def delayed(url: str, milliseconds: float, home: Path, environment: Mapping[str, str]) -> AsyncIterator[str]:
    """Run such a line to the one server that a MongoDB URL names, in a process of its own; give the URL by it."""
    parts = urlsplit(url)
    if "," in parts.netloc or parts.scheme != "mongodb" or parts.hostname is None:
        raise BenchError(
            "Only a URL with one server (mongodb://HOST:PORT) can be reached by a line that takes its time."
        )
    command = [sys.executable, "-m", "bench.delay", parts.hostname, str(parts.port or 27017), str(milliseconds)]
    home.mkdir()
    async with running("delay", command, home, environment) as line:
        user, at, _ = parts.netloc.rpartition("@")
        netloc = f"{user}{at}{line.address[0]}:{line.address[1]}"
        # A client that asks a replica set for its members would go around the line.
        query = "&".join(filter(None, [parts.query, "directConnection=true"]))
        yield urlunsplit(parts._replace(netloc=netloc, query=query))


async def _main(host: str, port: int, milliseconds: float) -> None:
    server = await serve(host, port, milliseconds / 1000)
    print("http://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
