"""One socket that the gateway has acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from userline_client.documents import token_message
from userline_client.errors import ProtocolError

OPEN_SECONDS: Final = 10.0
"""How long the handshake may take, and then the acknowledgement."""
_CLOSE_SECONDS: Final = 2.0
_PING: Final = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gateway lets one socket do. Without its word, it is what gateways did before they told."""

    message_bytes: int = 65_536
    subscriptions: int = 1_000
    watched_users: int = 5_000


class Socket(ClientConnection):
    """Counts what it has received, so that whoever watches over it sees that the other end lives."""

    heard: int = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes from the network."""
        self.heard += len(data)
        super().data_received(data)


def open_socket(url: str) -> connect:
    """Return the context manager of a new socket. That it is lost is found out by ``Liveness``."""
    return connect(
        url,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        compression=None,
        max_size=None,  # 1,000 users are as large as they are
        open_timeout=OPEN_SECONDS,
        ping_interval=None,
        close_timeout=_CLOSE_SECONDS,
        create_connection=Socket,
    )


async def acknowledge(socket: ClientConnection, token: str | None) -> Limits:
    """Say who is asking, wait until the gateway agrees, and return the limits that it tells."""
    if socket.subprotocol is None:
        raise ProtocolError("There is no userline gateway at this URL: it does not speak graphql-transport-ws.")
    await socket.send(token_message("connection_init", token))
    async with asyncio.timeout(OPEN_SECONDS):
        while (message := read_message(await socket.recv()))["type"] != "connection_ack":
            pass
    return _read_limits(message.get("payload"))


def _read_limits(payload: Any) -> Limits:
    limits = payload.get("limits") if isinstance(payload, dict) else None
    if not isinstance(limits, dict):
        return Limits()

    def told(name: str, otherwise: int) -> int:
        value = limits.get(name)
        return value if isinstance(value, int) and value > 0 else otherwise

    usual = Limits()
    return Limits(
        message_bytes=told("messageBytes", usual.message_bytes),
        subscriptions=told("subscriptions", usual.subscriptions),
        watched_users=told("watchedUsers", usual.watched_users),
    )


def read_message(text: str | bytes) -> dict[str, Any]:
    """Return a message of the gateway. Raises ``ProtocolError``."""
    try:
        message = json.loads(text)
        if isinstance(message["type"], str):
            return dict(message)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise ProtocolError("The gateway sent a message that is not valid.")


class Link:
    """Sends messages over a socket in their order, without making anybody wait."""

    def __init__(self, socket: ClientConnection, limits: Limits) -> None:
        self._socket = socket
        self._outbox: deque[str | None] = deque()
        self._wake = asyncio.Event()
        self.limits: Limits = limits
        self.is_closing: bool = False
        """Whether this side is closing the socket."""

    @property
    def heard(self) -> int:
        """How many bytes have come."""
        return self._socket.heard if isinstance(self._socket, Socket) else 0

    def send(self, message: str) -> None:
        """Send a message after those before it."""
        self._outbox.append(message)
        self._wake.set()

    def ping(self) -> None:
        """Ask the other end for a sign of life, after the messages before it."""
        self._outbox.append(_PING)
        self._wake.set()

    def close(self) -> None:
        """Close the socket after what is still to be sent."""
        self.is_closing = True
        self._wake.set()

    def give_up(self) -> None:
        """End the socket at once: nobody is at its other end."""
        self._socket.transport.abort()

    async def write(self) -> None:
        """Send until ``close`` is called. Raises ``ConnectionClosed``."""
        while self._outbox or not self.is_closing:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                message = self._outbox.popleft()
                await (self._socket.ping() if message is _PING else self._socket.send(message))
        await self._socket.close()
