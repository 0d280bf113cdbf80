"""What the session knows of users that it has read or written lately."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from userline_client.snapshot import UserSnapshot

CACHE_SECONDS: Final = 30.0
_MAX_USERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a user: a snapshot, or ``None`` if there is no such user."""

    snapshot: UserSnapshot | None


@dataclass(frozen=True, slots=True)
class _Entry:
    known: Known | None
    """``None``: the user has changed, and it is not known to what."""
    at: float
    change: int


class Cache:
    """Users that were read, written or heard of in the last 30 s.

    A change (a write of this session, or an event of a watch) counts more than the answer to a read that was sent
    before it was known, because the answer may be the older one of the two.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self.changes: int = 0
        """Counts the changes; a read notes it when it is sent."""

    def get(self, user_id: str) -> Known | None:
        """Return what is known of a user."""
        entry = self._entries.get(user_id)
        if entry is None or entry.at + CACHE_SECONDS <= time.monotonic():
            return None
        return entry.known

    def note_change(self, user_id: str, known: Known | None) -> None:
        """Take what a user has changed to; ``None`` if that is not certain."""
        self.changes += 1
        self._put(user_id, known)

    def note_read(self, user_id: str, snapshot: UserSnapshot | None, changes_when_sent: int) -> UserSnapshot | None:
        """Take the answer to a read, and return what to give to whoever asked for it."""
        entry = self._entries.get(user_id)
        if entry is None or entry.change <= changes_when_sent:
            self._put(user_id, Known(snapshot))
            return snapshot
        return snapshot if entry.known is None else entry.known.snapshot

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _put(self, user_id: str, known: Known | None) -> None:
        now = time.monotonic()
        self._entries.pop(user_id, None)  # the order of the entries is that of their ages
        self._entries[user_id] = _Entry(known, now, self.changes)
        while True:
            oldest_id = next(iter(self._entries))
            if len(self._entries) <= _MAX_USERS and self._entries[oldest_id].at + CACHE_SECONDS > now:
                return
            del self._entries[oldest_id]
