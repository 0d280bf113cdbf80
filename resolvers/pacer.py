"""Room for others: what one turn of the event loop does is bounded, however much was asked for at once."""

from __future__ import annotations

import asyncio
import time
from typing import Final

PREPARING_SECONDS: Final = 0.005
EXECUTING_SECONDS: Final = 0.012
"""Longer, because lookups that begin in one turn become one read of the store."""
HITS_SECONDS: Final = 0.015
"""While lookups are answered from memory, by the thousand if a batch asks for so many."""
MANY_SECONDS: Final = 0.005
"""Before what is made of many users at once, which takes a turn of its own."""

_LITTLE: Final = 8

_PAUSE_SECONDS: Final = 0.001
"""Not 0: what the loop finds ready goes before what is due, and others wait for a time, too."""


class Pacer:
    """Lets work begin in a turn of the event loop until its time is up, and the rest in the next turns.

    What counts is the time that the loop's thread has computed, not what else the machine did meanwhile. For one event
    loop.
    """

    def __init__(self) -> None:
        self._started: float | None = None
        self._is_resting = False
        self._little = 0

    def has_time(self, seconds: float) -> bool:
        """Whether this turn has lasted less than ``seconds``, counted from the first who asked in it."""
        if self._is_resting:
            return False
        now = time.thread_time()
        if self._started is None:
            self._started = now
            asyncio.get_running_loop().call_soon(self._end)
        return now - self._started < seconds

    def has_time_for_little(self, seconds: float) -> bool:
        """As ``has_time``, for what takes hardly longer than looking at the clock: looked at every eighth time."""
        if self._is_resting:
            return False
        self._little += 1
        return bool(self._little % _LITTLE) or self.has_time(seconds)

    async def turn(self, seconds: float) -> None:
        """Return when this turn has lasted less than ``seconds``."""
        while not self.has_time(seconds):  # noqa: ASYNC110 - it is a time that is waited for
            await asyncio.sleep(_PAUSE_SECONDS)

    def _end(self) -> None:
        """End the turn. After a long one it is the turn of others, even if somebody who waited here is due first."""
        if self._started is not None and time.thread_time() - self._started > EXECUTING_SECONDS:
            self._is_resting = True
            asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._end_rest)
        self._started = None

    def _end_rest(self) -> None:
        self._is_resting = False
