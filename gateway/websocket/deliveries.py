"""Snapshots on their way to sockets: each watched user is a slot for the newest one, and is written when there is room.

A change with thousands of watchers marks their slots; a few milliseconds a turn of the event loop, slots are emptied
onto their sockets, so that nobody else waits long. What is written is shared by all sockets that watch the same
selection, but for the operation's id.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from userline.execution.operation import AnswerTooLarge
from userline.server.direct import text_frame

if TYPE_CHECKING:
    from userline.execution.plans.subscriptions import WatchStep
    from userline.server.direct import DirectSocket
    from userline.users.errors import UserlineError
    from userline.users.record import UserSnapshot

_TURN_SECONDS: Final = 0.005
_LOOKS_AT_CLOCK_EVERY: Final = 32


class Watches(Protocol):
    """What one socket watches, as its slots see it."""

    socket: DirectSocket
    deliveries: Deliveries
    waiting: list[Slot]
    """Slots that are to be emptied when the client has read what was sent to it."""

    def refuse(self, slot: Slot, error: UserlineError) -> None:
        """End the watch of a slot whose event cannot be sent."""


class Slot:
    """One user watched by one operation of a socket, as the hub's watcher. ``prefix`` begins each of its messages."""

    __slots__ = ("_latest", "_prefix", "_socket", "_watches", "is_marked", "is_new", "step", "user_id")

    def __init__(self, watches: Watches, user_id: str, step: WatchStep, prefix: bytes) -> None:
        self.user_id = user_id
        self.step = step
        self.is_new = True
        self.is_marked = False
        self._watches: Watches | None = watches
        self._socket = watches.socket
        self._latest: UserSnapshot | None = None
        self._prefix = prefix

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        """Put the newest snapshot (None: there is no such user) in the slot; return whether one was there."""
        self.is_new = False
        self._latest = snapshot
        if self._watches is None:
            return False
        if self.is_marked:
            return True
        self.is_marked = True
        self._watches.deliveries.add(self)
        return False

    def deliver(self, frames: Frames) -> bool:
        """Empty the slot onto the socket, and return whether that was possible."""
        if self._watches is None:
            return False
        socket = self._socket
        if not socket.is_writable():
            self._watches.waiting.append(self)
            return False
        self.is_marked = False
        try:
            frame = frames.of(self.step, self._latest, self._prefix)
        except AnswerTooLarge as refusal:
            self._watches.refuse(self, refusal)
            return False
        socket.transport.write(frame)
        self._latest = None
        return True

    def release(self) -> None:
        """Deliver what there is: a user alone is not held."""

    def close(self) -> None:
        """Deliver nothing more."""
        self._watches = None
        self._latest = None


class MemberSlot(Slot):
    """One of several users watched by one operation, which is told nothing of a user who does not exist.

    It is held until the operation has the current snapshots of all its users.
    """

    __slots__ = ("is_held",)

    def __init__(self, watches: Watches, user_id: str, step: WatchStep, prefix: bytes) -> None:
        super().__init__(watches, user_id, step, prefix)
        self.is_held = True

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        """Put the newest snapshot (None: there is no such user) in the slot; return whether one was there."""
        if snapshot is not None and not self.is_held:
            return super().offer(snapshot)
        replaced = self._latest is not None
        self.is_new = False
        self._latest = snapshot
        return replaced

    def release(self) -> None:
        """Deliver from now on, beginning with what is in the slot."""
        self.is_held = False
        if self._latest is not None:
            super().offer(self._latest)

    def deliver(self, frames: Frames) -> bool:
        """Empty the slot onto the socket, and return whether that was possible."""
        if self._latest is None:
            self.is_marked = False
            return False
        return super().deliver(frames)


class Frames:
    """The frame that was sent last, for as long as the next socket is to have the same."""

    __slots__ = ("_frame", "_prefix", "_shared", "_snapshot", "_step")

    def __init__(self) -> None:
        self._step: WatchStep | None = None
        self._snapshot: UserSnapshot | None = None
        self._prefix: bytes | None = None
        self._shared = b""
        self._frame = b""

    def of(self, step: WatchStep, snapshot: UserSnapshot | None, prefix: bytes) -> bytes:
        """Return the frame with this snapshot, which ``prefix`` begins. Raises AnswerTooLarge."""
        if step is not self._step or snapshot is not self._snapshot:
            self._shared = step.encode(snapshot) + b"}"
            self._step, self._snapshot, self._prefix = step, snapshot, None
        if prefix is not self._prefix:
            self._prefix = prefix
            self._frame = text_frame(prefix + self._shared)
        return self._frame


class Deliveries:
    """The slots that are to be emptied. For one event loop."""

    def __init__(self) -> None:
        self._marked: deque[Slot] = deque()
        self._scheduled = False
        self.delivered = 0

    def add(self, slot: Slot) -> None:
        """Empty a slot in the next turn, or in the next one with time for it."""
        self._marked.append(slot)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        """Empty slots for a while. A slot whose socket cannot be written to is added again when it can."""
        ends_at = time.perf_counter() + _TURN_SECONDS
        marked = self._marked
        frames = Frames()
        count = 0
        while marked:
            count += 1
            if marked.popleft().deliver(frames):
                self.delivered += 1
            if count % _LOOKS_AT_CLOCK_EVERY == 0 and time.perf_counter() > ends_at:
                break
        if marked:
            # Not with call_soon alone: what is due and what has come in goes between.
            asyncio.get_running_loop().call_later(0, self._deliver)
        else:
            self._scheduled = False
