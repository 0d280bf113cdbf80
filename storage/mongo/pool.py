"""Closes at once what PyMongo's async client leaves to the garbage collector."""

from __future__ import annotations

import asyncio
import socket
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Final

from pymongo.asynchronous.pool import Pool

if TYPE_CHECKING:
    from pymongo.asynchronous.pool import AsyncConnection

_CONNECTS: Final = "_async_create_connection"
"""The function of PyMongo that makes a socket, connects it, and closes it after any error but a cancellation."""


class TidyPool(Pool):
    """A pool that closes the socket of a connection that is abandoned while it is being opened.

    Closing a client cancels its monitors, and a monitor may just be connecting. PyMongo 4.20 then drops the socket: its
    file stays open until a collection finds it.
    """

    async def connect(self, *arguments: Any, **options: Any) -> AsyncConnection:
        """Return a new connection."""
        try:
            return await super().connect(*arguments, **options)
        except asyncio.CancelledError as error:
            for frame, _ in walk_tb(error.__traceback__):
                made = frame.f_locals.get("sock")
                if frame.f_code.co_name == _CONNECTS and isinstance(made, socket.socket):
                    made.close()
            raise
