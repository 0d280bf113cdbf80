"""A clock that a test moves on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from userline_client.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable


class _Handle:
    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ScriptedClock(Clock):
    """Stands still, unless a test calls ``pass_time``."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.on_the_wall = 1_800_000_000.0
        self._timers: list[_Handle] = []

    def now(self) -> float:
        """Return the seconds that have passed."""
        return self.seconds

    def wall(self) -> float:
        """Return the time of day."""
        return self.on_the_wall

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back when so much time has passed."""
        self._timers.append(_Handle(self.seconds + seconds, callback))
        return cast("asyncio.TimerHandle", self._timers[-1])

    def pass_time(self, seconds: float) -> None:
        """Let time pass, on both clocks, and call back who is due, each at its time."""
        end = self.seconds + seconds
        while due := [timer for timer in self._timers if timer.due <= end and not timer.is_cancelled]:
            timer = min(due, key=lambda each: each.due)
            self._timers.remove(timer)
            self._go_to(max(timer.due, self.seconds))
            timer.callback()
        self._go_to(end)

    async def pass_time_slowly(self, seconds: int) -> None:
        """Let time pass second by second, with some turns of the event loop in each."""
        for _ in range(seconds):
            self.pass_time(1)
            for _ in range(3):
                await asyncio.sleep(0)

    def sleep(self, seconds: float) -> None:
        """Let the machine sleep: only the clock on the wall goes on."""
        self.on_the_wall += seconds

    def block(self, seconds: float) -> None:
        """Let time pass in which nobody is called back."""
        self._go_to(self.seconds + seconds)

    @property
    def timers(self) -> int:
        """How many wait to be called back."""
        return sum(not timer.is_cancelled for timer in self._timers)

    def _go_to(self, seconds: float) -> None:
        self.on_the_wall += seconds - self.seconds
        self.seconds = seconds
