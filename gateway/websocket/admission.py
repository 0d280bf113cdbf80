"""Decides which sockets are accepted: within the limits, and with a known subprotocol.

Who is not let in is let in all the same, for as long as it takes to be told why: a browser does not show its page the
status of a handshake, and clients take that for an error that lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.gateway.rate_limit import address_of
from userline.gateway.websocket.channel import Channel
from userline.gateway.websocket.protocol import CloseCode, Closed, choose_subprotocol
from userline.gateway.websocket.session import Session
from userline.users.errors import RateLimited

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from userline.gateway.websocket.session import SocketParts
    from userline.gateway.websocket.unidentified import UnidentifiedSockets


class Admission:
    """Accepts sockets, and serves each until it is closed."""

    def __init__(self, parts: SocketParts, unidentified: UnidentifiedSockets) -> None:
        self._parts = parts
        self._unidentified = unidentified

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket until it is closed."""
        offered: list[str] = websocket.scope["subprotocols"]
        protocol = choose_subprotocol(offered)
        if protocol is None:
            # Browsers take a handshake that accepts none of what was offered for one that failed.
            await websocket.accept(offered[0] if offered else None)
            await websocket.close(
                CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE,
                "Offer the subprotocol graphql-transport-ws (or the legacy graphql-ws).",
            )
            return
        await websocket.accept(protocol.name)
        address = address_of(websocket.scope)
        try:
            self._check_room(address)
        except Closed as refusal:
            await Channel(websocket).close(refusal)
            return
        self._parts.connections.sockets += 1
        new = self._unidentified.count(address)
        session = Session(websocket, protocol, self._parts, new.leave)
        try:
            await session.run()
        finally:
            new.leave()
            self._parts.connections.sockets -= 1
            session.leave()

    def _check_room(self, address: str) -> None:
        """Return if there is room for one more socket. Raises Closed."""
        try:
            self._parts.connections.check_room()
        except RateLimited as error:
            raise Closed.for_now(CloseCode.TRY_AGAIN_LATER, error) from None
        try:
            self._unidentified.check_room(address)
        except RateLimited as error:
            raise Closed.for_now(CloseCode.TOO_MANY_SOCKETS, error) from None
