"""The caches that the server uses; the gateway provides them, with sizes from its settings."""

from __future__ import annotations

from typing import Protocol, TypeVar

Item = TypeVar("Item")


class BytesCache(Protocol[Item]):
    """A cache by bytes, bounded by memory. A weight is in bytes of memory."""

    def get(self, raw: bytes, /) -> Item | None:
        """Return what was put in, or None."""

    def put(self, raw: bytes, item: Item, weight: int, /) -> None:
        """Keep it."""

    def clear(self) -> None:
        """Keep nothing."""


def know_nothing(_: bytes) -> None:
    """Stand in for the ``get`` of a cache that is not there."""
