"""The keys that tokens are checked with: one shared secret, or the public keys at a JWKS URL."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from userline.gateway.auth.tokens import TokenRefused
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

logger = logging.getLogger("userline.auth")

_MAX_BYTES: Final = 262_144
_MAX_KEYS: Final = 100
_MIN_RSA_BITS: Final = 2048
_SECONDS: Final = 5.0
"""What fetching the keys may take in all."""

_ALGORITHMS: Final = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
"""The one algorithm that keys of a type and curve are good for."""

_PLAIN_KEY_ID = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]{0,127}")


class Keys(Protocol):
    """Where the key for a token comes from."""

    algorithms: tuple[str, ...]
    """The algorithms that a token may name; nothing in a token adds to them."""

    async def find(self, algorithm: str, key_id: str | None) -> bytes | PyJWK:
        """Return the key. Raises TokenRefused, and StoreUnavailable if it cannot be known now whether there is one."""
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...


class SharedSecret:
    """One secret for HS256."""

    algorithms: tuple[str, ...] = ("HS256",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    async def find(self, algorithm: str, key_id: str | None) -> bytes:  # noqa: ARG002 - the protocol's signature
        """Return the secret: there is only one, so a key id changes nothing, and may not look like a place."""
        if key_id is not None and not _PLAIN_KEY_ID.fullmatch(key_id):
            raise TokenRefused("kid is not a plain name")
        return self._secret

    async def close(self) -> None:
        """Do nothing."""


class KeySet:
    """The public keys at a JWKS URL (RFC 7517), fetched when they are needed and kept.

    They are fetched again after ``max_age`` seconds, and for a token whose key is unknown, then at most once in
    ``pause`` seconds. Requests that wait for the keys wait for one fetch. If it fails, the keys that are there stay.
    """

    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")

    def __init__(
        self,
        url: str,
        *,
        pause: float = 10.0,
        max_age: float = 600.0,
    ) -> None:
        self._url = url
        # Made once, because reading the certificates of all authorities holds everything else up.
        is_secure = url.lower().startswith("https:")
        self._certificates: SSLContext | bool = httpx.create_ssl_context() if is_secure else False
        self._pause = pause
        self._max_age = max_age
        self._document: bytes | None = None
        self._keys: dict[tuple[str, str | None], PyJWK] = {}
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._failed = False
        self._fetch: asyncio.Task[None] | None = None
        self.fetches = 0
        self.on_change: Callable[[], None] = lambda: None
        """Called when the keys are others than before."""

    async def find(self, algorithm: str, key_id: str | None) -> PyJWK:
        """Return the key that a token names, or the only one of its algorithm if it names none."""
        now = time.monotonic()
        key = self._keys.get((algorithm, key_id))
        if key is not None:
            if now - self._fetched > self._max_age and now - self._tried > self._pause:
                self._start()
            return key
        if self._fetch is not None or now - self._tried > self._pause:
            await asyncio.shield(self._start())
            key = self._keys.get((algorithm, key_id))
        if key is not None:
            return key
        if self._failed:
            raise StoreUnavailable("The keys of tokens are not available right now. Try again in a moment.")
        raise TokenRefused("there is no such key")

    async def load(self) -> set[str]:
        """Fetch the keys; return the algorithms that there are keys of. Raises StoreUnavailable."""
        await asyncio.shield(self._start())
        if self._failed:
            raise StoreUnavailable("The keys of tokens cannot be fetched.")
        return {algorithm for algorithm, _ in self._keys}

    async def close(self) -> None:
        """End a fetch under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)

    def _start(self) -> asyncio.Task[None]:
        if self._fetch is None:
            self._tried = time.monotonic()
            self._fetch = asyncio.create_task(self._refresh())
        return self._fetch

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                document = await self._download()
            keys = read_key_set(document)
        except (OSError, TimeoutError, httpx.HTTPError, ValueError) as error:
            self._failed = True
            logger.warning("The keys of tokens cannot be fetched (%s); those at hand stay.", _sentence(error))
        else:
            self._failed = False
            self._fetched = time.monotonic()
            if document != self._document:
                self._document, self._keys = document, keys
                logger.info("There are %d keys for tokens.", len({id(key) for key in keys.values()}))
                self.on_change()
        finally:
            self._fetch = None

    async def _download(self) -> bytes:
        self.fetches += 1
        body = bytearray()
        async with (
            httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False, verify=self._certificates) as client,
            client.stream("GET", self._url, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"the answer is {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise ValueError(f"the answer is larger than {_MAX_BYTES} bytes")
        return bytes(body)


def read_key_set(document: bytes) -> dict[tuple[str, str | None], PyJWK]:
    """Return the keys of a JWKS document by algorithm and id; under the id None the only one of its algorithm.

    Keys that are no public signing keys of an algorithm that is spoken here are left out. Raises ValueError.
    """
    value = orjson.loads(document)
    members = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(members, list) or len(members) > _MAX_KEYS:
        raise ValueError(f"the answer is not an object with at most {_MAX_KEYS} keys")
    found: dict[tuple[str, str | None], PyJWK] = {}
    of_algorithm: dict[str, list[PyJWK]] = {}
    for member in members:
        key = _read_key(member)
        if key is not None:
            of_algorithm.setdefault(key.algorithm_name, []).append(key)
            if isinstance(member.get("kid"), str):
                found.setdefault((key.algorithm_name, member["kid"]), key)
    for algorithm, keys in of_algorithm.items():
        if len(keys) == 1:
            found[(algorithm, None)] = keys[0]
    return found


def _read_key(member: Any) -> PyJWK | None:
    if not isinstance(member, dict) or not isinstance(member.get("kty"), str) or "d" in member:
        return None
    curve = member.get("crv") if member["kty"] != "RSA" else None
    algorithm = _ALGORITHMS.get((member["kty"], curve)) if isinstance(curve, str | None) else None
    operations = member.get("key_ops", ["verify"])
    if (
        algorithm is None
        or member.get("alg", algorithm) != algorithm
        or member.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
    ):
        return None
    try:
        key = PyJWK(member, algorithm)
    except (PyJWTError, ValueError, TypeError, AttributeError):
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS:
        return None
    return key


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
