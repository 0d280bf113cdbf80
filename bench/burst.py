"""Many different requests at the same moment, each on a connection of its own, and again when all are answered."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from bench.http_load import connect
from bench.sample import Sample, percentile
from bench.servers import BenchError
from bench.site import make_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from typing import Any

    from bench.http_load import Connection
    from bench.sample import Load
    from bench.servers import Address, Server

    Request = tuple[bytes, Callable[[Any], bool]]
    """The bytes to send, and whether the JSON that comes is right."""


@dataclass(frozen=True, slots=True)
class BurstWork:
    """``requests`` makes them, given a token. What is not answered rightly is no error: it is counted as failed."""

    requests: Callable[[str], Sequence[Request]]

    @asynccontextmanager
    async def begin(self, server: Server) -> AsyncIterator[Load]:
        """Make the requests."""
        yield _BurstLoad(server.address, self.requests(make_token()))


class _BurstLoad:
    def __init__(self, address: Address, requests: Sequence[Request]) -> None:
        self._address = address
        self._requests = requests

    async def run(self, seconds: float) -> Sample:
        """Ask everything at once, again and again. Connections are opened before the time counts."""
        connections = [await connect(self._address) for _ in self._requests]
        try:
            return await self._ask_all(connections, seconds)
        finally:
            for connection in connections:
                connection.close()

    async def _ask_all(self, connections: list[Connection], seconds: float) -> Sample:
        busy, started = time.process_time(), time.perf_counter()
        latencies: list[float] = []
        failed = 0
        while time.perf_counter() - started < seconds:
            asked = (self._ask(*each) for each in zip(connections, self._requests, strict=True))
            for number, took in enumerate(await asyncio.gather(*asked)):
                if took is not None:
                    latencies.append(took)
                    continue
                failed += 1
                connections[number].close()
                connections[number] = await connect(self._address)
        elapsed, busy = time.perf_counter() - started, time.process_time() - busy
        if not latencies:
            raise BenchError(f"Not one of {failed} requests was answered rightly.")
        latencies.sort()
        p50, p99 = (percentile(latencies, percent) * 1e3 for percent in (50, 99))
        return Sample(len(latencies), elapsed, busy, p50, p99, failed)

    async def _ask(self, connection: Connection, request: Request) -> float | None:
        """Return how long the answer took in seconds, or None if it is not the right one."""
        data, is_right = request
        sent = time.perf_counter()
        try:
            answer = await connection.ask(data, refusals=True)
            took = time.perf_counter() - sent
            return took if is_right(orjson.loads(answer)) else None
        except (BenchError, orjson.JSONDecodeError):
            return None
