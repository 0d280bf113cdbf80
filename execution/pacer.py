"""Room for others: what one turn of the event loop does is bounded, however much was asked for at once."""

from __future__ import annotations

import asyncio
import time
from typing import Final

_TURN_SECONDS: Final = 0.015


class Pacer:
    """Lets operations begin in a turn of the event loop until its time is up, and the others in the next ones.

    For one event loop.
    """

    def __init__(self, seconds: float = _TURN_SECONDS) -> None:
        self._seconds = seconds
        self._until: float | None = None

    async def turn(self) -> None:
        """Return when there is time left in this turn."""
        while True:
            now = time.perf_counter()
            if self._until is None:
                self._until = now + self._seconds
                asyncio.get_running_loop().call_soon(self._end)
            if now < self._until:
                return
            await asyncio.sleep(0)

    def _end(self) -> None:
        self._until = None
