"""What caches by bytes are to the server: who serves gives them, with as much room as its settings say."""

from __future__ import annotations

from typing import Protocol, TypeVar

Item = TypeVar("Item")


class BytesCache(Protocol[Item]):
    """What was made of bytes, by these, as much as there is room for. A weight is in bytes of memory."""

    def get(self, raw: bytes, /) -> Item | None:
        """Return what was put in, or None."""

    def put(self, raw: bytes, item: Item, weight: int, /) -> None:
        """Keep it."""

    def clear(self) -> None:
        """Keep nothing."""


def know_nothing(_: bytes) -> None:
    """Stand in for the ``get`` of a cache that is not there."""
