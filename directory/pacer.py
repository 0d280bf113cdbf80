"""Bounds the work of one turn of the event loop, so that large requests do not delay others."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from userline.directory.fair_queue import FairQueue, Source, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable

PREPARING_SECONDS: Final = 0.005
EXECUTING_SECONDS: Final = 0.012
"""Longer, because lookups that begin in one turn become one read of the store."""
HITS_SECONDS: Final = 0.015
"""While lookups are answered from memory, by the thousand if a batch asks for so many."""
MANY_SECONDS: Final = 0.005
"""Before what is made of many users at once, which takes a turn of its own."""

SOURCE: Final[ContextVar[Source]] = ContextVar("userline_source", default=("", ""))
"""Who asks for what is being done."""

MOST_LITTLE: Final = 32
"""How much of what takes hardly longer than looking at the clock may begin before it is looked at again."""

_AT_ONCE: Final = 32
"""How many are woken in one turn: as many lookups as there is time for are to become one read of the store."""

_PAUSE_SECONDS: Final = 0.001
"""Not 0: what the loop finds ready goes before what is due, and others wait for a time, too."""


class Pacer:
    """Starts work in a turn of the event loop until its time is used up, and the rest in the next turns.

    Whoever finds no time waits in a queue, and is woken when it is its turn: everybody in turn, so that a small request
    waits for as many turns as there are others who ask, however much they ask for. What counts is the time that the
    loop's thread has computed, not what else the machine did meanwhile. For one event loop.
    """

    def __init__(self) -> None:
        self._started: float | None = None
        self._is_resting = False
        self._is_waking = False
        self._is_owed = False
        self.little = 0
        """How much was begun since the clock was looked at, without asking for the time that there is.

        Who adds to it asks ``has_time`` where it is more than ``MOST_LITTLE``.
        """
        self._queue = FairQueue()
        self.on_wait: Callable[[float], None] = lambda _: None
        """Told how long somebody has waited."""
        self.clock: Callable[[], float] = time.thread_time

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    def has_time(self, seconds: float) -> bool:
        """Whether this turn has lasted less than ``seconds``, counted from the first who asked in it."""
        if self._is_resting:
            return False
        self.little = 0
        now = self.clock()
        if self._started is None:
            self._started = now
            asyncio.get_running_loop().call_soon(self._end)
        return now - self._started < seconds

    def has_turn(self, seconds: float) -> bool:
        """Whether ``turn`` would return at once: there is time, and nobody waits for it."""
        return not self._queue and self.has_time(seconds)

    async def turn(self, seconds: float, source: Source | None = None) -> None:
        """Return when it is the turn of ``source``, the one of the context if it is None, and there is time for it."""
        if self.has_turn(seconds):
            return
        loop = asyncio.get_running_loop()
        waiter = Waiter(source or SOURCE.get())
        self._queue.add(waiter)
        self._wake_soon()
        began = loop.time()
        try:
            while True:
                waiter.woken = loop.create_future()
                await waiter.woken
                if self.has_time(seconds) or self._take_what_is_owed():
                    self._is_owed = False
                    return
        finally:
            self._queue.remove(waiter)
            self.on_wait(loop.time() - began)

    def _take_what_is_owed(self) -> bool:
        """Whether it is the first of a turn whose time others have used up, of whom none has waited."""
        is_owed, self._is_owed = self._is_owed and not self._is_resting, False
        return is_owed

    def _wake_soon(self) -> None:
        if not self._is_waking and not self._is_resting and self._queue:
            self._is_waking = True
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        """Have those look whose turn it is next. Who finds no time stays where it is in the queue."""
        self._is_waking = False
        if self._is_resting:
            return
        self._is_owed = True
        for waiter in self._queue.first(_AT_ONCE):
            waiter.wake()
        self._wake_soon()

    def _end(self) -> None:
        """End the turn. After a long one it is the turn of others, even if somebody who waited here is due first."""
        if self._started is not None and self.clock() - self._started > EXECUTING_SECONDS:
            self._is_resting = True
            self.little = MOST_LITTLE + 1
            asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._end_rest)
        self._started = None

    def _end_rest(self) -> None:
        self._is_resting = False
        self._wake_soon()
