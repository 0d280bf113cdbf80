"""The time limit of idle connections between two requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.server.nobody import nobody
from userline.server.one_timer import OneTimer

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport
    from collections.abc import Callable


class IdleTimer(OneTimer):
    """Closes a connection that was idle for ``seconds``. A running timer is kept for the next time.

    It starts with the first answer: how long a first request may take is a matter of deadlines.
    """

    __slots__ = ("_is_busy", "_seconds", "_transport", "active_at", "is_running")

    def __init__(
        self, transport: Transport, loop: AbstractEventLoop, seconds: float, is_busy: Callable[[], object]
    ) -> None:
        super().__init__(loop)
        self._transport = transport
        self._seconds = seconds
        self._is_busy = is_busy
        self.active_at = 0.0
        """When something has happened last."""
        self.is_running = False

    def touch(self) -> None:
        """Something has happened now."""
        self.active_at = self._loop.time()
        if not self.is_running:
            self.start()

    def start(self) -> None:
        """Look at it from now on."""
        self.is_running = True
        self._call_in(self._seconds, self._look)

    def stop(self) -> None:
        """Close nothing any more."""
        self.is_running = False
        super().stop()

    def end(self) -> None:
        """The connection is over: let go of what was to be called."""
        self.stop()
        self._is_busy = nobody

    def _look(self) -> None:
        self._timer = None
        self.is_running = False
        if self._transport.is_closing():
            return
        left = self.active_at + self._seconds - self._loop.time()
        if left > 0 or self._is_busy() or self._transport.get_write_buffer_size():
            self.is_running = True
            self._call_in(max(left, 1.0), self._look)
        else:
            self._transport.close()
