"""Makes the bus that a URL in the settings names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userline.changes.memory import MemoryBackend, check_memory_url
from userline.changes.postgres.url import check_postgres_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.changes.protocol import Backend


@dataclass(frozen=True, slots=True)
class BusKind:
    """A kind of bus."""

    name: str
    """What people call it."""
    example: str
    """What its URLs look like."""
    is_shared: bool
    """Whether gateways in several processes can meet there."""
    check: Callable[[str], None]
    """Raises ValueError, with a sentence that says what to write, and never has what was given in it."""
    make: Callable[[str], Backend]
    """Makes the backend of a URL that was checked."""


# Redis and PostgreSQL bring libraries that take memory and a part of the start, for nothing where the bus is another.


def _check_redis(url: str) -> None:
    from userline.changes.redis import check_redis_url  # noqa: PLC0415

    check_redis_url(url)


def _redis(url: str) -> Backend:
    from userline.changes.redis import RedisBackend  # noqa: PLC0415

    return RedisBackend(url)


def _postgres(url: str) -> Backend:
    from userline.changes.postgres.backend import PostgresBackend  # noqa: PLC0415

    return PostgresBackend(url)


_MEMORY: Final = BusKind("memory", "memory://", False, check_memory_url, lambda _: MemoryBackend())
_REDIS: Final = BusKind("Redis", "redis://HOST:PORT", True, _check_redis, _redis)

_POSTGRES: Final = BusKind("PostgreSQL", "postgres://USER:PASSWORD@HOST/DATABASE", True, check_postgres_url, _postgres)

_REDIS_SCHEMES: Final = tuple(
    f"{name}{tls}{kind}" for name in ("redis", "valkey") for tls in ("", "s") for kind in ("", "+sentinel", "+cluster")
)
"""Source: what redis-py, valkey-py, limits and redisvl call them."""

_SCHEMES: Final[dict[str, BusKind]] = {
    "memory": _MEMORY,
    **dict.fromkeys(_REDIS_SCHEMES, _REDIS),
    "postgres": _POSTGRES,
    "postgresql": _POSTGRES,
}

SHARED_EXAMPLES: Final = " or ".join(dict.fromkeys(kind.example for kind in _SCHEMES.values() if kind.is_shared))
"""What URLs of buses look like that several gateways can share, for messages."""


def kind_of(url: str) -> BusKind:
    """Return the kind of bus that ``url`` names. Raises ValueError if there is none, as ``check_bus_url`` does."""
    scheme, colon, _ = url.partition(":")
    kind = _SCHEMES.get(scheme.lower()) if colon else None
    if kind is None:
        raise ValueError(f"The bus is memory:// (one process), or {SHARED_EXAMPLES} (any number of gateways).")
    return kind


def check_bus_url(url: str) -> None:
    """Raise ValueError if ``url`` names no bus, with a sentence that says what would; touches no network.

    The sentence never has the URL in it, which may hold a password.
    """
    kind_of(url).check(url)


def make_backend(url: str) -> Backend:
    """Return the backend that ``url`` names. Raises ValueError as :func:`check_bus_url` does."""
    check_bus_url(url)
    return kind_of(url).make(url)
