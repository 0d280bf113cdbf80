"""HTTP/1.1 from many connections in this process: what loads a server where there is no wrk."""

from __future__ import annotations

import asyncio
import re
import time
from itertools import cycle
from typing import TYPE_CHECKING, Final, cast

from bench.sample import Sample, percentile
from bench.servers import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.servers import Address

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def post(body: bytes, token: str) -> bytes:
    """Return the bytes of a request."""
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class PythonLoad:
    """Each connection sends the next request when it has the answer to its last, which must be of ``size`` bytes.

    Each run goes on where the last one has ended.
    """

    def __init__(self, address: Address, connections: int, requests: Sequence[bytes], size: int) -> None:
        self._address = address
        self._count = connections
        self._requests = cycle(requests)
        self._size = size

    async def run(self, seconds: float) -> Sample:
        """Load the server. Connections are opened before the time counts, and closed after."""
        connections = [await connect(self._address) for _ in range(self._count)]
        try:
            busy, started = time.process_time(), time.perf_counter()
            loads = (connection.load(self._requests, self._size, started + seconds) for connection in connections)
            latencies = sorted(latency for each in await asyncio.gather(*loads) for latency in each)
            elapsed, busy = time.perf_counter() - started, time.process_time() - busy
        finally:
            for connection in connections:
                connection.close()
        p50, p99 = (percentile(latencies, percent) * 1e3 for percent in (50, 99))
        return Sample(len(latencies), elapsed, busy, p50, p99)


async def connect(address: Address) -> Connection:
    """Return a connection that is kept alive from one request to the next."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, *address)
    return connection


class Connection(asyncio.Protocol):
    """Asks one request at a time. ``head_size`` is the size of the last answer's head."""

    head_size = 0
    _refusals = False

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes, *, refusals: bool = False) -> bytes:
        """Return the body of the answer. Raises BenchError if it is a refusal, unless ``refusals`` are wanted."""
        self._refusals = refusals
        if self._transport.is_closing():
            raise BenchError("The server closed a connection.")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    async def load(self, requests: Iterator[bytes], size: int, deadline: float) -> list[float]:
        """Ask until the deadline, and return how long each answer took, in seconds."""
        latencies = []
        while (sent := time.perf_counter()) < deadline:
            answer = await self.ask(next(requests))
            latencies.append(time.perf_counter() - sent)
            if len(answer) != size:
                raise BenchError(f"An answer has {len(answer)} bytes, not {size}: {answer[:500]!r}")
        return latencies

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head_end)
        if length is None or not (self._refusals or self._buffer.startswith(b"HTTP/1.1 200")):
            self._fail(f"The server refused a request: {self._buffer[:500]!r}")
            return
        end = head_end + 4 + int(length[1])
        if len(self._buffer) >= end and not self._answer.done():
            self.head_size = head_end + 4
            answer, self._buffer = self._buffer[self.head_size : end], self._buffer[end:]
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"The server closed a connection: {exc}")

    def _fail(self, message: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(BenchError(message))
            self._answer.exception()  # nobody waits for it, if nothing was asked
