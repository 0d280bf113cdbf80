"""Turns of the event loop, shared by the connections whose input takes more than one turn to parse."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_TURN_SECONDS: Final = 0.003
"""How long all connections together may parse before the loop looks at what else there is to do."""


class Turns:
    """Ends turns that have lasted long enough. Connections with more to do continue in the order of waiting.

    For one event loop.
    """

    def __init__(self) -> None:
        self._ends_at: float | None = None
        """When the turn under way is over, by ``time.perf_counter``; None if nobody has asked in it yet."""
        self._waiting: deque[Callable[[], object]] = deque()

    def is_over(self) -> bool:
        """Whether it is the turn of others. Ask after a piece of work, and :meth:`wait` if it is."""
        now = time.perf_counter()
        if self._ends_at is None:
            self._begin(now)
            return False
        return now > self._ends_at

    def wait(self, go_on: Callable[[], object]) -> None:
        """Have ``go_on`` called in a later turn."""
        if self._ends_at is None:
            self._begin(time.perf_counter())
        self._waiting.append(go_on)

    async def pass_on(self) -> None:
        """Return in a later turn."""
        woken = asyncio.Event()
        self.wait(woken.set)
        await woken.wait()

    def _begin(self, now: float) -> None:
        self._ends_at = now + _TURN_SECONDS
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._ends_at = None
        if not self._waiting:
            return
        now = time.perf_counter()
        self._begin(now)
        ends_at = now + _TURN_SECONDS
        while self._waiting and time.perf_counter() <= ends_at:
            self._waiting.popleft()()
