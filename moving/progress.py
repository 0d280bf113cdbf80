"""Shows the progress of an export or import: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

_BAR_WIDTH: Final = 24
_SECONDS_BETWEEN_BARS: Final = 0.1
_SECONDS_BETWEEN_LINES: Final = 5.0


class Progress:
    """Shows one phase: ``done`` of ``total`` of whatever is counted (bytes, users), and how many users that were.

    ``already`` users were done before this run and do not count for the rate; ``unit`` is what they are if not users.
    ``total`` may become known later. Where it is a guess, ``about`` says so, and there is no 100 % before the end.
    """

    def __init__(  # noqa: PLR0913 - each is something else
        self,
        stream: TextIO,
        label: str,
        total: int,
        *,
        already: int = 0,
        unit: str = "users",
        about: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._label = label
        self._unit = unit
        self._about = about
        self.total = total
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._started = clock()
        self._shown = float("-inf")
        self._already = already
        self._first_done: int | None = None

    def show(self, done: int, users: int) -> None:
        """Show how far it is, unless that was shown a moment ago."""
        if self._first_done is None:
            self._first_done = done
        wait = _SECONDS_BETWEEN_BARS if self._is_terminal else _SECONDS_BETWEEN_LINES
        if self._clock() - self._shown >= wait:
            self._show(done, users)

    def finish(self, done: int, users: int) -> None:
        """Show how far it came, and end the line."""
        self._show(done, users, is_end=True)
        if self._is_terminal:
            self._stream.write("\n")
            self._stream.flush()

    def _show(self, done: int, users: int, *, is_end: bool = False) -> None:
        self._shown = self._clock()
        share = min(done / self.total, 1.0) if self.total else 1.0
        seconds = self._shown - self._started
        if self._about and not is_end:
            share = min(share, 0.99)
        text = f"{self._label}{' about' if self._about else ''} {share:4.0%}  {users:,} {self._unit}"
        if seconds > 0 and users > self._already:
            text += f"  {(users - self._already) / seconds:,.0f}/s"
        left = self._seconds_left(done, seconds)
        if left is not None:
            text += f"  {_clock_face(left)} left"
        if self._is_terminal:
            filled = round(share * _BAR_WIDTH)
            self._stream.write(f"\r[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {text}\x1b[K")
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def _seconds_left(self, done: int, seconds: float) -> float | None:
        moved = done - (self._first_done or 0)
        if moved <= 0 or done >= self.total:
            return None
        return seconds / moved * (self.total - done)


def _clock_face(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
