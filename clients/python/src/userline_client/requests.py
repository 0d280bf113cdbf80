"""Queries and mutations: one question, one answer, in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from userline_client.documents import encode_operation
from userline_client.errors import ConnectionTimeout, Disconnected
from userline_client.operations import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from userline_client.connection import Connection

T = TypeVar("T")


class Requests:
    """Asks over a connection; over several sockets, if they are lost, until the time has run out."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    async def ask(self, document: str, variables: Mapping[str, object], take: Callable[[dict[str, Any]], T]) -> T:
        """Return what ``take`` makes of the data of the answer, before anything that comes later is looked at.

        What ``take`` raises says that the answer is none.
        """
        request = Request(encode_operation(document, variables), take)
        self._connection.start(request)
        try:
            result: T = await self.in_time(request.result)
            return result
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
