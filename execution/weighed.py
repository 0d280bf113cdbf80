"""A cache that is bounded by the memory of its entries, and the estimates of that memory."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

K = TypeVar("K")
V = TypeVar("V")

_ENTRY_BYTES: Final = 300
"""What keeping an entry takes beside the entry: its places in the tables, which grow by doubling."""


class WeighedCache(Generic[K, V]):
    """Values by key: the most recently used ones, up to ``most_bytes``, and up to ``most`` entries if that is given.

    Weights are bytes of memory, as who puts a value in knows them. For one event loop. What is asked for every request
    are a dictionary's own methods, without a call of ours around them: ``get``, ``look_up`` and ``touch``.
    """

    __slots__ = ("_entries", "_most", "_most_bytes", "_on_drop", "_weights", "get", "look_up", "touch", "weight")

    def __init__(
        self, most_bytes: int, *, most: int | None = None, on_drop: Callable[[K, V], None] | None = None
    ) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._weights: dict[K, int] = {}
        self._most_bytes = most_bytes
        self._most = sys.maxsize if most is None else most
        self._on_drop = on_drop
        self.weight = 0
        """What is kept weighs so much, in bytes."""
        self.get = self._entries.get
        """Returns the value of a key, or None; that is no use of it."""
        self.look_up = self._entries.__getitem__
        """Returns the value of a key, likewise. Raises KeyError."""
        self.touch: Callable[[K], None] = self._entries.move_to_end
        """Takes note that a key that is there was used."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __getitem__(self, key: K) -> V:
        return self._entries[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def __reversed__(self) -> Iterator[K]:
        return reversed(self._entries)

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep a value, as the one that was used last. What alone is too heavy is not kept."""
        if key in self._entries:
            self.drop(key)
        weight += _ENTRY_BYTES
        if weight > self._most_bytes or not self._most:
            return
        self._entries[key] = value
        self._weights[key] = weight
        self.weight += weight
        while self.weight > self._most_bytes or len(self._entries) > self._most:
            self.drop(next(iter(self._entries)))

    def drop(self, key: K) -> None:
        """Keep a value no longer; it must be there."""
        value = self._entries.pop(key)
        self.weight -= self._weights.pop(key)
        if self._on_drop is not None:
            self._on_drop(key, value)

    def clear(self) -> None:
        """Keep nothing."""
        for key in list(self._entries):
            self.drop(key)


def weight_of(value: Any) -> int:
    """Return what a value of strings, bytes, numbers, lists, tuples and dictionaries weighs, itself included.

    Of what else it may be it returns the size of the object alone.
    """
    size = sys.getsizeof(value)
    if isinstance(value, list | tuple):
        return size + sum(map(weight_of, value))
    if isinstance(value, dict):
        return size + sum(weight_of(key) + weight_of(member) for key, member in value.items())
    return size
