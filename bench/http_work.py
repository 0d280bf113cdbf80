"""Operations over HTTP, in turn, whose answers are known."""

from __future__ import annotations

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
        """Return the size of an answer's body and of the whole answer; all are equally long."""
        connection = await connect(server.address)
        sizes = set()
        try:
            for number, operation in enumerate(operations):
                answer = await connection.ask(post(operation.body, token))
                sizes.add((len(answer), connection.head_size + len(answer)))
                if (server.name not in self.fixed or number == 0) and orjson.loads(answer) != operation.answer:
                    raise BenchError(f"{server.name} answers {answer.decode()}, not {operation.answer}.")
        finally:
            connection.close()
        if len(sizes) != 1:
            raise BenchError(f"{server.name} has answers of several sizes: {sorted(sizes)}.")
        return sizes.pop()
