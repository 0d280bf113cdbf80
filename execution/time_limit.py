"""How long an operation may take: the one place that says so, and where everything that waits is ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from userline.execution.operation import out_of_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from userline.execution.operation import Response

T = TypeVar("T")


class OutOfTime(Exception):
    """What was waited for took longer than an operation may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    @property
    def response(self) -> Response:
        """The response."""
        return out_of_time(self.seconds)


class TimeLimit:
    """``seconds`` for each operation, what it waits for its turn included. For one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: dict[Callable[[], None], float] = {}
        """When what was begun without a task is to be ended, the first first."""
        self._timer: asyncio.TimerHandle | None = None

    def response(self) -> Response:
        """Return the response of an operation that took longer."""
        return out_of_time(self.seconds)

    def until(self) -> float:
        """Return when an operation that begins now has to be done, by the clock of the event loop."""
        return asyncio.get_running_loop().time() + self.seconds

    async def wait(self, work: Awaitable[T], until: float | None = None) -> T:
        """Return what ``work`` comes to; without ``until``, the time begins now. Raises OutOfTime."""
        try:
            async with asyncio.timeout_at(self.until() if until is None else until):
                return await work
        except TimeoutError:
            raise OutOfTime(self.seconds) from None

    async def hold(self, work: Awaitable[Response], until: float | None = None) -> Response:
        """Return the response that ``work`` comes to, or the one that says that it took too long."""
        try:
            return await self.wait(work, until)
        except OutOfTime as refusal:
            return refusal.response

    def add(self, end: Callable[[], None]) -> None:
        """Have ``end`` called when the time is over that begins now. Thousands of such share one timer."""
        loop = asyncio.get_running_loop()
        self._ends[end] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_later(self.seconds, self._look)

    def discard(self, end: Callable[[], None]) -> None:
        """It is done; there is nothing to be ended."""
        self._ends.pop(end, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        while self._ends:
            end, until = next(iter(self._ends.items()))
            if until > now:
                self._timer = loop.call_at(until, self._look)
                return
            del self._ends[end]
            loop.call_soon(end)
