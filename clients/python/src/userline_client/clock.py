"""The clocks of a session, in one place, so that they can be others than this machine's."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Key = TypeVar("Key")


class Clock:
    """The event loop's clock, and the one on the wall."""

    def now(self) -> float:
        """Return seconds that never go back."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """Return the time of day, which goes on while the machine sleeps."""
        return time.time()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back after so many seconds."""
        return asyncio.get_running_loop().call_later(seconds, callback)


class Timers:
    """Timers that can be stopped together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timers: set[asyncio.TimerHandle] = set()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back after so many seconds, unless stopped."""

        def call() -> None:
            self._timers.discard(timer)
            callback()

        timer = self._clock.call_later(seconds, call)
        self._timers.add(timer)

    def stop(self) -> None:
        """Call nobody back."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


class Expiry(Generic[Key]):
    """Keys that each stay for the same time, with one timer for all of them."""

    def __init__(self, clock: Clock, seconds: float, on_expired: Callable[[Key], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._on_expired = on_expired
        self._due: dict[Key, float] = {}  # in the order in which they are due
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: Key) -> bool:
        return key in self._due

    def add(self, key: Key) -> None:
        """Let a key expire after the time from now."""
        self._due.pop(key, None)
        self._due[key] = self._clock.now() + self._seconds
        if self._timer is None:
            self._timer = self._clock.call_later(self._seconds, self._expire)

    def discard(self, key: Key) -> None:
        """Forget a key, if it is there."""
        self._due.pop(key, None)
        if not self._due:
            self.stop()

    def oldest(self) -> Key:
        """Return the key that is due next. There must be one."""
        return next(iter(self._due))

    def stop(self) -> None:
        """Forget all of them."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        now = self._clock.now()
        for key in [key for key, due in self._due.items() if due <= now]:
            if self._due.get(key, now + 1) <= now:  # the callback for another one may have changed that
                self.discard(key)
                self._on_expired(key)
        if self._due and self._timer is None:
            self._timer = self._clock.call_later(self._due[self.oldest()] - now, self._expire)
