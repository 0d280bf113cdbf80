"""A store call under way, and what the hub takes of its outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from userline.changes.held import Entry
    from userline.changes.hub import Hub
    from userline.users.record import Deletion, UserSnapshot


class Reading:
    """A store call under way: the ``number`` of them so far. Made by :meth:`Hub.reading`."""

    __slots__ = ("_entries", "_epoch", "_hub", "_number", "_versions")

    def __init__(self, hub: Hub, entries: dict[str, Entry], number: int, epoch: int) -> None:
        self._hub = hub
        self._entries = entries
        self._versions = {user_id: entry.version for user_id, entry in entries.items()}
        self._number = number
        self._epoch = epoch

    def confirm(self, user_id: str, snapshot: UserSnapshot | None) -> UserSnapshot | None:
        """Take what the store has just said of one of the users (None: there is none); return the newest known.

        If the bus was away since the call began, what the store said is taken, but stays in doubt.
        """
        known, entry = self._versions[user_id], self._entries[user_id]
        return self._hub._confirm(user_id, entry, snapshot, known, self._number, self._epoch)  # noqa: SLF001

    def confirm_deletion(self, deletion: Deletion) -> None:
        """Take it that the call has deleted one of the users, or has found it deleted."""
        self._hub.hear(deletion)
        self.confirm(deletion.id, None)
