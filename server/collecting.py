"""Decides when the garbage collector runs, so that requests do not have to wait for it.

Python's own plan is to go over everything that has ever survived, whenever a quarter more has come. For a server that
holds thousands of sockets that is a pause of hundreds of milliseconds, again and again, and it finds nothing: what a
connection leaves behind is freed by its reference counts. Here each object is gone over while it is new, with the
others that came with it, and then set aside (``gc.freeze``). All of them are gone over only where there is more memory
in use than the open sockets explain.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger("userline")

_AT_ONCE: Final = 20_000
"""About how many new objects are gone over at once: 10 to 20 ms."""

_LOOK_SECONDS: Final = 10.0
"""How often it is looked at whether there is more in use than there should be."""

_BLOCKS_OF_SOCKET: Final = 400
"""How many of the allocator's blocks an open socket with a subscription explains; it has some 250."""

_GROWN: Final = 2
"""Everything is gone over when so many times what there was is in use, and nobody has to wait for it."""

_GROWN_AND_BUSY: Final = 4
"""The same, whoever has to wait: 0.6 s with 5,000 sockets, where some 110 MB of garbage are found.

Eight times would be 0.8 s and 250 MB, and with nothing to be found it is 0.35 s."""

_QUIET: Final = 0.05
"""Nobody waits, most likely, where less than this part of the time was worked."""

_LONG_SECONDS: Final = 3600.0
"""After so long without a quiet moment everything is gone over as well, if it has grown."""


class Collecting:
    """The garbage collection of one process. ``sockets`` returns the number of sockets."""

    def __init__(self, sockets: Callable[[], int]) -> None:
        self._sockets = sockets
        self._blocks = self._least = 1
        self._at = 0.0
        self._looked_at = 0.0
        self._worked = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have the collector work by this plan, in the event loop that runs now."""
        loop = asyncio.get_running_loop()
        before = gc.get_threshold()
        gc.callbacks.append(_set_aside)
        if before[0] and before[2]:  # Python 3.14 has no third: it goes over what is old piece by piece, by itself
            gc.set_threshold(*before[:2], max(_AT_ONCE // (before[0] * (before[1] + 1)) - 1, 0))
        self.collect_all()
        self._least = self._blocks
        timer = loop.create_task(self._look_on(), name="userline-collecting")
        try:
            yield
        finally:
            timer.cancel()
            gc.callbacks.remove(_set_aside)
            gc.set_threshold(*before)

    def collect_all(self) -> int:
        """Go over everything, set aside or not, and return how many objects were garbage."""
        gc.unfreeze()
        found = gc.collect()
        gc.freeze()
        gc.collect()  # Of nothing: the interpreter puts off the next one by a quarter of what the last one has left.
        self._blocks = max(self._unexplained(), self._least)  # sockets may explain more than they have
        self._at = self._looked_at = time.monotonic()
        self._worked = time.process_time()
        return found

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._look()

    def _look(self) -> None:
        now, worked = time.monotonic(), time.process_time()
        is_quiet = worked - self._worked < (now - self._looked_at) * _QUIET
        self._looked_at, self._worked = now, worked
        times = self._unexplained() / self._blocks
        if times < _GROWN:
            return
        if is_quiet or times >= _GROWN_AND_BUSY or now - self._at >= _LONG_SECONDS:
            found = self.collect_all()
            logger.debug("A full garbage collection found %d unreachable objects.", found)

    def _unexplained(self) -> int:
        return sys.getallocatedblocks() - self._sockets() * _BLOCKS_OF_SOCKET


def _set_aside(phase: str, info: dict[str, Any]) -> None:
    """What has survived the oldest generation's collection stays: no collection has a reason to look at it again."""
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()
