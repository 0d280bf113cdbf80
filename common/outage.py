"""Measures outages, for the log line that says that something is available again."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Outage:
    """An outage; true while something is not available.

    Where several things are tried at once, each says when it was tried (``now()``). What was tried before an outage
    began and succeeds is no end of it, and what was tried before it ended and fails is no beginning of another one.
    """

    __slots__ = ("_ended", "_since", "now")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = clock
        self._since: float | None = None
        self._ended = -math.inf

    def __bool__(self) -> bool:
        return self._since is not None

    def begin(self, tried: float = math.inf) -> bool:
        """Take note that what was tried then has failed, and return whether it is news that it is away."""
        if self._since is not None or tried < self._ended:
            return False
        self._since = self.now()
        return True

    def end(self, tried: float = math.inf) -> str | None:
        """Take note that what was tried then has succeeded, and return how long it was away, in words, if it was."""
        if self._since is None or tried < self._since:
            return None
        self._ended = self.now()
        seconds, self._since = self._ended - self._since, None
        return in_words(seconds)


def in_words(seconds: float) -> str:
    """Return a time as people say it: ``15.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{min(seconds, 59.9):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
