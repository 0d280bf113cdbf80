"""A store call under way, and what the hub takes of its outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from userline.changes.held import Entry
    from userline.users.record import Change, Deletion, UserSnapshot


class Holder(Protocol):
    """The hub, as a store call sees it."""

    def hear(self, change: Change) -> None:
        """Take a change."""

    def take_outcome(  # noqa: PLR0913, PLR0917 - what one call knows of one user
        self, user_id: str, entry: Entry, snapshot: UserSnapshot | None, known: int, call: int, epoch: int
    ) -> UserSnapshot | None:
        """Take what a call has found, and return the newest known."""


class Reading:
    """A store call under way: the ``number`` of them so far. Made by :meth:`Hub.reading`."""

    __slots__ = ("_entries", "_epoch", "_hub", "_number", "_versions")

    def __init__(self, hub: Holder, entries: dict[str, Entry], number: int, epoch: int) -> None:
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
        return self._hub.take_outcome(user_id, entry, snapshot, known, self._number, self._epoch)

    def confirm_deletion(self, deletion: Deletion) -> None:
        """Take it that the call has deleted one of the users, or has found it deleted."""
        self._hub.hear(deletion)
        self.confirm(deletion.id, None)
