"""The two subprotocols: their messages and close codes. No I/O.

Sources: ``graphql-transport-ws``, https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md; the legacy
``graphql-ws``, https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from userline.common.backoff import spread
from userline.execution.json_values import JSONRefused, Reread, decode, find_flaw
from userline.execution.operation import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline.execution.errors import FormattedError
    from userline.execution.operation import Response
    from userline.users.errors import UserlineError

_SHORT_ID = 8
_KNOWN_PREFIXES = 1024

_MAX_REASON_BYTES = 123  # RFC 6455, section 5.5

_LATEST = 1.5
"""How many times as long as it has to, at most, a client is asked to stay away, so that not all come back at once."""


class CloseCode(IntEnum):
    """Why the gateway closes a socket."""

    NORMAL = 1000
    """The client asked for it (legacy ``connection_terminate``)."""
    INTERNAL_ERROR = 1011
    """Something unexpected happened in the gateway."""
    BAD_REQUEST = 4400
    """A message that the subprotocol does not allow; the reason says what is wrong with it."""
    UNAUTHORIZED = 4401
    """An operation before the connection was acknowledged."""
    FORBIDDEN = 4403
    """No token, one that is not good, or a renewal with somebody else's. Clients may come back with another token."""
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    """The client offered no subprotocol that the gateway speaks."""
    INITIALISATION_TIMEOUT = 4408
    """No ``connection_init`` came in time."""
    SUBSCRIBER_ALREADY_EXISTS = 4409
    """An operation with the id of one that is still under way."""
    TOKEN_EXPIRED = 4410
    """The token's time is over and it was not renewed. Clients may come back with a new one."""
    TOO_MANY_INITIALISATION_REQUESTS = 4429
    """A second ``connection_init``."""
    RATE_LIMITED = 4430
    """Too many bad tokens from this address, or too much before ``connection_init``. Clients may come back later."""
    TOO_MANY_SOCKETS = 4431
    """The user or the address has as many sockets as one may have. Clients may come back later."""
    TRY_AGAIN_LATER = 4503
    """The gateway is full, or the token cannot be checked now. Clients may come back later."""


class Closed(Exception):
    """The gateway closes the socket, with a code and a reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = _shortened(reason, _MAX_REASON_BYTES)

    @classmethod
    def for_now(cls, code: CloseCode, error: UserlineError) -> Closed:
        """Return the close for a refusal that passes: it says when to come back, to each client something else."""
        hint = f"; retry after {spread(error.retry_after or 1.0, least=1.0, most=_LATEST):.1f} s"
        return cls(code, _shortened(error.message.removesuffix("."), _MAX_REASON_BYTES - len(hint)) + hint)


def _shortened(reason: str, most: int) -> str:
    encoded = reason.encode()
    return reason if len(encoded) <= most else encoded[: most - 3].decode(errors="ignore") + "…"


class ClientMessage(StrEnum):
    """What a client's message means, under the names of ``graphql-transport-ws``."""

    CONNECTION_INIT = "connection_init"
    PING = "ping"
    PONG = "pong"
    SUBSCRIBE = "subscribe"
    COMPLETE = "complete"
    TERMINATE = "connection_terminate"


@dataclass(frozen=True, slots=True)
class Message:
    """A client's message: ``id`` for the types that have one, ``payload`` if there was one."""

    type: ClientMessage
    id: str = ""
    payload: Any = None


class TransportWS:
    """The ``graphql-transport-ws`` subprotocol."""

    name = "graphql-transport-ws"
    restarts_operations = False
    """Whether a second operation with an id takes the place of the first one."""
    _next_type = "next"
    keep_alive: str | None = None
    """The message that is sent now and then to keep the connection open; here WebSocket's own pings do it."""

    _types = {  # noqa: RUF012 - never changed
        "connection_init": ClientMessage.CONNECTION_INIT,
        "ping": ClientMessage.PING,
        "pong": ClientMessage.PONG,
        "subscribe": ClientMessage.SUBSCRIBE,
        "complete": ClientMessage.COMPLETE,
    }

    def parse(self, text: str) -> Message:
        """Return the message in a text frame. Raises Closed."""
        try:
            value = decode(text)
        except JSONRefused as refused:
            raise Closed(CloseCode.BAD_REQUEST, f"The message {refused.complaint}.") from None
        if not isinstance(value, dict):
            raise Closed(CloseCode.BAD_REQUEST, "The message is not a JSON object.")
        name = value.get("type")
        message_type = self._types.get(name) if isinstance(name, str) else None
        if message_type is None:
            raise Closed(CloseCode.BAD_REQUEST, f"The message's type is not one of {', '.join(self._types)}.")
        if isinstance(value, Reread):
            # What is wrong with the payload of an operation ends that operation alone.
            flaw = find_flaw(value if message_type is not ClientMessage.SUBSCRIBE else {"id": value.get("id")})
            if flaw is not None:
                raise Closed(CloseCode.BAD_REQUEST, f"The message's {flaw.place} {flaw.complaint}.")
        payload = value.get("payload")
        if message_type in (ClientMessage.SUBSCRIBE, ClientMessage.COMPLETE):
            message_id = value.get("id")
            if not isinstance(message_id, str) or not message_id:
                raise Closed(CloseCode.BAD_REQUEST, "The message's id is not a non-empty string.")
            return Message(message_type, message_id, payload)
        if not isinstance(payload, dict | None):
            raise Closed(CloseCode.BAD_REQUEST, "The message's payload is not an object.")
        return Message(message_type, "", payload)

    def acknowledge(self, limits: Mapping[str, int]) -> str:
        """Return the answer to ``connection_init``, which says what clients are held to."""
        return _encode({"type": "connection_ack", "payload": {"limits": limits}})

    def pong(self, payload: Any) -> str:
        """Return the answer to ``ping``. Raises Closed for a payload that can be read but not be written."""
        try:
            return _encode({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
        except orjson.JSONEncodeError:
            raise Closed(CloseCode.BAD_REQUEST, "The message's payload is nested too deeply.") from None

    def next(self, operation_id: str, response: Response) -> str:
        """Return the message with a result of an operation."""
        return _encode({"id": operation_id, "type": self._next_type, "payload": orjson.Fragment(response)})

    def next_prefix(self, operation_id: str) -> bytes:
        """Return what stands before the response in a message with a result; ``}`` stands after it.

        It is the same object for the same short id, which many clients have: 1, 2, 3.
        """
        make = _known_prefix if len(operation_id) <= _SHORT_ID else _prefix
        return make(operation_id, self._next_type)

    def error(self, operation_id: str, errors: list[FormattedError]) -> str:
        """Return the message that ends an operation whose document cannot be executed, or that cannot go on."""
        return _encode({"id": operation_id, "type": "error", "payload": errors})

    def failed(self, operation_id: str, errors: list[FormattedError]) -> tuple[str, str]:
        """Return the messages that end an operation that cannot begin: a result of errors alone, and the end.

        The server of npm's ``graphql-ws`` does the same.
        """
        return self.next(operation_id, refuse(errors)), self.complete(operation_id)

    def complete(self, operation_id: str) -> str:
        """Return the message that ends an operation."""
        return _encode({"id": operation_id, "type": "complete"})


class LegacyWS(TransportWS):
    """The legacy ``graphql-ws`` subprotocol of subscriptions-transport-ws."""

    name = "graphql-ws"
    restarts_operations = True
    _next_type = "data"
    keep_alive = '{"type":"ka"}'

    _types = {  # noqa: RUF012 - never changed
        "connection_init": ClientMessage.CONNECTION_INIT,
        "start": ClientMessage.SUBSCRIBE,
        "stop": ClientMessage.COMPLETE,
        "connection_terminate": ClientMessage.TERMINATE,
    }

    def acknowledge(self, limits: Mapping[str, int]) -> str:  # noqa: ARG002 - the message has no payload
        """Return the answer to ``connection_init``."""
        return '{"type":"connection_ack"}'

    def error(self, operation_id: str, errors: list[FormattedError]) -> str:
        """Return the message that ends an operation that cannot be executed or go on: it has room for one error."""
        return _encode({"id": operation_id, "type": "error", "payload": errors[0]})


def choose_subprotocol(offered: list[str]) -> TransportWS | None:
    """Return the subprotocol to speak of those that a client offers, or None if there is none."""
    return next((protocol for protocol in (TransportWS(), LegacyWS()) if protocol.name in offered), None)


def _encode(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()


def _prefix(operation_id: str, message_type: str) -> bytes:
    return b'{"id":%b,"type":"%b","payload":' % (orjson.dumps(operation_id), message_type.encode())


_known_prefix = lru_cache(_KNOWN_PREFIXES)(_prefix)
