"""When a client that reads slowly, or no more, is cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from userline.server.stuck import STUCK_SECONDS, StuckWatch

if TYPE_CHECKING:
    from collections.abc import Callable


class Connection:
    """A loop whose clock is moved by hand, a transport, and when the client was cut off."""

    def __init__(self) -> None:
        self.unread = 100_000
        self.now = 0.0
        self.cut_off_at: float | None = None
        self._timers: list[Timer] = []
        self.watch = StuckWatch(self, self, self._cut_off)  # type: ignore[arg-type]

    def get_write_buffer_size(self) -> int:
        return self.unread

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], Any]) -> Timer:
        timer = Timer(self.now + seconds, callback)
        self._timers.append(timer)
        return timer

    def pass_to(self, until: float) -> None:
        """Let time pass."""
        while due := [timer for timer in self._timers if timer.at <= until]:
            timer = min(due, key=lambda each: each.at)
            self._timers.remove(timer)
            self.now = timer.at
            if not timer.cancelled:
                timer.callback()
        self.now = until

    def _cut_off(self) -> None:
        self.cut_off_at = self.now


class Timer:
    def __init__(self, at: float, callback: Callable[[], Any]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def connection() -> Connection:
    made = Connection()
    made.watch.start()
    return made


def test_a_client_that_reads_nothing(connection: Connection) -> None:
    connection.pass_to(60)
    assert connection.cut_off_at == STUCK_SECONDS


def test_a_client_that_reads_slowly_and_then_no_more(connection: Connection) -> None:
    for second in range(1, 48):
        connection.pass_to(second - 0.5)
        connection.unread -= 1
    connection.pass_to(100)
    assert connection.cut_off_at is not None
    assert STUCK_SECONDS <= connection.cut_off_at - 46.5 <= STUCK_SECONDS + 1


def test_what_is_added_is_nothing_read(connection: Connection) -> None:
    for second in range(60):
        connection.pass_to(second)
        connection.unread += 10
    assert connection.cut_off_at == STUCK_SECONDS


def test_what_is_read_of_what_was_added_counts(connection: Connection) -> None:
    connection.pass_to(5)
    connection.unread += 1000
    connection.pass_to(9)
    connection.unread -= 1
    connection.pass_to(15)
    assert connection.cut_off_at is None


def test_a_client_that_has_read_enough_is_left_alone(connection: Connection) -> None:
    connection.pass_to(9.5)
    connection.watch.stop()
    connection.pass_to(60)
    assert connection.cut_off_at is None
