"""Decides when calls that come one by one are combined into a batch."""

from __future__ import annotations

import asyncio
import math
from contextvars import Context
from copy import copy
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Error = TypeVar("Error", bound=BaseException)

FEWEST_BATCHES: Final = 2
"""How many batches are worth having under way where the way is short: one is worked at while the next arrives."""

_SECONDS: Final = 0.002
_FEWEST_SECONDS: Final = 0.001
_PATIENCE_SECONDS: Final = 0.25


class BatchScheduler:
    """Starts a batch when the event loop has run its ready callbacks, so calls of one turn are in one batch.

    Under load those would be many small batches; so while one is under way, things gather until it is answered, but for
    no longer than ``_SECONDS``: what is slow makes nobody wait longer.

    Where the way is long, ``most`` are more than the fewest: batches follow each other, ``apart()`` seconds from one to
    the next. (0: each sets out at once, and a small one is answered the sooner.) Who was answered by one batch comes
    again in several turns of the loop, so that things gather for ``_FEWEST_SECONDS`` at least.

    If ``most`` are under way, though, whoever answers them has enough to do, and would serve more of them in an order
    of its own: things gather until one is answered, and who came first is served first. So batches grow where the
    answers are slow. What does not answer at all holds the others up for ``_PATIENCE_SECONDS``.

    ``begin`` begins one batch, of those who have waited longest, and returns whether there is more. For one event loop.
    """

    __slots__ = ("_apart", "_began_at", "_begin", "_is_full", "_most", "_timer", "_under_way")

    def __init__(
        self, begin: Callable[[], bool], most: Callable[[], int], apart: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._begin = begin
        self._most = most
        self._apart = apart
        self._began_at = -math.inf
        self._under_way = 0
        self._is_full = False
        """Whether things wait for an answer to what is under way."""
        self._timer: asyncio.TimerHandle | None = None

    def want(self) -> None:
        """There is something for a next batch, and was nothing before. ``begin`` is called when it is time."""
        # A context of its own: the batch belongs to everybody who asked, not to who asked first.
        asyncio.get_running_loop().call_soon(self._turn_is_over, context=Context())

    def begin(self) -> None:
        """Begin all that is there now."""
        self._wait_no_longer()
        while self._begin():
            pass

    def has_begun(self) -> None:
        """A batch is under way."""
        self._under_way += 1
        self._began_at = asyncio.get_running_loop().time()

    def is_answered(self) -> None:
        """A batch no longer is; the next one begins at once, before the answers to this one are passed on."""
        self._under_way -= 1
        if self._is_full or (self._timer is not None and not self._under_way):
            self._begin_some()

    def _turn_is_over(self) -> None:
        if not self._under_way:
            self._begin_some()
        elif self._timer is None:
            seconds = self._to_wait()
            if seconds:
                self._timer = asyncio.get_running_loop().call_later(seconds, self._begin_some)
            else:
                self._begin_some()

    def _to_wait(self) -> float:
        """Return how many seconds things gather, while a batch is under way."""
        if self._most() <= FEWEST_BATCHES:
            return _SECONDS
        apart = self._apart()
        since = asyncio.get_running_loop().time() - self._began_at
        return max(apart - since, _FEWEST_SECONDS) if apart else 0.0

    def _begin_some(self) -> None:
        """Begin as many batches as may be under way."""
        self._wait_no_longer()
        most = self._most()
        while self._under_way < most:
            if not self._begin():
                return
        self._wait_for_an_answer()

    def _wait_for_an_answer(self) -> None:
        self._is_full = True
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._begin_one_more)

    def _begin_one_more(self) -> None:
        self._wait_no_longer()
        if self._begin():
            self._wait_for_an_answer()

    def _wait_no_longer(self) -> None:
        self._is_full = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def own_errors(error: Error, count: int) -> list[Error]:
    """Return an error for each of so many who are told of it, the first itself: who awaits it adds to its traceback."""
    return [error, *(_another(error) for _ in range(1, count))][:count]


def _another(error: Error) -> Error:
    try:
        another = copy(error)
    except Exception:  # noqa: BLE001 - one that is made of more than it remembers
        return error
    return another.with_traceback(error.__traceback__)
