"""How long something was away, for the line of the log that says that it is back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Outage:
    """True while something is away."""

    __slots__ = ("_clock", "_since")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def __bool__(self) -> bool:
        return self._since is not None

    def begin(self) -> bool:
        """Take note that it is away, and return whether that is news."""
        if self._since is not None:
            return False
        self._since = self._clock()
        return True

    def end(self) -> str | None:
        """Take note that it is back, and return how long it was away, in words; None if it was not."""
        if self._since is None:
            return None
        seconds, self._since = self._clock() - self._since, None
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
