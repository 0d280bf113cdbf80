"""Clients that have stopped reading: their connections are aborted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.server.cut_offs import CUT_OFFS, Reason
from userline.server.nobody import nobody
from userline.server.one_timer import OneTimer

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport
    from collections.abc import Callable

STUCK_SECONDS: Final = 10.0
"""How long a client may take to read anything of what waits for it."""

_LOOK_SECONDS: Final = 1.0
"""How often it is looked at whether it has."""


class StuckWatch(OneTimer):
    """Watches one connection while its buffer is too full to write on: from ``start`` to ``stop``."""

    __slots__ = ("_cut_off", "_read_at", "_transport", "_unread")

    def __init__(self, transport: Transport, loop: AbstractEventLoop, cut_off: Callable[[], None]) -> None:
        super().__init__(loop)
        self._transport = transport
        self._cut_off = cut_off
        self._unread = 0
        self._read_at = 0.0

    def start(self) -> None:
        """The buffer is full: see from time to time whether the client has read anything."""
        self._unread = self._transport.get_write_buffer_size()
        self._read_at = self._loop.time()
        self._look()

    def end(self) -> None:
        """The connection is over: let go of what was to be called."""
        self.stop()
        self._cut_off = nobody

    def _look(self) -> None:
        now, unread = self._loop.time(), self._transport.get_write_buffer_size()
        if unread < self._unread:
            self._read_at = now
        self._unread = unread  # it is more than before if something was added
        if now - self._read_at < STUCK_SECONDS:
            self._call_in(_LOOK_SECONDS, self._look)
        else:
            CUT_OFFS[Reason.STUCK] += 1
            self._cut_off()
