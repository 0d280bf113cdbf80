"""The snapshots that this gateway holds, and who watches them.

One entry per user held, with the newest snapshot known and the watchers. The hub does no I/O: reads, writes and the bus
bring it snapshots, and it keeps the newest by version, so that nobody is ever shown an older one than before.

An entry may be answered from for ``ttl`` seconds after the store confirmed it, or for as long as somebody watches it.
At most ``capacity`` entries without watchers are kept.

While the bus is away the hub hears of no changes and so answers nothing (``lose_touch``); when the bus is back, what is
held is in doubt until the store has confirmed it anew (``regain_touch``).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from userline.changes.held import MISS, NEVER, Entry, Miss
from userline.changes.idle import Idle
from userline.changes.reading import Reading
from userline.changes.watcher import HubWatcher, Watcher
from userline.users.record import Deletion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from userline.users.record import Change, UserSnapshot


class Hub:
    """Holds the newest snapshot of each user that is watched or was used lately. For one event loop."""

    def __init__(
        self, *, ttl: float = 30.0, capacity: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl = ttl
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._idle = Idle(self._entries, capacity)
        # Users with watchers, the longest unconfirmed first.
        self._watched: OrderedDict[str, None] = OrderedDict()
        self._in_touch = True
        self._epoch = self._calls = 0
        self.on_doubt: Callable[[], None] = lambda: None
        """Called when a watched user is in doubt by what was heard, and has to be read again soon."""
        self.hits = 0
        self.misses = 0
        self.deliveries = 0
        self.coalesced = 0
        self.watcher_count = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def watched_users(self) -> int:
        """How many users have a watcher."""
        return len(self._watched)

    def peek(self, user_id: str) -> UserSnapshot | Miss | None:
        """Return the snapshot held (None: there is no such user), or MISS if the store must be read."""
        entry = self._entries.get(user_id)
        if entry is not None and self._in_touch:
            confirmed_at = entry.confirmed_at
            if (entry.watchers and confirmed_at > NEVER) or self._clock() < confirmed_at + self._ttl:
                entry.used = True
                self.hits += 1
                return entry.snapshot
        self.misses += 1
        return MISS

    def peek_many(self, user_ids: Iterable[str]) -> list[UserSnapshot | None] | Miss:
        """Return the snapshots held of all these users, or MISS if the store must be read for any of them."""
        if not self._in_touch:
            return MISS
        oldest = self._clock() - self._ttl
        found = []
        for entry in map(self._entries.get, user_ids):
            if entry is None:
                return MISS
            if entry.confirmed_at <= oldest and (not entry.watchers or entry.confirmed_at == NEVER):
                return MISS
            entry.used = True
            found.append(entry.snapshot)
        self.hits += len(found)
        return found

    @contextmanager
    def reading(self, user_ids: Iterable[str], *, is_write: bool = False) -> Iterator[Reading]:
        """Keep entries for these users while a store call about them is under way, and take its outcome.

        Only an entry that is still there can tell that an outcome was overtaken by a newer change meanwhile.
        """
        entries = {user_id: (entry := self._entry(user_id), entry.version) for user_id in user_ids}
        for user_id, (entry, _) in entries.items():
            entry.pins += 1
            self._idle.pop(user_id, None)
        try:
            self._calls += 1
            yield Reading(self, entries, self._calls, self._epoch, is_write)
        finally:
            for user_id, (entry, _) in entries.items():
                entry.pins -= 1
                if not entry.pins:
                    entry.doubted = False
                self._release(user_id, entry)

    def hear(self, change: Change, *, is_seen: bool = False) -> None:
        """Take a change that somebody tells of; ``is_seen``: it is one of the public half, which everybody may see.

        A user who is not held is left alone.
        """
        entry = self._entries.get(change.id)
        if entry is None or change.version <= entry.gone:
            return
        if isinstance(change, Deletion):
            self._take_deletion(entry, change.version)
        elif entry.snapshot is None and entry.version <= 0:
            # Created now, or deleted meanwhile and told of late: the store knows.
            entry.note(change, self._calls)
            if entry.version == 0:
                self._ask_for(change.id)
        else:
            self._take(entry, change, is_seen=is_seen)

    def hear_of(self, user_id: str, version: int) -> bool:
        """Doubt the user if this version, which is not told whole, is a newer one; return whether it is watched."""
        entry = self._entries.get(user_id)
        return entry is not None and version > entry.version and self.doubt(user_id)

    def watch(self, user_id: str, watcher: HubWatcher) -> None:
        """Watch a user: the watcher is offered the current snapshot if it is held, and then every newer one.

        While ``watcher.is_new``, the user must be read, and confirmed, for the watcher to get its first snapshot.
        """
        known = self.peek(user_id)
        entry = self._entry(user_id)
        self._watched.setdefault(user_id)
        if isinstance(known, Miss):
            entry.confirmed_at = NEVER
            self._watched.move_to_end(user_id, last=False)
        else:
            watcher.offer(known)
        entry.watchers[watcher] = None
        self._idle.pop(user_id, None)
        self.watcher_count += 1

    def unwatch(self, user_id: str, watcher: HubWatcher) -> None:
        """Offer the watcher nothing more."""
        entry = self._entries[user_id]
        self.watcher_count -= 1
        entry.watchers.pop(watcher, None)
        if not entry.watchers:
            del self._watched[user_id]
            if entry.confirmed_at > NEVER:
                entry.confirmed_at = self._clock()
        self._release(user_id, entry)

    @contextmanager
    def watching(self, user_id: str) -> Iterator[Watcher]:
        """Watch a user for a while."""
        watcher = Watcher()
        self.watch(user_id, watcher)
        try:
            yield watcher
        finally:
            self.unwatch(user_id, watcher)

    def overdue(self, seconds: float, most: int) -> list[str]:
        """Return up to ``most`` watched users that the store has not confirmed for so long, the longest first."""
        latest = self._clock() - seconds
        return [user_id for user_id in islice(self._watched, most) if self._entries[user_id].confirmed_at <= latest]

    def doubt(self, user_id: str) -> bool:
        """Stop answering for a user until the store has confirmed it; return whether somebody watches it.

        For what is changed behind the gateways' backs: they may have left the version as it was.
        """
        entry = self._entries.get(user_id)
        if entry is None:
            return False
        entry.confirmed_at = NEVER
        entry.doubted = entry.pins > 0
        if entry.watchers:
            self._watched.move_to_end(user_id, last=False)
            return True
        self._idle.pop(user_id, None)
        self._release(user_id, entry)
        return False

    def _ask_for(self, user_id: str) -> None:
        if self.doubt(user_id):
            self.on_doubt()

    def differs(self, snapshot: UserSnapshot) -> bool:
        """Return whether the user is held, and looks different at this version or an older one, or is deleted."""
        entry = self._entries.get(snapshot.id)
        if entry is None or entry.snapshot is None:
            return entry is not None
        return snapshot.version >= entry.version and not entry.looks_as(snapshot)

    def lose_touch(self) -> None:
        """Answer nothing from now on: changes are not heard."""
        self._in_touch = False

    def regain_touch(self) -> None:
        """Hear of changes again. What is held may have been overtaken meanwhile, and is in doubt."""
        self._in_touch = True
        self.doubt_all()

    def doubt_all(self) -> None:
        """Forget whom nobody watches, and answer for the others once the store has confirmed them."""
        self._epoch += 1
        self._idle.forget()
        for entry in self._entries.values():
            entry.confirmed_at = NEVER

    def _entry(self, user_id: str) -> Entry:
        entry = self._entries.get(user_id)
        if entry is None:
            entry = self._entries[user_id] = Entry()
        return entry

    def take_outcome(
        self, reading: Reading, user_id: str, snapshot: UserSnapshot | None, *, is_seen: bool
    ) -> UserSnapshot | None:
        """Take what a store call has found. For :class:`Reading`."""
        (entry, known), call = reading.entries[user_id], reading.number
        if entry.is_old(snapshot, call):
            return entry.snapshot
        if entry.is_unclear(snapshot, known, call):
            reading.unclear += (user_id,)
            entry.note(snapshot, self._calls)
            entry.is_owed = entry.is_owed or reading.is_write
            self._ask_for(user_id)
            return entry.snapshot
        if reading.epoch == self._epoch and not entry.doubted:
            entry.confirmed_at = self._clock()
            if entry.watchers:
                self._watched.move_to_end(user_id)
        if entry.was_edited(snapshot, known):
            self._show(entry, snapshot)
        elif (snapshot is None and entry.is_owed) or (reading.is_write and entry.has_passed_over(snapshot)):
            self._show(entry, None, entry.version)
        self._take(entry, snapshot, is_seen=is_seen)
        if snapshot is None:
            entry.absent_at = self._calls
        else:
            entry.found_by = max(entry.found_by, call)
        if entry.told is not None:
            self._take_what_was_told(entry, is_there=snapshot is not None)
        if entry.watchers:
            entry.offer_to_the_new()
        return entry.snapshot

    def _take_what_was_told(self, entry: Entry, *, is_there: bool) -> None:
        told, entry.told = entry.told, None
        if told is not None and is_there:
            self._take(entry, told[0])

    def _take(self, entry: Entry, snapshot: UserSnapshot | None, *, is_seen: bool = False) -> None:
        version = snapshot.version if snapshot else 0
        may_repeat = is_seen and entry.is_quiet and entry.snapshot is not None
        if version < entry.version or (version == entry.version and not may_repeat):
            return
        if snapshot is not None and not is_seen and entry.looks_as(snapshot):
            entry.snapshot, entry.version, entry.is_quiet = snapshot, version, True
        else:
            self._show(entry, snapshot)

    def _take_deletion(self, entry: Entry, version: int) -> None:
        if version < entry.version:  # the largest version is also that of the deletion
            return
        if entry.snapshot is not None or entry.version < 0:
            self._show(entry, None, version)
        elif version > entry.version:
            entry.version, entry.is_quiet = version, True

    def _show(self, entry: Entry, snapshot: UserSnapshot | None, deletion: int = 0) -> None:
        if snapshot is None:
            entry.gone = max(entry.gone, entry.version)
        elif snapshot.version <= entry.gone:  # created again by hand
            entry.gone = 0
        entry.snapshot = snapshot
        entry.version = snapshot.version if snapshot else deletion
        entry.is_quiet = entry.is_owed = False
        for watcher in entry.watchers:
            self.coalesced += watcher.offer(snapshot)
        self.deliveries += len(entry.watchers)

    def _release(self, user_id: str, entry: Entry) -> None:
        if entry.pins or entry.watchers:
            return
        if entry.confirmed_at == NEVER:
            self._entries.pop(user_id, None)
            return
        self._idle.keep(user_id)
