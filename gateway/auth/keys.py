"""The keys that tokens are verified with: shared secrets, or the public keys at a JWKS URL."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from userline.gateway.auth.tokens import TokenRefused
from userline.settings.together import is_another_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

_PLAIN_KEY_ID = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]{0,127}")


class OutgoingError(Exception):
    """The proxy or TLS settings in the environment are not valid, so the keys cannot be fetched.

    The text says which variable is meant, and what to do.
    """


class Key(NamedTuple):
    """A key. ``id`` is derived from the key itself, so it does not depend on the key's name in the JWKS."""

    material: bytes | PublicKey
    id: bytes


class Keys(Protocol):
    """Where the keys for a token come from."""

    algorithms: tuple[str, ...]
    """The algorithms that a token may name; nothing in a token adds to them."""

    on_change: Callable[[frozenset[bytes]], None]
    """Called when keys have come or gone, with the ids of those that there are now."""

    async def find(self, algorithm: str, key_id: str | None) -> tuple[Key, ...]:
        """Return the keys that a token may be signed with, at least one.

        Raises TokenRefused, and StoreUnavailable if it cannot be known now whether there is one.
        """
        ...

    def is_signed(self, token: str, algorithm: str, key: Key) -> bool:
        """Whether a token, in the compact form, is signed with a key that ``find`` gave for its algorithm."""
        ...

    def start(self) -> None:
        """Keep the keys current from now on. To be called where an event loop runs."""
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...


class SharedSecret:
    """One secret for HS256, or several while one is being replaced by another.

    Signatures are checked with the standard library: PyJWT loads all of cryptography, which HMAC has no use for.
    Raises ValueError for what is a key of another kind, whose public half anybody could sign with.
    """

    algorithms: tuple[str, ...] = ("HS256",)

    def __init__(self, *secrets: bytes) -> None:
        self._keys: tuple[Key, ...] = ()
        self.on_change: Callable[[frozenset[bytes]], None] = lambda _: None
        self.replace(*secrets)

    def replace(self, *secrets: bytes) -> None:
        """Accept these from now on, and no others. Raises ValueError for a key of another kind."""
        if any(map(is_another_key, secrets)):
            raise ValueError("A key of another kind (PEM, SSH or JWK) cannot be used as a secret.")
        self._keys = tuple(Key(secret, hashlib.sha256(secret).digest()) for secret in secrets)
        self.on_change(frozenset(key.id for key in self._keys))

    async def find(self, algorithm: str, key_id: str | None) -> tuple[Key, ...]:  # noqa: ARG002 - the protocol's signature
        """Return all secrets: a key id chooses none of them, and may not look like a place."""
        if key_id is not None and not _PLAIN_KEY_ID.fullmatch(key_id):
            raise TokenRefused("kid is not a plain name")
        return self._keys

    def is_signed(self, token: str, algorithm: str, key: Key) -> bool:  # noqa: ARG002 - there is one algorithm
        """Compare the signature with the right one, in a time that tells nothing. Source: RFC 7515, section 5.2."""
        signed, _, signature = token.rpartition(".")
        if not isinstance(key.material, bytes):
            return False
        right = base64.urlsafe_b64encode(hmac.digest(key.material, signed.encode(), "sha256")).rstrip(b"=")
        return hmac.compare_digest(signature.encode(), right)

    def start(self) -> None:
        """Do nothing: secrets stay as they are until ``replace``."""

    async def close(self) -> None:
        """Do nothing."""
