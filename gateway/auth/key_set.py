"""The public keys at a JWKS URL (RFC 7517), fetched again and again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK
from jwt.algorithms import OKPAlgorithm
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from userline.common import tasks
from userline.common.backoff import Backoff, spread
from userline.common.outage import Outage
from userline.gateway.auth.keys import Key
from userline.gateway.auth.outgoing import route_to, without_password
from userline.gateway.auth.tokens import TokenRefused
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.gateway.auth.keys import PublicKey

logger = logging.getLogger("userline.auth")

_MAX_BYTES: Final = 262_144
_MAX_KEYS: Final = 100
_MIN_RSA_BITS: Final = 2048
_SECONDS: Final = 5.0
"""What fetching the keys may take in all."""

_ALGORITHMS: Final = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
"""The one algorithm that keys of a type and curve are good for."""

_NAMES: Final = {"EdDSA": ("EdDSA", "Ed25519")}
"""Algorithms that have several names. Source: RFC 9864, which has Ed25519 in place of EdDSA."""

_SOONEST, _LATEST = 0.5, 0.8
"""After which part of the time that keys may be old they are fetched again: the rest is for fetching them."""

_FIRST_RETRY: Final = 0.01
"""After which part of that time a fetch is repeated that has failed; then after twice as much, and so on."""


class Contents(NamedTuple):
    """The contents of a JWKS."""

    by_name: dict[tuple[str, str | None], Key]
    """Keys by algorithm and id; under the id None the only one of its algorithm."""
    ids: frozenset[bytes]
    """The ids of all keys."""


class KeySet:
    """The public keys at a JWKS URL.

    They are fetched for a token whose key is unknown, at most once in ``pause`` seconds, and from :meth:`start` on so
    often that a key that has gone from there is gone here within ``seconds``. Requests that wait for the keys wait for
    one fetch. If it fails, the keys that are there stay. Raises OutgoingError if the URL cannot be reached by the
    proxy or with the certificates that the environment names.
    """

    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA", "Ed25519")

    def __init__(self, url: str, *, pause: float = 10.0, seconds: float = 600.0) -> None:
        self._url = url
        self._way = route_to(url)
        self._pause = pause
        self._age_limit = seconds
        self._jws = PyJWS()
        self._jws.register_algorithm("Ed25519", OKPAlgorithm())  # what RFC 9864 calls EdDSA with such a key
        self._document: bytes | None = None
        self._keys = Contents({}, frozenset())
        self._fetched: float | None = None
        self._tried = float("-inf")
        self._failed = False
        self._outage = Outage()
        self._fetch: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self.fetches = 0
        self.failures = 0
        self.on_change: Callable[[frozenset[bytes]], None] = lambda _: None

    @property
    def age(self) -> float:
        """How long ago the keys were as they are here, in seconds; 0 before they were fetched for the first time."""
        return 0.0 if self._fetched is None else time.monotonic() - self._fetched

    @property
    def count(self) -> int:
        """How many keys there are."""
        return len(self._keys.ids)

    @property
    def algorithms_there(self) -> set[str]:
        """The algorithms that there are keys of."""
        return {algorithm for algorithm, _ in self._keys.by_name}

    async def find(self, algorithm: str, key_id: str | None) -> tuple[Key, ...]:
        """Return the key that a token names, or the only one of its algorithm if it names none."""
        wanted = (next((name for name, names in _NAMES.items() if algorithm in names), algorithm), key_id)
        key = self._keys.by_name.get(wanted)
        if key is None and (self._fetch is not None or time.monotonic() - self._tried > self._pause):
            await asyncio.shield(self._start())
            key = self._keys.by_name.get(wanted)
        if key is not None:
            return (key,)
        if self._failed:
            raise StoreUnavailable(
                "The keys that tokens are verified with are not available right now. Try again in a moment."
            )
        raise TokenRefused("there is no such key")

    def is_signed(self, token: str, algorithm: str, key: Key) -> bool:
        """Whether a token is signed with the private key of a public one."""
        try:
            self._jws.decode_complete(token, key.material, algorithms=[algorithm])
        except PyJWTError:
            return False
        return True

    async def load(self) -> None:
        """Fetch the keys. Raises StoreUnavailable."""
        await asyncio.shield(self._start())
        if self._failed:
            raise StoreUnavailable("The keys that tokens are verified with cannot be fetched.")

    def start(self) -> None:
        """Fetch the keys now, and again and again."""
        self._following = asyncio.create_task(self._follow(), name="userline-jwks")

    async def close(self) -> None:
        """End what is under way."""
        await tasks.end([self._following, self._fetch])

    async def _follow(self) -> None:
        first = max(self._age_limit * _FIRST_RETRY, 0.1)
        backoff = Backoff(first, self._age_limit, least=_SOONEST, most=_LATEST)
        while True:
            await asyncio.shield(self._start())
            if self._failed:
                await backoff.wait()
            else:
                backoff.reset()
                await asyncio.sleep(spread(self._age_limit, _SOONEST, _LATEST))

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
        except Exception as error:  # noqa: BLE001 - whatever it is, the keys at hand stay, and no token ends as a 500
            self._failed = True
            self.failures += 1
            if self._outage.begin():
                logger.warning(
                    "The keys that tokens are verified with cannot be fetched (%s). The keys that were fetched before "
                    "stay in use.",
                    _sentence(error),
                )
        else:
            self._failed = False
            if self._outage:
                logger.info(
                    "The keys that tokens are verified with can be fetched again, after %s.", self._outage.end()
                )
            self._fetched = time.monotonic()
            if document != self._document:
                self._document, self._keys = document, keys
                logger.info("%d keys were fetched to verify tokens with.", self.count)
                self.on_change(keys.ids)
        finally:
            self._fetch = None

    async def _download(self) -> bytes:
        self.fetches += 1
        body = bytearray()
        async with (
            self._way.client(_SECONDS) as client,
            client.stream("GET", self._url, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"the answer is {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise ValueError(f"the answer is larger than {_MAX_BYTES} bytes")
        return bytes(body)


def read_key_set(document: bytes) -> Contents:
    """Return the keys of a JWKS document.

    Keys that are no public signing keys of an algorithm that is spoken here are left out. Raises ValueError.
    """
    value = orjson.loads(document)
    members = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(members, list) or len(members) > _MAX_KEYS:
        raise ValueError(f"the answer is not an object with at most {_MAX_KEYS} keys")
    found: dict[tuple[str, str | None], Key] = {}
    of_algorithm: dict[str, list[Key]] = {}
    for member in members:
        algorithm = _algorithm_of(member)
        key = _read_key(member, algorithm) if algorithm else None
        if algorithm is not None and key is not None:
            of_algorithm.setdefault(algorithm, []).append(key)
            if isinstance(member.get("kid"), str):
                found.setdefault((algorithm, member["kid"]), key)
    for algorithm, keys in of_algorithm.items():
        if len(keys) == 1:
            found[algorithm, None] = keys[0]
    return Contents(found, frozenset(key.id for keys in of_algorithm.values() for key in keys))


def _algorithm_of(member: Any) -> str | None:
    """Return the algorithm that a member of the set checks signatures of, or None if it does not."""
    if not isinstance(member, dict) or not isinstance(member.get("kty"), str) or "d" in member:
        return None
    curve = member.get("crv") if member["kty"] != "RSA" else None
    algorithm = _ALGORITHMS.get((member["kty"], curve)) if isinstance(curve, str | None) else None
    operations = member.get("key_ops", ["verify"])
    if (
        algorithm is None
        or member.get("alg", algorithm) not in _NAMES.get(algorithm, (algorithm,))
        or member.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
    ):
        return None
    return algorithm


def _read_key(member: dict[str, Any], algorithm: str) -> Key | None:
    try:
        key = cast("PublicKey", PyJWK(member, algorithm).key)
        encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # noqa: BLE001 - whatever is wrong with one member, the others are good
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        return None
    return Key(key, hashlib.sha256(encoded).digest())


def _sentence(error: Exception) -> str:
    text = without_password(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
