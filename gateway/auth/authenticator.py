"""Who is asking: the viewer that a token stands for, and the memory of the tokens that were checked."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from userline.gateway.auth.keys import KeySet, SharedSecret
from userline.gateway.auth.tokens import LEEWAY_SECONDS, TokenRefused, read, viewer_of
from userline.gateway.rate_limit import RateLimiter
from userline.users.errors import Unauthenticated
from userline.users.viewer import OPEN_VIEWER, Viewer, ViewerKind

if TYPE_CHECKING:
    from userline.gateway.auth.keys import Keys
    from userline.gateway.settings import Settings

logger = logging.getLogger("userline.auth")

MISSING_TOKEN: Final = "A token is required, as Authorization: Bearer TOKEN."  # noqa: S105 - a sentence

_CACHED_VIEWERS: Final = 10_000

_MARK: Final = b""
"""In place of a token's digest: those after it were shown since ``users_seen`` was called last."""
_NOBODY: Final = Viewer(ViewerKind.USER, expires_at=0)


class Authenticator:
    """Tells viewers by their tokens. Without keys the gateway is open, and everybody is ``OPEN_VIEWER``.

    For one event loop.
    """

    def __init__(
        self,
        app_id: str,
        keys: Keys | None,
        *,
        capacity: int = _CACHED_VIEWERS,
        bad_tokens: RateLimiter | None = None,
    ) -> None:
        self._app_id = app_id
        self.bad_tokens = RateLimiter(0, 1) if bad_tokens is None else bad_tokens
        """Counts the tokens that were refused, by address."""
        self.refusals = 0
        self._keys = keys
        self._jws = PyJWS(algorithms=keys.algorithms if keys else ())
        self._capacity = capacity
        self._viewers: OrderedDict[bytes, Viewer] = OrderedDict()

    @classmethod
    def of(cls, settings: Settings) -> Authenticator:
        """Return the authenticator that the settings ask for."""
        bad_tokens = RateLimiter(settings.bad_tokens_per_second, settings.bad_tokens_burst)
        if settings.secret is not None:
            secret = SharedSecret(settings.secret.get_secret_value().encode())
            return cls(settings.app_id, secret, bad_tokens=bad_tokens)
        if settings.jwks_url is not None:
            keys = KeySet(settings.jwks_url, pause=settings.jwks_pause_seconds)
            made = cls(settings.app_id, keys, bad_tokens=bad_tokens)
            keys.on_change = made.forget
            return made
        return cls(settings.app_id, None)

    @property
    def is_open(self) -> bool:
        """Whether no tokens are checked."""
        return self._keys is None

    async def viewer(self, token: str | None, address: str | None = None) -> Viewer:
        """Return who shows this token.

        Raises Unauthenticated, whose message is for the caller; StoreUnavailable if the keys cannot be fetched; and
        RateLimited for a token that is not known yet, if too many bad ones came from this address.
        """
        if self._keys is None:
            return OPEN_VIEWER
        if token is None:
            raise Unauthenticated(MISSING_TOKEN)
        digest = digest_of(token)
        known = self.known(digest)
        if known is not None:
            return known
        wait = self.bad_tokens.wait(address)
        if wait:
            raise self.bad_tokens.refusal(wait, "bad tokens from this address")
        try:
            viewer = await self._check(token, self._keys)
        except TokenRefused as refused:
            self.refusals += 1
            self.bad_tokens.take(address)
            logger.info("A token was refused: %s.", refused)
            raise Unauthenticated(refused.told) from None
        self._viewers[digest] = viewer
        if len(self._viewers) > self._capacity:
            self._viewers.popitem(last=False)
        return viewer

    def known(self, digest: bytes) -> Viewer | None:
        """Return who shows the token with this digest, if it was checked before and still is good."""
        known = self._viewers.get(digest)
        if known is None:
            return None
        if known.expires_at is None or time.time() < known.expires_at + LEEWAY_SECONDS:
            self._viewers.move_to_end(digest)
            return known
        del self._viewers[digest]
        return None

    def users_seen(self) -> set[str]:
        """Return the users whose tokens were shown since this was called last.

        It goes by the order in which tokens are remembered, so that nothing is to be noted when a token is shown.
        """
        seen = set()
        for digest in reversed(self._viewers):
            if digest == _MARK:
                break
            user_id = self._viewers[digest].user_id
            if user_id is not None:
                seen.add(user_id)
        self._viewers[_MARK] = _NOBODY
        self._viewers.move_to_end(_MARK)
        return seen

    def forget(self) -> None:
        """Forget every token that was checked, because the keys are others now."""
        self._viewers.clear()

    async def close(self) -> None:
        """End what is under way."""
        if self._keys is not None:
            await self._keys.close()

    async def _check(self, token: str, keys: Keys) -> Viewer:
        told = read(token)
        if told.algorithm not in keys.algorithms:
            raise TokenRefused("alg is not one that is accepted here")
        key = await keys.find(told.algorithm, told.key_id)
        try:
            self._jws.decode_complete(token, key, algorithms=[told.algorithm])
        except PyJWTError:
            raise TokenRefused("the signature is not good") from None
        return viewer_of(told.claims, app_id=self._app_id, now=time.time())


def digest_of(token: str) -> bytes:
    """Return what a token is remembered by."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
