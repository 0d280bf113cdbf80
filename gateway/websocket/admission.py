"""Which sockets are let in: as many as there is room for, with a subprotocol that is spoken here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from userline.gateway.rate_limit import address_of
from userline.gateway.refusals import JSON_TYPE, body_of
from userline.gateway.websocket.protocol import CloseCode, choose_subprotocol
from userline.gateway.websocket.session import Session
from userline.users.errors import RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket

    from userline.gateway.websocket.session import SocketParts
    from userline.gateway.websocket.unidentified import UnidentifiedSockets


class Admission:
    """Lets sockets in, and serves each until it is closed."""

    def __init__(self, parts: SocketParts, unidentified: UnidentifiedSockets) -> None:
        self._parts = parts
        self._unidentified = unidentified

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket until it is closed."""
        try:
            self._parts.connections.check_room()
        except RateLimited as error:
            await _refuse(websocket, 503, error.message)
            return
        address = address_of(websocket.scope)
        if not self._unidentified.has_room(address):
            most = self._parts.settings.max_new_sockets_per_address
            await _refuse(websocket, 429, f"This address has {most} new sockets open, which is the limit.")
            return
        with self._unidentified.count(address) as is_known:
            await self._serve(websocket, is_known)

    async def _serve(self, websocket: WebSocket, is_known: Callable[[], None]) -> None:
        protocol = choose_subprotocol(websocket.scope["subprotocols"])
        if protocol is None:
            # Accepted first, because a browser cannot see why a handshake was refused.
            await websocket.accept()
            await websocket.close(
                CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE,
                "Offer the subprotocol graphql-transport-ws (or the legacy graphql-ws).",
            )
            return
        await websocket.accept(protocol.name)
        self._parts.connections.sockets += 1
        session = Session(websocket, protocol, self._parts, is_known)
        try:
            await session.run()
        finally:
            self._parts.connections.sockets -= 1
            session.leave()


async def _refuse(websocket: WebSocket, status: int, message: str) -> None:
    """Answer a handshake for which there is no room."""
    body = body_of(RateLimited(f"{message} Try again in a moment."))
    await websocket.send_denial_response(Response(body, status, {"content-type": JSON_TYPE, "retry-after": "5"}))
