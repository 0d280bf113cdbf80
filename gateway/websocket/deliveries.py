"""Sends snapshots to sockets: each watched user has a slot for the newest snapshot, sent when the socket can take it.

A change with thousands of watchers marks their slots; a few milliseconds a turn of the event loop, slots are emptied
onto their sockets, so that nobody else waits long. What is written is shared by all sockets that watch the same
selection, but for the operation's id.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from userline.changes.watcher import Group
from userline.execution.operation import AnswerTooLarge
from userline.server.direct import text_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.changes.watcher import Changes
    from userline.execution.plans.subscriptions import Watching, WatchManyStep, WatchStep
    from userline.resolvers.context import Context
    from userline.server.direct import DirectSocket
    from userline.users.errors import UserlineError
    from userline.users.record import UserSnapshot

_TURN_SECONDS: Final = 0.005
_LOOKS_AT_CLOCK_EVERY: Final = 32


class Watches(Protocol):
    """The watches of one socket, as the slots use them."""

    socket: DirectSocket
    deliveries: Deliveries
    waiting: list[AnySlot]
    """Slots that are to be emptied when the client has read what was sent to it."""

    def refuse(self, slot: AnySlot, error: UserlineError) -> None:
        """End the watch of a slot whose event cannot be sent."""


class Slot:
    """One user that one operation of a socket watches. ``prefix`` begins each of its messages."""

    __slots__ = ("_latest", "_prefix", "_socket", "_watches", "has_begun", "is_marked", "is_new", "step", "user_id")

    def __init__(self, watches: Watches, user_id: str, step: WatchStep, prefix: bytes) -> None:
        self.user_id = user_id
        self.step = step
        self.is_new = True
        self.has_begun = False
        """Whether something was sent."""
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
        self.has_begun = True
        self._latest = None
        return True

    def attach(self, context: Context) -> asyncio.Future[Any] | None:
        """Have the user watched. Returns None if there is something in the slot, else a future of when there is."""
        return context.users.attach(self.user_id, self)

    def detach(self, context: Context) -> None:
        """Watch the user no longer, and deliver nothing more."""
        context.users.detach(self.user_id, self)
        self._watches = None
        self._latest = None

    def release(self) -> None:
        """Deliver what there is: a user alone is not held."""


class GroupSlot(Group):
    """Many users that one operation of a socket watches, with a place for the newest snapshot of each.

    They are held until there is something of all of them.
    """

    __slots__ = ("_is_held", "_is_marked", "_prefix", "_socket", "_watches", "has_begun", "step")

    def __init__(self, watches: Watches, user_ids: Sequence[str], step: WatchManyStep, prefix: bytes) -> None:
        super().__init__(user_ids)
        self.step = step
        self.has_begun = False
        """Whether something was sent."""
        self._is_held = True
        self._is_marked = False
        self._watches: Watches | None = watches
        self._socket = watches.socket
        self._prefix = prefix

    def attach(self, context: Context) -> asyncio.Future[Any] | None:
        """Have the users watched. Returns None if there is something of all of them, else a future of when there is."""
        return context.users.attach_many(self.members, context.allowance)

    def detach(self, context: Context) -> None:
        """Watch the users no longer, and deliver nothing more."""
        context.users.detach_many(self.members, context.allowance)
        self._watches = None
        self.end()

    def release(self) -> None:
        """Deliver from now on, beginning with all users in their order."""
        self.sort()
        self._is_held = False
        self._heard()

    def _heard(self) -> None:
        if not self._is_held and not self._is_marked and self._watches is not None:
            self._is_marked = True
            self._watches.deliveries.add(self)

    def deliver(self, frames: Frames) -> bool:
        """Send what there is, or as much as makes one message, and return whether that was possible."""
        if self._watches is None:
            return False
        if not self._socket.is_writable():
            self._watches.waiting.append(self)
            return False
        self._is_marked = False
        unread = self._unread
        try:
            frame, number = frames.of_many(self.step, unread, self._prefix)
        except AnswerTooLarge as refusal:
            self._watches.refuse(self, refusal)
            return False
        # Not emptied, because the frame is known by what was in it.
        self._unread = {} if number == len(unread) else dict(islice(unread.items(), number, None))
        self._socket.transport.write(frame)
        self.has_begun = True
        if self._unread:
            self._heard()
        return True


class Frames:
    """The frame that was sent last, reused if the next socket gets the same bytes."""

    __slots__ = ("_frame", "_number", "_prefix", "_shared", "_shown", "_step")

    def __init__(self) -> None:
        self._step: Watching | None = None
        self._shown: UserSnapshot | Changes | None = None
        self._number = 0
        self._prefix: bytes | None = None
        self._shared = b""
        self._frame = b""

    def of(self, step: WatchStep, snapshot: UserSnapshot | None, prefix: bytes) -> bytes:
        """Return the frame with this snapshot, which ``prefix`` begins. Raises AnswerTooLarge."""
        if step is not self._step or snapshot is not self._shown:
            self._shared = step.encode(snapshot) + b"}"
            self._step, self._shown, self._prefix = step, snapshot, None
        return self._frame_with(prefix)

    def of_many(self, step: WatchManyStep, changes: Changes, prefix: bytes) -> tuple[bytes, int]:
        """Return the frame with the first of these changes, and how many these are. Raises AnswerTooLarge.

        The changes are to stay as they are.
        """
        if step is not self._step or changes != self._shown:
            event, self._number = step.encode(changes)
            self._shared = event + b"}"
            self._step, self._shown, self._prefix = step, changes, None
        return self._frame_with(prefix), self._number

    def _frame_with(self, prefix: bytes) -> bytes:
        if prefix is not self._prefix:
            self._prefix = prefix
            self._frame = text_frame(prefix + self._shared)
        return self._frame


AnySlot: TypeAlias = Slot | GroupSlot


class Deliveries:
    """The slots whose snapshots are to be sent. For one event loop."""

    def __init__(self) -> None:
        self._marked: deque[AnySlot] = deque()
        self._scheduled = False
        self.delivered = 0

    def add(self, slot: AnySlot) -> None:
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
