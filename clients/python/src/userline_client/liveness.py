"""Finds out that nobody is at the other end of a socket, and that the machine has slept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from userline_client.clock import Clock

TICK_SECONDS: Final = 1.0
_QUIET_TICKS: Final = 5
"""After so many without a byte, the other end is asked for a sign of life."""
_ANSWER_TICKS: Final = 7
"""In so many it must come."""
_HURRIED_TICKS: Final = 3
"""Or in so many, after this side has stood still itself."""
_LEAP_SECONDS: Final = 5.0
"""A clock that is ahead by more than that was not just late."""


class Peer(Protocol):
    """The other end of a socket."""

    @property
    def heard(self) -> int:
        """How many bytes have come from it."""

    def ping(self) -> None:
        """Ask it for a sign of life."""

    def give_up(self) -> None:
        """End the socket."""


class Liveness:
    """Looks after one socket after the other, once a second.

    It counts its own ticks, and not seconds: an event loop that was blocked for a while finds what has come meanwhile
    only afterwards, and must not take its own silence for the peer's. ``on_woken`` is called when the machine has
    slept: then the wall clock has gone on, and the other one has not.
    """

    def __init__(self, clock: Clock, on_woken: Callable[[], None]) -> None:
        self._clock = clock
        self._on_woken = on_woken
        self._peer: Peer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0
        self._quiet = 0
        self._deadline = 0
        self._now = self._wall = 0.0

    def start(self) -> None:
        """Look out for sleep, from now on."""
        self._now, self._wall = self._clock.now(), self._clock.wall()
        self._next()

    def stop(self) -> None:
        """Look no more."""
        self._peer = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look_after(self, peer: Peer | None) -> None:
        """Look after this socket from now on, or after none."""
        self._peer = peer
        self._heard = 0 if peer is None else peer.heard
        self._quiet = self._deadline = 0

    def _next(self) -> None:
        self._timer = self._clock.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._next()
        now, wall = self._clock.now(), self._clock.wall()
        passed, on_the_wall = now - self._now, wall - self._wall
        self._now, self._wall = now, wall
        if on_the_wall - passed > _LEAP_SECONDS:
            self._on_woken()
            if self._peer is not None:
                self._peer.give_up()
        elif self._peer is not None:
            self._look_at(self._peer, has_stood_still=passed > TICK_SECONDS + _LEAP_SECONDS)

    def _look_at(self, peer: Peer, *, has_stood_still: bool) -> None:
        if peer.heard != self._heard:
            self._heard = peer.heard
            self._quiet = self._deadline = 0
        self._quiet += 1
        if self._deadline and self._quiet >= self._deadline:
            peer.give_up()
        elif has_stood_still:
            self._ask(peer, _HURRIED_TICKS)
        elif not self._deadline and self._quiet >= _QUIET_TICKS:
            self._ask(peer, _ANSWER_TICKS)

    def _ask(self, peer: Peer, ticks: int) -> None:
        if not self._deadline or self._quiet + ticks < self._deadline:
            self._deadline = self._quiet + ticks
        peer.ping()
