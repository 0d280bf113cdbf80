"""One GraphQL connection over a WebSocket: from its first message to the close."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.websockets import WebSocketDisconnect

from userline.directory.pacer import SOURCE
from userline.gateway.auth.tokens import LONGEST_SLEEP_SECONDS
from userline.gateway.rate_limit import key_of, source_of
from userline.gateway.websocket.channel import Channel
from userline.gateway.websocket.credentials import NO_LONGER_VALID, Credentials
from userline.gateway.websocket.operations import SocketOperations
from userline.gateway.websocket.protocol import ClientMessage, CloseCode, Closed, Message, TransportWS
from userline.server.direct import ADMIT, DIRECT
from userline.users.errors import RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket

    from userline.gateway.answering.answering import Answering
    from userline.gateway.auth.authenticator import Authenticator
    from userline.gateway.open_connections import OpenConnections
    from userline.gateway.websocket.deliveries import Deliveries
    from userline.settings.settings import Settings
    from userline.users.viewer import Viewer

logger = logging.getLogger("userline.websocket")

_FIRST_MESSAGES: Final = 100
FIRST_BYTES: Final = 65_536
"""What a client may send before it says who it is with ``connection_init``, this message included.

All messages together are counted in characters.
"""


class SocketParts(NamedTuple):
    """The parts that all sockets of one gateway share."""

    settings: Settings
    answering: Answering
    authenticator: Authenticator
    connections: OpenConnections
    deliveries: Deliveries


class Session:
    """Reads the client's messages and acts on them."""

    def __init__(
        self, websocket: WebSocket, protocol: TransportWS, parts: SocketParts, is_known: Callable[[], None]
    ) -> None:
        self._websocket = websocket
        self._protocol = protocol
        self._parts = parts
        self._request_id: str = websocket.scope["state"]["request_id"]
        self._channel = Channel(websocket)
        self._operations = SocketOperations(
            parts.answering,
            self._channel,
            protocol,
            self._request_id,
            most=parts.settings.max_subscriptions,
            most_watched_users=parts.settings.max_watched_users,
            direct=websocket.scope["state"].get(DIRECT),
            deliveries=parts.deliveries,
        )
        self._credentials = Credentials(parts.authenticator, websocket.scope)
        self._expiry: asyncio.TimerHandle | None = None
        self._initialised = False
        self._first_messages = 0
        self._first_characters = 0
        self._limited_as: str | None = None
        self._user_key: str | None = None
        self._acknowledged = False
        self._patience: asyncio.TimerHandle | None = None
        self._is_known = is_known

    async def run(self) -> None:
        """Read messages until the socket is closed by either side, then end everything that was under way."""
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(self._parts.settings.connection_init_seconds, self._give_up)
        try:
            while True:
                await self._receive()
        except WebSocketDisconnect:
            pass
        except Closed as closed:
            await self._channel.close(closed)
        except Exception:
            logger.exception("A WebSocket connection failed unexpectedly (request id %s).", self._request_id)
            await self._channel.close(
                Closed(CloseCode.INTERNAL_ERROR, f"Internal error, request id {self._request_id}.")
            )
        finally:
            await self._end()

    async def _end(self) -> None:
        """End everything that is under way, and drop what refers back to this: no collection has to find it then."""
        for timer in (self._patience, self._expiry):
            if timer is not None:
                timer.cancel()
        self._patience = self._expiry = None
        await self._operations.end()
        await self._channel.end()

    async def _receive(self) -> None:
        event = await self._websocket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        text = event.get("text")
        if text is None:
            raise Closed(CloseCode.BAD_REQUEST, "Messages must be text frames.")
        if not self._channel.is_open:
            return  # what still comes in after the gateway has closed the socket is nobody's any more
        if not self._initialised:
            self._count_first(text)
        message = self._protocol.parse(text)
        try:
            await self._parts.answering.pace.wait(
                self._limited_as, len(text), is_operation=message.type is ClientMessage.SUBSCRIBE
            )
        except RateLimited as refusal:
            await self._operations.refuse(message.id, refusal)
            return
        if self._channel.is_open:
            await self._handle(message)

    def _count_first(self, text: str) -> None:
        """Count a message of a client that has not said who it is. Raises Closed."""
        self._first_messages += 1
        self._first_characters += len(text)
        if self._first_messages > _FIRST_MESSAGES or self._first_characters > FIRST_BYTES:
            raise Closed(
                CloseCode.RATE_LIMITED,
                f"More than {_FIRST_MESSAGES} messages or {FIRST_BYTES} characters before connection_init",
            )

    async def _handle(self, message: Message) -> None:
        match message.type:
            case ClientMessage.CONNECTION_INIT:
                await self._initialise(message)
            case ClientMessage.PING:
                await self._pong(message)
            case ClientMessage.PONG:
                pass
            case ClientMessage.SUBSCRIBE:
                await self._subscribe(message)
            case ClientMessage.COMPLETE:
                await self._operations.stop(message.id)
            case ClientMessage.TERMINATE:
                raise Closed(CloseCode.NORMAL, "")

    async def _pong(self, message: Message) -> None:
        if not await self._credentials.renew(message.payload):
            await self._channel.send(self._protocol.pong(message.payload))
            return
        self._watch_expiry()
        ends_at = self._credentials.ends_at
        await self._channel.send(self._protocol.pong({"expiresAt": None if ends_at is None else int(ends_at * 1000)}))

    async def _initialise(self, message: Message) -> None:
        if self._initialised:
            raise Closed(CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests")
        self._initialised = True
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        viewer = await self._credentials.establish(message.payload)
        self._websocket.scope["state"]["viewer"] = viewer
        self._enter(viewer)
        self._parts.authenticator.live.enter(self)
        self._is_known()
        self._websocket.scope["headers"] = []  # they have told all that they can, and sockets stay for long
        self._watch_expiry()
        admit = self._websocket.scope["state"].pop(ADMIT, None)
        if admit is not None:  # else the server is not ours
            admit()
        await self._channel.send(self._protocol.acknowledge(self._parts.settings.socket_limits))
        self._acknowledged = True
        if self._protocol.keep_alive is not None:
            seconds = self._parts.settings.ping_seconds
            self._channel.start(self._channel.send_again_and_again(self._protocol.keep_alive, seconds))

    def _enter(self, viewer: Viewer) -> None:
        """Count the socket as one of its user's. Raises Closed."""
        self._limited_as = key_of(viewer, self._websocket.scope)
        self._operations.owe = partial(self._parts.answering.pace.owe, self._limited_as)
        SOURCE.set(source_of(viewer, self._websocket.scope))
        try:
            self._user_key = self._parts.connections.count_user(viewer, self._websocket.scope)
        except RateLimited as error:
            raise Closed.for_now(CloseCode.TOO_MANY_SOCKETS, error) from None

    def leave(self) -> None:
        """Count the socket no longer."""
        self._parts.authenticator.live.leave(self)
        self._parts.connections.discount_user(self._user_key)

    @property
    def shown_by(self) -> Viewer | None:
        """Whose token the socket has now."""
        return self._credentials.shown_by

    def end_token(self) -> None:
        """Close the socket, because its token is not good any more."""
        self._credentials.end()
        self._channel.start(self._channel.close(Closed(CloseCode.TOKEN_EXPIRED, NO_LONGER_VALID)))

    async def _subscribe(self, message: Message) -> None:
        if not self._acknowledged:
            raise Closed(CloseCode.UNAUTHORIZED, "Unauthorized")
        await self._operations.begin(message, self._credentials.viewer)

    def _give_up(self) -> None:
        """Close the socket of a client that has not said who it is."""
        if not self._initialised:
            closed = Closed(CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout")
            self._channel.start(self._channel.close(closed))

    def _watch_expiry(self) -> None:
        """Close the socket when the token that it has now expires."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self._credentials.ends_at is not None:
            left = self._credentials.ends_at - time.time()
            if left <= 0:
                self._channel.start(self._channel.close(Closed(CloseCode.TOKEN_EXPIRED, "Token expired")))
                return
            delay = min(left, LONGEST_SLEEP_SECONDS)
            self._expiry = asyncio.get_running_loop().call_later(delay, self._watch_expiry)
