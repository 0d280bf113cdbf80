"""One socket that the gateway has acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from userline_client.documents import token_message
from userline_client.errors import ProtocolError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

OPEN_SECONDS = 10.0
"""How long the handshake may take, and then the acknowledgement."""
_CLOSE_SECONDS = 2.0


def open_socket(url: str) -> connect:
    """Return the context manager of a new socket. Lost connections show by unanswered pings, within 40 s."""
    return connect(
        url,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        compression=None,
        max_size=None,  # 1,000 users are as large as they are
        open_timeout=OPEN_SECONDS,
        close_timeout=_CLOSE_SECONDS,
    )


async def acknowledge(socket: ClientConnection, token: str | None) -> None:
    """Say who is asking, and wait until the gateway agrees."""
    if socket.subprotocol is None:
        raise ProtocolError("There is no userline gateway at this URL: it does not speak graphql-transport-ws.")
    await socket.send(token_message("connection_init", token))
    async with asyncio.timeout(OPEN_SECONDS):
        while read_message(await socket.recv())["type"] != "connection_ack":
            pass


def read_message(text: str | bytes) -> dict[str, Any]:
    """Return a message of the gateway. Raises ``ProtocolError``."""
    try:
        message = json.loads(text)
        if isinstance(message["type"], str):
            return dict(message)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise ProtocolError("The gateway sent a message that is none.")


class Link:
    """Sends messages over a socket in their order, without making anybody wait."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._outbox: deque[str] = deque()
        self._wake = asyncio.Event()
        self.is_closing: bool = False
        """Whether this side is closing the socket."""

    def send(self, message: str) -> None:
        """Send a message after those before it."""
        self._outbox.append(message)
        self._wake.set()

    def close(self) -> None:
        """Close the socket after what is still to be sent."""
        self.is_closing = True
        self._wake.set()

    async def write(self) -> None:
        """Send until ``close`` is called. Raises ``ConnectionClosed``."""
        while self._outbox or not self.is_closing:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                await self._socket.send(self._outbox.popleft())
        await self._socket.close()
