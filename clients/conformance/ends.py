"""The gateway's end of one socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

if TYPE_CHECKING:
    from clients.conformance.gateway import Gateway

Message = dict[str, Any]

CODES = (
    "BAD_USER_INPUT",
    "NAME_REQUIRED",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "USER_SYNC_DISABLED",
    "STORE_UNAVAILABLE",
    "RATE_LIMITED",
    "OPERATION_TOO_COMPLEX",
    "DOCUMENT_NOT_TRUSTED",
    "PERSISTED_QUERY_NOT_FOUND",
    "PERSISTED_QUERY_NOT_SUPPORTED",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "INTERNAL_SERVER_ERROR",
)
"""The codes of the gateway's errors: a test holds them to its table."""

_PATIENCE = 5.0


class End(ServerConnection):
    """The gateway's end of one socket."""

    gateway: Gateway
    """Set by the gateway that makes it."""
    received: list[Message]
    operations: dict[str, set[str] | str]
    """What is watched over it: by usersChanged many, by userOnlineChanged one."""
    token: str | None = None
    is_acknowledged: bool = False
    is_closed: bool = False
    is_swallowed: bool = False
    _is_to_send: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection of TCP, if anybody is at home."""
        self.received = []
        self.operations = {}
        super().connection_made(transport)
        self.gateway.accepted(self)
        if self.gateway.door == "closed":
            self.transport.abort()
        elif self.gateway.door == "silent":
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client, or the network, has ended it."""
        super().connection_lost(exc)
        self.is_closed = True
        self.gateway.closed(self)

    @property
    def subscribed(self) -> list[Message]:
        """The ``subscribe`` messages that have come over it."""
        return [message for message in self.received if message["type"] == "subscribe"]

    @property
    def completed(self) -> list[str]:
        """The operations that the client has ended."""
        return [message["id"] for message in self.received if message["type"] == "complete"]

    @property
    def types(self) -> list[str]:
        """The types of all that has come over it, signs of life left out."""
        return [message["type"] for message in self.received if message["type"] != "ping"]

    def tell(self, message: Message | str) -> None:
        """Send a message, or any text."""
        if self.is_closed or self.is_swallowed or self.state is not State.OPEN:
            return
        text = message if isinstance(message, str) else json.dumps(message)
        self.gateway.activity += 1
        self.protocol.send_text(text.encode())
        if not self._is_to_send:
            self._is_to_send = True
            self.loop.call_soon(self.send_data)

    def send_data(self) -> None:
        """Send what there is to be sent in one piece: clients may show the last of what comes together alone."""
        self._is_to_send = False
        pieces = self.protocol.data_to_send()
        if data := b"".join(pieces):
            self.transport.write(data)
        if pieces and not pieces[-1]:
            if self.transport.can_write_eof():
                self.transport.write_eof()
            else:
                self.transport.close()

    def next(self, operation: str, data: object, errors: list[Message] | None = None) -> None:
        """Send a result."""
        self.tell({"id": operation, "type": "next", "payload": {"data": data} | ({"errors": errors} if errors else {})})

    def complete(self, operation: str) -> None:
        """Say that an operation is over."""
        self.operations.pop(operation, None)
        self.tell({"id": operation, "type": "complete"})

    def refuse(self, operation: str, code: str, **extensions: object) -> None:
        """End an operation by an ``error``."""
        self.operations.pop(operation, None)
        self.tell({"id": operation, "type": "error", "payload": [refusal(code, **extensions)]})

    def acknowledge(self) -> None:
        """Let the client in."""
        self.is_acknowledged = True
        limits = self.gateway.limits
        self.tell({"type": "connection_ack"} | ({} if limits is None else {"payload": {"limits": limits}}))

    def end(self, code: int, reason: str = "") -> None:
        """Close it in an orderly way."""
        self.is_closed = True
        self.operations.clear()
        self.gateway.activity += 1
        with contextlib.suppress(Exception):
            self.protocol.send_close(code, reason)
            self.send_data()

    def cut(self) -> None:
        """Cut it, as a network does that is gone."""
        self.is_closed = True
        self.operations.clear()
        self.gateway.activity += 1
        self.send_data()
        self.transport.abort()

    def swallow(self) -> None:
        """Let nothing through any more, either way, without ending it."""
        self.is_swallowed = True
        self.gateway.activity += 1
        self.transport.pause_reading()

    async def barrier(self) -> None:
        """Return when the client has been given all that was sent to it, and all that it has sent is here."""
        if self.is_closed or self.is_swallowed or self.state is not State.OPEN:
            return
        with contextlib.suppress(ConnectionClosed, TimeoutError, OSError):
            async with asyncio.timeout(_PATIENCE):
                await (await self.ping())


def refusal(code: str, **extensions: object) -> Message:
    """Return a GraphQL error with this code."""
    return {"message": f"Refused: {code}.", "extensions": {"code": code, **extensions}}
