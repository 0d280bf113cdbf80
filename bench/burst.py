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
    from bench.servers import Server

    Request = tuple[bytes, Callable[[Any], bool]]
    """The bytes to send, and whether the JSON that comes is right."""


@dataclass(frozen=True, slots=True)
class BurstWork:
    """``requests`` makes them, given a token. What is not answered rightly is no error: it is counted as failed."""

    requests: Callable[[str], Sequence[Request]]

    @asynccontextmanager
    async def begin(self, server: Server) -> AsyncIterator[Load]:
        """Open the connections."""
        requests = self.requests(make_token())
        connections = [await connect(server.address) for _ in requests]
        try:
            yield _BurstLoad(connections, requests)
        finally:
            for connection in connections:
                connection.close()


class _BurstLoad:
    def __init__(self, connections: Sequence[Connection], requests: Sequence[Request]) -> None:
        self._connections = connections
        self._requests = requests

    async def run(self, seconds: float) -> Sample:
        busy, started = time.process_time(), time.perf_counter()
        latencies: list[float] = []
        failed = 0
        while time.perf_counter() - started < seconds:
            asked = (self._ask(*each) for each in zip(self._connections, self._requests, strict=True))
            for took in await asyncio.gather(*asked):
                if took is None:
                    failed += 1
                else:
                    latencies.append(took)
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
        answer = await connection.ask(data, refusals=True)
        took = time.perf_counter() - sent
        try:
            return took if is_right(orjson.loads(answer)) else None
        except orjson.JSONDecodeError:
            return None
