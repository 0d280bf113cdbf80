"""Room for others: what one turn of the event loop does is bounded, however much was asked for at once."""

from __future__ import annotations

import asyncio
import time
from typing import Final

PREPARING_SECONDS: Final = 0.005
EXECUTING_SECONDS: Final = 0.025
"""Longer, because lookups that begin in one turn become one read of the store."""

_PAUSE_SECONDS: Final = 0.001
"""Not 0: what the loop finds ready goes before what is due, and others wait for a time, too."""


class Pacer:
    """Lets work begin in a turn of the event loop until its time is up, and the rest in the next turns.

    For one event loop.
    """

    def __init__(self) -> None:
        self._started: float | None = None

    def has_time(self, seconds: float) -> bool:
        """Whether this turn has lasted less than ``seconds``, counted from the first who asked in it."""
        now = time.perf_counter()
        if self._started is None:
            self._started = now
            asyncio.get_running_loop().call_soon(self._end)
        return now - self._started < seconds

    async def turn(self, seconds: float) -> None:
        """Return when this turn has lasted less than ``seconds``."""
        while not self.has_time(seconds):  # noqa: ASYNC110 - it is a time that is waited for
            await asyncio.sleep(_PAUSE_SECONDS)

    def _end(self) -> None:
        self._started = None
