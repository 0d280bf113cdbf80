"""What one socket carries: batches of watches, as few as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from userline_client.link import Limits
from userline_client.watch import Batch, OnlineBatch, OnlineWatch, Owner, UserBatch, UserWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from userline_client.connection import Connection, Listener
    from userline_client.errors import UserlineError
    from userline_client.watch import Watch

MAX_IDS: Final = 1000
"""How many users one operation may watch."""
MAX_BATCHES: Final = 64
"""With more operations than that, small ones are put together."""
SMALL: Final = 500
"""An operation of at most so many users is a small one."""
_SHARE_OF_MESSAGE: Final = 3 / 4


def split(watches: Iterable[UserWatch], message_bytes: int) -> Iterator[list[UserWatch]]:
    """Split watches into what one operation each may ask for, well below the limit of a message."""
    most = int(message_bytes * _SHARE_OF_MESSAGE)
    batch: list[UserWatch] = []
    size = 0
    for watch in watches:
        bytes_of_id = len(watch.encoded_id.encode()) + 1
        if batch and (len(batch) == MAX_IDS or size + bytes_of_id > most):
            yield batch
            batch, size = [], 0
        batch.append(watch)
        size += bytes_of_id
    if batch:
        yield batch


class WatchOwner(Owner, Protocol):
    """Who has the watches."""

    def forget(self, watch: Watch) -> None:
        """Nobody uses this one any more."""

    def sent(self, watch: Watch) -> None:
        """The gateway can answer from now on."""

    def lost(self, watch: Watch) -> None:
        """The gateway cannot answer any more."""

    def refused(self, watch: Watch, refusal: UserlineError) -> None:
        """The gateway lets nobody ask it."""


class Placing(Protocol):
    """Who finds a carrier for watches that have none."""

    known_limits: Limits | None

    def queue(self, watch: Watch) -> None:
        """Let a watch begin somewhere, in this turn."""

    def review_later(self, batch: Batch) -> None:
        """Review a batch at the end of this turn."""

    def opened(self, carrier: Carrier) -> None:
        """A carrier has a socket."""

    def fatal(self, carrier: Carrier, error: UserlineError) -> None:
        """A carrier will not have one."""


class Carrier:
    """The watches of one connection, of which it hears as its listener."""

    def __init__(self, connect: Callable[[Listener], Connection], placing: Placing, owner: WatchOwner) -> None:
        self._placing = placing
        self._owner = owner
        self._batches: dict[Batch, None] = {}
        self._queue: dict[UserWatch, None] = {}
        self._online_queue: dict[OnlineWatch, None] = {}
        self._watched = 0
        self.held: int = 0
        """How many of its watches somebody uses now."""
        self.connection: Connection = connect(self)

    @property
    def limits(self) -> Limits | None:
        """What the gateway has said that a socket may do; what it said of another one, if it is not known yet."""
        return self.connection.limits or self._placing.known_limits

    def has_room_for(self, watch: Watch) -> bool:
        """Whether it can take one more. As long as the limits are not known, it takes everybody."""
        limits = self.limits
        if limits is None:
            return True
        if len(self._batches) >= limits.subscriptions:
            return False
        if isinstance(watch, UserWatch):
            return self._watched + len(self._queue) < limits.watched_users
        return len(self._batches) + len(self._online_queue) < limits.subscriptions

    def add(self, watch: Watch) -> None:
        """Let a watch begin when ``begin`` is called, or when there is a socket."""
        self._enqueue(watch)
        self.move(watch, self)

    def note_use(self, watch: Watch) -> None:
        """Note that somebody has begun to use one of its watches, or that nobody does any more."""
        if watch.is_held:
            self.held += 1
            self.connection.need()
        else:
            self.held -= 1
            self.connection.settle()

    @staticmethod
    def move(watch: Watch, carrier: Carrier | None) -> None:
        """Note who carries a watch."""
        before, watch.carrier = watch.carrier, carrier
        if watch.is_held and before is not carrier:
            if before is not None:
                before.held -= 1
                before.connection.settle()
            if carrier is not None:
                carrier.held += 1

    def remove(self, watch: Watch) -> None:
        """Carry a watch no more."""
        if isinstance(watch, UserWatch):
            self._queue.pop(watch, None)
        elif isinstance(watch, OnlineWatch):
            self._online_queue.pop(watch, None)
        if watch.batch is not None:
            batch = watch.batch
            batch.release(watch)
            self._placing.review_later(batch)
        self.move(watch, None)

    def begin(self) -> None:
        """Begin what was added; what does not fit goes back to the owner."""
        if not self._queue and not self._online_queue:
            return
        if not self.connection.is_ready:
            self.connection.need()
            return
        limits = self.connection.limits or Limits()
        if len(self._batches) >= min(MAX_BATCHES, limits.subscriptions // 2):
            self._put_together()
        online, self._online_queue = self._online_queue, {}
        for watch in online:
            if len(self._batches) < limits.subscriptions:
                self._start(OnlineBatch(watch, self, self._owner))
            else:
                self._placing.queue(watch)
        queue, self._queue = self._queue, {}
        for users in split(queue, limits.message_bytes):
            fitting = max(limits.watched_users - self._watched, 0)
            if len(self._batches) >= limits.subscriptions:
                fitting = 0
            if users[:fitting]:
                self._start(UserBatch(users[:fitting], self, self._owner))
            for user in users[fitting:]:
                self._placing.queue(user)

    def review(self, batch: Batch) -> None:
        """End a batch that nobody wants, and begin one with few that are wanted anew with those alone."""
        if batch in self._batches and batch.wanted * 2 < batch.size:
            self._regroup([batch])

    def reclaim(self) -> int:
        """Make room by watching no more whom nobody wants; return how many batches were ended for that."""
        wasteful = [batch for batch in self._batches if batch.wanted < batch.size]
        self._regroup(wasteful)
        return len(wasteful)

    def release(self, batch: Batch) -> list[Watch]:
        """Forget a batch that is over, and return its watches."""
        if batch not in self._batches:
            return []
        del self._batches[batch]
        if isinstance(batch, UserBatch):
            self._watched -= batch.size
        self.connection.stop(batch)
        watches = list(batch.watches.values())
        for watch in watches:
            batch.release(watch)
        return watches

    def is_held(self) -> bool:
        """Whether a watch that somebody uses needs the connection."""
        return self.held > 0

    def on_open(self) -> None:
        """Begin what has waited for the socket."""
        self._placing.opened(self)

    def on_lost(self) -> None:
        """Keep what somebody uses for the next socket; let go what only lingers."""
        waiting: list[Watch] = [*self._online_queue, *self._queue]
        for batch in list(self._batches):
            waiting += self.release(batch)
        for watch in waiting:
            if watch.is_held:
                self._enqueue(watch)
                self._owner.lost(watch)
            else:
                self._owner.forget(watch)

    def on_refused(self, refusal: UserlineError | None) -> None:
        """Note why there is no socket."""
        if refusal is not None:
            for watch in (*self._online_queue, *self._queue):
                self._owner.refused(watch, refusal)

    def on_fatal(self, error: UserlineError) -> None:
        """Tell the session."""
        self._placing.fatal(self, error)

    def _start(self, batch: Batch) -> None:
        self._batches[batch] = None
        if isinstance(batch, UserBatch):
            self._watched += batch.size
        for watch in batch.watches.values():
            self._owner.sent(watch)
        self.connection.start(batch)

    def _enqueue(self, watch: Watch) -> None:
        if isinstance(watch, UserWatch):
            self._queue[watch] = None
        elif isinstance(watch, OnlineWatch):
            self._online_queue[watch] = None

    def _regroup(self, batches: list[Batch]) -> None:
        """End batches; who is wanted of them finds another carrier, and the rest is forgotten."""
        for batch in batches:
            for watch in self.release(batch):
                if watch.is_wanted:
                    self._placing.queue(watch)
                else:
                    self._owner.forget(watch)

    def _put_together(self) -> None:
        """End the small batches; who is wanted of them joins the queue."""
        for batch in [each for each in self._batches if isinstance(each, UserBatch) and each.size <= SMALL]:
            for watch in self.release(batch):
                if watch.is_wanted:
                    self._enqueue(watch)
                else:
                    self._owner.forget(watch)
