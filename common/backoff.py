"""Pauses before something is tried again, and the spreading of many such attempts."""

from __future__ import annotations

import asyncio
import random


def spread(seconds: float, least: float = 0.0, most: float = 1.0) -> float:
    """Return some part of ``seconds``, anything from ``least`` to ``most`` of it."""
    return random.uniform(least * seconds, most * seconds)  # noqa: S311 - spreads load, hides nothing


class Backoff:
    """Pauses that grow: up to ``first`` seconds, then up to twice as long, and so on, never more than ``longest``.

    Each is a random part of that, from ``least`` to ``most`` of it, so that those who lost something at the same moment
    do not all come back at the same moment.
    """

    __slots__ = ("_bound", "_first", "_least", "_longest", "_most", "pauses")

    def __init__(self, first: float, longest: float, *, least: float = 0.0, most: float = 1.0) -> None:
        self._first = self._bound = min(first, longest)
        self._longest = longest
        self._least, self._most = least, most
        self.pauses = 0
        """How many there were since all was well."""

    def reset(self) -> None:
        """Take note that all is well: the next pause is a first one."""
        self._bound = self._first
        self.pauses = 0

    def next(self) -> float:
        """Return how many seconds to wait now."""
        seconds = spread(self._bound, self._least, self._most)
        self._bound = min(2 * self._bound, self._longest)
        self.pauses += 1
        return seconds

    async def wait(self) -> None:
        """Wait."""
        await asyncio.sleep(self.next())
