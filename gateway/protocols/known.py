"""Things that are made once and known by what they were made of: the last ones, by number and by weight."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Known(OrderedDict[K, V]):
    """At most ``most`` entries that together weigh at most ``heaviest``; the oldest are forgotten. Add with ``add``."""

    def __init__(self, most: int, heaviest: int) -> None:
        super().__init__()
        self._most = most
        self._left = heaviest
        self._weights: deque[int] = deque()

    def add(self, key: K, value: V, weight: int) -> None:
        """Remember a value whose key is not known yet."""
        self[key] = value
        self._weights.append(weight)
        self._left -= weight
        while len(self) > self._most or self._left < 0:
            self.popitem(last=False)
            self._left += self._weights.popleft()
