"""Operations over HTTP, in turn, whose answers are known."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from bench.http_load import PythonLoad, connect, post
from bench.servers import BenchError
from bench.site import make_token
from bench.wrk import WrkLoad, find_wrk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bench.sample import Load
    from bench.servers import Server
    from bench.users import Operation


@dataclass(frozen=True, slots=True)
class HTTPWork:
    """``operations`` makes them, once for each server. Of a server in ``fixed``, which answers always alike, the first
    answer alone is looked at.
    """

    operations: Callable[[], Sequence[Operation]]
    connections: int = 32
    fixed: tuple[str, ...] = ("bare-uvicorn", "limit")

    @asynccontextmanager
    async def begin(self, server: Server) -> AsyncIterator[Load]:
        """Ask every operation once and compare the answers with the right ones."""
        operations = self.operations()
        token = make_token()
        body_size, whole_size = await self._check(server, operations, token)
        bodies = [operation.body for operation in operations]
        if find_wrk():
            yield WrkLoad(server.address, self.connections, bodies, whole_size, token)
        else:
            requests = [post(body, token) for body in bodies]
            yield PythonLoad(server.address, self.connections, requests, body_size)

    async def _check(self, server: Server, operations: Sequence[Operation], token: str) -> tuple[int, int]:
        """Return the size of an answer's body and of the whole answer; all are equally long.

        As many are asked at once as under load, so that a far store takes no minutes, and in the order of the load.
        """
        connections = [await connect(server.address) for _ in range(self.connections)]
        sizes = set()
        try:
            for first in range(0, len(operations), len(connections)):
                some = operations[first : first + len(connections)]
                asked = (each.ask(post(one.body, token)) for each, one in zip(connections, some, strict=False))
                for number, answer in enumerate(await asyncio.gather(*asked)):
                    sizes.add((len(answer), connections[number].head_size + len(answer)))
                    looked_at = server.name not in self.fixed or first + number == 0
                    if looked_at and orjson.loads(answer) != some[number].answer:
                        raise BenchError(f"{server.name} answers {answer.decode()}, not {some[number].answer}.")
        finally:
            for connection in connections:
                connection.close()
        if len(sizes) != 1:
            raise BenchError(f"{server.name} has answers of several sizes: {sorted(sizes)}.")
        return sizes.pop()
