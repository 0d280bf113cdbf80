"""SIGHUP: the signal to reload the settings. It never ends the process.

A terminal that is closed sends it too; then the settings are read again, and nothing has changed.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGHUP = getattr(signal, "SIGHUP", None)
"""None where there is no such signal."""


class HangUps:
    """Signals that came and were not handled yet; several count as one. For the main thread."""

    def __init__(self) -> None:
        self._is_due = False
        self._tell: Callable[[], object] | None = None

    @classmethod
    def awaited(cls) -> HangUps:
        """Return those that come from now on."""
        hang_ups = cls()
        if _SIGHUP is not None:
            signal.signal(_SIGHUP, lambda _number, _frame: hang_ups.come())
        return hang_ups

    def come(self) -> None:
        """Take note of one."""
        self._is_due = True
        if self._tell is not None:
            self._tell()

    def consume(self) -> bool:
        """Whether any came since this was asked last."""
        is_due, self._is_due = self._is_due, False
        return is_due

    @contextmanager
    def telling(self, tell: Callable[[], object]) -> Iterator[None]:
        """Call ``tell`` for each one, and now if any came before.

        It is called where a signal comes, which may be anywhere.
        """
        self._tell = tell
        if self._is_due:
            tell()
        try:
            yield
        finally:
            self._tell = None

    @staticmethod
    def ignore() -> None:
        """Have those that come from now on do nothing, until the end of the process and in it."""
        if _SIGHUP is not None:
            signal.signal(_SIGHUP, signal.SIG_IGN)


@contextmanager
def held_back() -> Iterator[None]:
    """Have no signal come until this is left, and none at all in processes that are started meanwhile."""
    if _SIGHUP is None:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {_SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
