"""Messages of this process that it receives itself: measures their delay."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 16
"""How many may be on their way at once to have their time taken."""


class Sent:
    """The last messages that were sent."""

    def __init__(self) -> None:
        self._times: OrderedDict[bytes, float] = OrderedDict()
        self.on_lag: Callable[[float], None] = lambda _: None
        """Called with the seconds from the sending of a message to its hearing."""

    def add(self, message: bytes) -> None:
        """Take note of a message that is about to be sent."""
        self._times[message] = time.perf_counter()
        if len(self._times) > _MOST:
            self._times.popitem(last=False)

    def has(self, message: bytes | str) -> bool:
        """Return whether a message that was heard is one of them; then its time is taken."""
        sent_at = self._times.pop(message, None) if isinstance(message, bytes) else None
        if sent_at is not None:
            self.on_lag(time.perf_counter() - sent_at)
        return sent_at is not None
