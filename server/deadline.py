"""A deadline on a connection, without a new timer each time that it is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.server.nobody import nobody
from userline.server.one_timer import OneTimer

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable


class Deadline(OneTimer):
    """Calls ``expire`` when it has passed. A running timer is kept, and checks the deadline when it fires."""

    __slots__ = ("_expire", "_looks_at", "_what", "at")

    def __init__(self, loop: AbstractEventLoop, expire: Callable[[str], None]) -> None:
        super().__init__(loop)
        self._expire = expire
        self.at: float | None = None
        """When it passes, by the clock of the event loop, or None if there is none."""
        self._what = ""
        self._looks_at = 0.0

    @property
    def is_set(self) -> bool:
        """Whether there is one."""
        return self.at is not None

    def set(self, seconds: float, what: str) -> None:
        """Set it so far from now, in place of another; ``what`` is what ``expire`` is told."""
        self.at = at = self._loop.time() + seconds
        self._what = what
        if self._timer is None or at < self._looks_at:
            self._look_in(seconds)

    def clear(self) -> None:
        """There is no deadline any more."""
        self.at = None

    def stop(self) -> None:
        """There will never be one again; what was to be called is let go of."""
        self.at = None
        self._expire = nobody
        super().stop()

    def _look_in(self, seconds: float) -> None:
        self._looks_at = self._loop.time() + seconds
        self._call_in(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.at is None:
            return
        left = self.at - self._loop.time()
        if left > 0:
            self._look_in(left)
        else:
            self.at = None
            self._expire(self._what)
