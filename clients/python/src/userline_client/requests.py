"""Queries and mutations: one question, one answer, in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from userline_client.documents import encode_operation
from userline_client.errors import ConnectionTimeout, Disconnected
from userline_client.operations import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from userline_client.connection import Connection

T = TypeVar("T")


class Requests:
    """Asks over a connection; over several sockets, if they are lost, until the time has run out."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    async def ask(self, document: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """Return the data of the answer."""
        request = Request(encode_operation(document, variables))
        self._connection.start(request)
        try:
            return await self.in_time(request.result)
        finally:
            self._connection.stop(request)

    async def in_time(self, awaited: Awaitable[T]) -> T:
        """Wait for something. Raises ``ConnectionTimeout``, and ``Disconnected`` if there is no connection."""
        try:
            async with asyncio.timeout(self._timeout):
                return await awaited
        except TimeoutError:
            raise self._out_of_time() from None

    def _out_of_time(self) -> ConnectionTimeout:
        if self._connection.is_open:
            return ConnectionTimeout(f"The gateway did not answer within {self._timeout:g} s.")
        problem = self._connection.problem
        because = f": {problem}" if problem else "."
        return Disconnected(f"There was no connection to the gateway for {self._timeout:g} s{because}")
