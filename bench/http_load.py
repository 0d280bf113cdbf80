"""HTTP/1.1 from many connections: each sends its next request when it has the answer to the one before."""

from __future__ import annotations

import asyncio
import re
import time
from itertools import islice
from typing import TYPE_CHECKING, Final, Self, cast

from bench.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from bench.servers import Address

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class HTTPLoad:
    """``requests(n)`` are the requests of connection ``n``, without an end."""

    def __init__(self, address: Address, connections: int, requests: Callable[[int], Iterator[bytes]]) -> None:
        self._address = address
        self._requests = [requests(number) for number in range(connections)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    async def run(self, seconds: float) -> Sample:
        """Load the server. Connections are opened before the time counts, and closed after."""
        loop = asyncio.get_running_loop()
        connections: list[_Connection] = []
        try:
            for requests in self._requests:
                _, connection = await loop.create_connection(_Connection, *self._address)
                connections.append(connection)
                connection.requests = requests
            sample = Sample(seconds=seconds)
            deadline = time.perf_counter() + seconds
            await asyncio.gather(*(connection.start(sample, deadline) for connection in connections))
        finally:
            for connection in connections:
                connection.close()
        return sample


async def ask(address: Address, request: bytes) -> bytes:
    """Return the body of the answer to one request."""
    client = await connect(address)
    try:
        return await client.ask(request)
    finally:
        client.close()


async def connect(address: Address) -> _Connection:
    """Return a connection that is kept alive from one ``ask`` to the next."""
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, *address)
    return connection


class _Connection(asyncio.Protocol):
    requests: Iterator[bytes]

    def __init__(self) -> None:
        self._buffer = b""
        self._done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._sample = Sample()
        self._deadline = 0.0
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def start(self, sample: Sample, deadline: float) -> asyncio.Future[bytes]:
        """Send requests until the deadline; the future is done when all are answered."""
        self._sample = sample
        self._deadline = deadline
        self._send(next(self.requests))
        return self._done

    async def ask(self, request: bytes) -> bytes:
        self._done = asyncio.get_running_loop().create_future()
        self._send(request)
        return await self._done

    def close(self) -> None:
        self._transport.abort()
        if not self._done.done():
            self._done.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head_end)
        if length is None:
            self._fail(ValueError(f"An answer has no Content-Length: {self._buffer[:200]!r}"))
            return
        if len(self._buffer) >= head_end + 4 + int(length[1]):
            answer, self._buffer = self._buffer, b""
            self._answered(answer, head_end + 4)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionError(f"The server closed a connection: {exc}"))

    def _answered(self, answer: bytes, body_start: int) -> None:
        now = time.perf_counter()
        if not answer.startswith(b"HTTP/1.1 200") or b'"errors"' in answer:
            self._fail(ValueError(f"The server refused a request: {answer[:500]!r}"))
            return
        self._sample.latencies.append(now - self._sent)
        if now < self._deadline:
            self._sample.count += 1
            self._send(next(self.requests))
        elif not self._done.done():
            self._done.set_result(answer[body_start:])

    def _send(self, request: bytes) -> None:
        self._sent = time.perf_counter()
        self._transport.write(request)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


def cycle_from(requests: list[bytes], start: int) -> Iterator[bytes]:
    """Yield the requests again and again, beginning with the one at ``start``."""
    while True:
        yield from islice(requests, start, None)
        yield from islice(requests, start)
