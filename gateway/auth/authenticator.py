"""Authentication: the viewer that a token stands for, and a cache of verified tokens."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Final

from userline.execution.weighed import WeighedCache, weight_of
from userline.gateway.auth.keys import SharedSecret
from userline.gateway.auth.live import LiveTokens
from userline.gateway.auth.tokens import LEEWAY_SECONDS, Terms, TokenRefused, read, viewer_of
from userline.gateway.rate_limit import RateLimiter
from userline.users.errors import Unauthenticated
from userline.users.viewer import OPEN_VIEWER, Viewer, ViewerKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.gateway.auth.key_set import KeySet
    from userline.gateway.auth.keys import Keys
    from userline.settings.settings import Settings

logger = logging.getLogger("userline.auth")

MISSING_TOKEN: Final = "A token is required, as Authorization: Bearer TOKEN."  # noqa: S105 - a sentence

_CACHED_VIEWERS: Final = 10_000
_CACHED_BYTES: Final = 8_388_608
"""How much memory the viewers may take that are remembered, at most."""

_VIEWER_BYTES: Final = 250

_MARK: Final = b""
"""In place of a token's digest: those after it were shown since ``users_seen`` was called last."""
_NOBODY: Final = Viewer(ViewerKind.USER, expires_at=0)


class Authenticator:
    """Returns viewers for tokens. Without keys the gateway runs open, and everybody is ``OPEN_VIEWER``.

    For one event loop.
    """

    def __init__(
        self,
        terms: Terms,
        keys: Keys | None,
        *,
        capacity: int = _CACHED_VIEWERS,
        bad_tokens: RateLimiter | None = None,
    ) -> None:
        self._terms = terms
        self.bad_tokens = RateLimiter(0, 1) if bad_tokens is None else bad_tokens
        """Counts the tokens that were refused, by address."""
        self.refusals = 0
        self.keys = keys
        """None: the gateway is open."""
        self.live = LiveTokens()
        """The sockets and streams that were let in."""
        self._viewers: WeighedCache[bytes, Viewer] = WeighedCache(_CACHED_BYTES, most=capacity)
        if keys is not None:
            keys.on_change = self._keep_only

    @classmethod
    def of(cls, settings: Settings) -> Authenticator:
        """Return the authenticator that the settings ask for. Raises OutgoingError."""
        keys: Keys | None = None
        if settings.secrets:
            keys = SharedSecret(*settings.secrets)
        elif settings.jwks_url is not None:
            from userline.gateway.auth.key_set import KeySet  # noqa: PLC0415 - it loads a client for HTTP and cryptography

            keys = KeySet(settings.jwks_url, pause=settings.jwks_pause_seconds, seconds=settings.jwks_seconds)
        bad_tokens = RateLimiter(settings.bad_tokens_per_second, settings.bad_tokens_burst)
        return cls(Terms.set_by(settings), keys, bad_tokens=bad_tokens)

    @property
    def is_open(self) -> bool:
        """Whether no tokens are checked."""
        return self.keys is None

    @property
    def key_set(self) -> KeySet | None:
        """The public keys, if tokens are checked with such."""
        if self.keys is None or isinstance(self.keys, SharedSecret):
            return None
        from userline.gateway.auth.key_set import KeySet  # noqa: PLC0415 - as above

        return self.keys if isinstance(self.keys, KeySet) else None

    def use_secrets(self, secrets: Sequence[bytes]) -> None:
        """Take tokens that these have signed from now on; what others have signed ends. For a gateway with secrets."""
        if isinstance(self.keys, SharedSecret):
            self.keys.replace(*secrets)

    async def viewer(self, token: str | None, address: str | None = None) -> Viewer:
        """Return who shows this token.

        Raises Unauthenticated, whose message is for the caller; StoreUnavailable if the keys cannot be fetched; and
        RateLimited for a token that is not known yet, if too many bad ones came from this address.
        """
        if self.keys is None:
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
            viewer = await self._check(token, self.keys)
        except TokenRefused as refused:
            self.refusals += 1
            self.bad_tokens.take(address)
            logger.info("A token was refused: %s.", refused)
            raise Unauthenticated(refused.told) from None
        self._viewers.put(digest, viewer, _VIEWER_BYTES + weight_of(viewer.user_id))
        return viewer

    def known(self, digest: bytes | None) -> Viewer | None:
        """Return who shows the token with this digest, if it was checked before and still is good."""
        known = None if digest is None else self._viewers.get(digest)
        if known is None or digest is None:
            return None
        if known.expires_at is None or time.time() < known.expires_at + LEEWAY_SECONDS:
            self._viewers.touch(digest)
            return known
        self._viewers.drop(digest)
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
        self._viewers.put(_MARK, _NOBODY, 0)
        return seen

    def start(self) -> None:
        """Keep the keys current from now on."""
        if self.keys is not None:
            self.keys.start()

    async def close(self) -> None:
        """End what is under way."""
        if self.keys is not None:
            await self.keys.close()
        await self.live.close()

    def _keep_only(self, key_ids: frozenset[bytes]) -> None:
        """End what tokens allow whose key is gone: these are the keys that there are."""
        gone = [one for one in self._viewers if one != _MARK and self._viewers[one].key_id not in key_ids]
        for digest in gone:
            self._viewers.drop(digest)
        self.live.keep_only(key_ids)

    async def _check(self, token: str, keys: Keys) -> Viewer:
        told = read(token)
        if told.algorithm not in keys.algorithms:
            raise TokenRefused("alg is not one that this gateway accepts")
        found = await keys.find(told.algorithm, told.key_id)
        # All are tried, so that the time tells nothing of which one it was.
        good = [key for key in found if keys.is_signed(token, told.algorithm, key)]
        if not good:
            raise TokenRefused("the signature is not valid")
        return viewer_of(told.claims, self._terms, key_id=good[0].id, now=time.time())


def digest_of(token: str) -> bytes:
    """Return what a token is remembered by."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
