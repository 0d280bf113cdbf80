"""One user's entry in the hub."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from userline.changes.watcher import HubWatcher
    from userline.users.record import UserSnapshot

_UNREAD: Final = -1
"""Version of an entry whose user has not been read yet. One who does not exist has that of the deletion, else 0."""

NEVER: Final = -math.inf
"""When an entry was confirmed that is in doubt."""


class Miss:
    """The hub cannot answer; the store must be read."""


MISS: Final = Miss()


class Entry:
    """The newest known snapshot of a user, until when it may be used, and its watchers."""

    __slots__ = (
        "absent_at",
        "confirmed_at",
        "doubted",
        "found_by",
        "gone",
        "is_owed",
        "is_quiet",
        "pins",
        "snapshot",
        "told",
        "used",
        "version",
        "watchers",
    )

    def __init__(self) -> None:
        self.snapshot: UserSnapshot | None = None
        self.version = _UNREAD
        # The newest version after which there was no such user: what is told of it, or of an older one, comes late.
        self.gone = 0
        # The last store call that has found a user, by the order in which they began, and how many had begun when the
        # last outcome was taken that there is none.
        self.found_by = self.absent_at = 0
        # The newest snapshot that somebody told of while there was none held, and the last store call begun by then.
        self.told: tuple[UserSnapshot, int] | None = None
        self.confirmed_at = NEVER
        self.pins = 0
        # Whether it is in doubt since a store call began that is still under way, which then confirms nothing.
        self.doubted = False
        # Whether watchers were offered nothing at this version, because it looks as the one before, or because there is
        # no user, as before.
        self.is_quiet = False
        # Whether a write was answered with a user whom watchers were not offered, and who may be gone.
        self.is_owed = False
        self.used = False
        # In the order in which they came, which is about that of their sockets: a system that writes to sockets in the
        # order in which it has opened them finds what it knows of them in its caches.
        self.watchers: dict[HubWatcher, None] = {}

    def note(self, snapshot: UserSnapshot | None, calls: int) -> None:
        """Take note of what somebody told, if it is a user, when so many store calls had begun."""
        if snapshot is not None and (self.told is None or snapshot.version > self.told[0].version):
            self.told = snapshot, calls

    def offer_to_the_new(self) -> None:
        """Offer the snapshot to the watchers that were never offered one."""
        for watcher in self.watchers:
            if watcher.is_new:
                watcher.offer(self.snapshot)

    def looks_as(self, snapshot: UserSnapshot) -> bool:
        """Return whether a snapshot looks as the one held.

        Watchers are told nothing of a newer one that does, unless the public half is known to have changed
        (``is_seen``): then it looked different in between. That was not heard here, but a client may have seen it
        elsewhere, and waits for a higher version.
        """
        return self.snapshot is not None and snapshot.looks_like(self.snapshot)

    def has_passed_over(self, snapshot: UserSnapshot | None) -> bool:
        """Return whether this user, who was written, was deleted since, and watchers were not offered either.

        They have to be told once more that there is no such user: who is answered with what was written waits for it.
        """
        return snapshot is not None and self.snapshot is None and self.is_quiet and snapshot.version <= self.version

    def was_edited(self, snapshot: UserSnapshot | None, known: int) -> bool:
        """Return whether the store shows what only an edit behind the gateways' backs explains, or an unheard deletion.

        That is another content at the version held; no user where one was held when the call began (``known``) and no
        newer version was heard of since; or a user, below the version of the deletion that was known when the call
        began.
        """
        if self.snapshot is None:
            return snapshot is not None and 0 < snapshot.version <= self.version == known
        if snapshot is None:
            return self.version == known
        return snapshot.version == self.version and not snapshot.looks_like(self.snapshot)

    def is_old(self, snapshot: UserSnapshot | None, call: int) -> bool:
        """Return whether this store call has found nobody, and one that began after it a user."""
        return snapshot is None and self.snapshot is not None and call < self.found_by

    def is_unclear(self, snapshot: UserSnapshot | None, known: int, call: int) -> bool:
        """Return whether what a store call has found may be of before or after what is known: the next one will tell.

        It has found nobody, and somebody told of a version: the user was created since, or deleted before, and what
        was told is of before. Or it has found or written a user, and another call, which has ended since it began, has
        found nobody: that one may have looked before, or the user was deleted in between. Where a deletion is known,
        versions tell.
        """
        if snapshot is not None:
            return self.snapshot is None and self.version == 0 and call <= self.absent_at
        if self.snapshot is not None:
            return self.version != known
        return self.told is not None and call <= self.told[1]
