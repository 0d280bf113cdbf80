"""When things that come one by one are done together."""

from __future__ import annotations

import asyncio
from contextvars import Context
from copy import copy
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Error = TypeVar("Error", bound=BaseException)

_SECONDS: Final = 0.002


class Gathering:
    """Says when to begin a batch: when the loop has run its ready callbacks. What comes in one turn is together then.

    Under load those would be many small batches; so while one is under way, things gather until it is answered, but for
    no longer than ``_SECONDS``: what is slow, or does not answer, makes nobody wait longer. For one event loop.
    """

    __slots__ = ("_begin", "_timer", "_under_way")

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self._under_way = 0
        self._timer: asyncio.TimerHandle | None = None

    def want(self) -> None:
        """There is something for a next batch, and was nothing before. ``begin`` is called when it is time."""
        # A context of its own: the batch belongs to everybody who asked, not to who asked first.
        asyncio.get_running_loop().call_soon(self._turn_is_over, context=Context())

    def begin(self) -> None:
        """Begin what is there now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._begin()

    def has_begun(self) -> None:
        """A batch is under way."""
        self._under_way += 1

    def is_answered(self) -> None:
        """A batch no longer is; the next one begins at once, before the answers to this one are passed on."""
        self._under_way -= 1
        if self._timer is not None and not self._under_way:
            self.begin()

    def _turn_is_over(self) -> None:
        if not self._under_way:
            self.begin()
        else:
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self.begin)


def own_error(error: Error) -> Error:
    """Return an error like this one for one more of those whom it is told: what awaits it adds to its traceback."""
    try:
        mine = copy(error)
    except Exception:  # noqa: BLE001 - one that is made of more than it remembers
        return error
    return mine.with_traceback(error.__traceback__)
