"""A reusable timer, for the parts of a connection that wait for something."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable


class OneTimer:
    """At most one timer, by the clock of the event loop."""

    __slots__ = ("_loop", "_timer")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: TimerHandle | None = None

    def stop(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _call_in(self, seconds: float, look: Callable[[], None]) -> None:
        """Call ``look`` so far from now, in place of what was to be called."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, look)
