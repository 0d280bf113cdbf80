"""The viewer of a socket: its token, the token's expiry, and renewals."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from userline.gateway.auth.bearer import token_of_payload, token_of_request
from userline.gateway.auth.tokens import ends_at
from userline.gateway.rate_limit import address_of
from userline.gateway.websocket.protocol import CloseCode, Closed
from userline.users.errors import RateLimited, StoreUnavailable, Unauthenticated

if TYPE_CHECKING:
    from starlette.types import Scope

    from userline.gateway.auth.authenticator import Authenticator
    from userline.users.viewer import Viewer


NO_LONGER_VALID: Final = "Token no longer valid"
"""Why a socket is closed whose token was signed with a key that is gone."""


class Credentials:
    """The viewer of one socket."""

    def __init__(self, authenticator: Authenticator, scope: Scope) -> None:
        self._authenticator = authenticator
        self._scope = scope
        self._viewer: Viewer | None = None
        self.ends_at: float | None = None
        """When the token stops being good, in Unix seconds, or None for never."""
        self._is_over = False

    @property
    def shown_by(self) -> Viewer | None:
        """The viewer, None if there is none, or no longer."""
        return None if self._is_over else self._viewer

    def end(self) -> None:
        """Have the token be good no longer."""
        self._is_over = True

    @property
    def viewer(self) -> Viewer:
        """The viewer, now. Raises Closed if there is none, or no longer."""
        if self._viewer is None:
            raise Closed(CloseCode.UNAUTHORIZED, "Unauthorized")
        if self._is_over:
            raise Closed(CloseCode.TOKEN_EXPIRED, NO_LONGER_VALID)
        if self.ends_at is not None and time.time() >= self.ends_at:
            raise Closed(CloseCode.TOKEN_EXPIRED, "Token expired")
        return self._viewer

    async def establish(self, payload: Any) -> Viewer:
        """Take the token in the payload of ``connection_init``, else in the handshake. Raises Closed."""
        token = self._token_in(payload)
        if token is None and not self._authenticator.is_open:
            try:
                token = token_of_request(self._scope)
            except Unauthenticated as error:
                raise Closed(CloseCode.FORBIDDEN, f"Forbidden: {error.message}") from None
        return await self._accept(token)

    async def renew(self, payload: Any) -> bool:
        """Take the token in the payload of a ``ping``, if there is one, and return whether there was. Raises Closed."""
        token = self._token_in(payload)
        if token is None:
            return False
        await self._accept(token, self.viewer)
        return True

    def _token_in(self, payload: Any) -> str | None:
        try:
            return token_of_payload(payload)
        except Unauthenticated as error:
            if self._authenticator.is_open:
                return None
            raise Closed(CloseCode.FORBIDDEN, f"Forbidden: {error.message}") from None

    async def _accept(self, token: str | None, before: Viewer | None = None) -> Viewer:
        try:
            viewer = await self._authenticator.viewer(token, address_of(self._scope))
        except Unauthenticated as error:
            raise Closed(CloseCode.FORBIDDEN, f"Forbidden: {error.message}") from None
        except StoreUnavailable as error:
            raise Closed.for_now(CloseCode.TRY_AGAIN_LATER, error) from None
        except RateLimited as error:
            raise Closed.for_now(CloseCode.RATE_LIMITED, error) from None
        if before is not None and (viewer.kind, viewer.user_id) != (before.kind, before.user_id):
            raise Closed(CloseCode.FORBIDDEN, "Forbidden: The new token is of another user.")
        self._viewer, self.ends_at = viewer, ends_at(viewer, time.time())
        return viewer
