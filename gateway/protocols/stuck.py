"""Clients that have stopped reading: their connections are cut, not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.gateway.protocols.reaped import REAPED, Reason

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle, Transport
    from collections.abc import Callable

STUCK_SECONDS: Final = 10.0
"""How long a client may take to read anything of what waits for it."""


class StuckWatch:
    """Watches one connection while its buffer is too full to write on."""

    __slots__ = ("_cut_off", "_loop", "_timer", "_transport", "_unread")

    def __init__(self, transport: Transport, loop: AbstractEventLoop, cut_off: Callable[[], None]) -> None:
        self._transport = transport
        self._loop = loop
        self._cut_off = cut_off
        self._timer: TimerHandle | None = None
        self._unread = 0

    def start(self) -> None:
        """The buffer is full: see in a while whether the client has read anything."""
        self._unread = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(STUCK_SECONDS, self._look)

    def stop(self) -> None:
        """The buffer is no longer full, or the connection is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._transport.get_write_buffer_size() < self._unread:
            self.start()
        else:
            REAPED[Reason.STUCK] += 1
            self._cut_off()
