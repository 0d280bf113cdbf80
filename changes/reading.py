"""A store call under way, and how the hub uses its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline.changes.held import Entry
    from userline.users.record import Change, Deletion, UserSnapshot


class Holder(Protocol):
    """The hub, as a store call sees it."""

    def hear(self, change: Change) -> None:
        """Take a change."""

    def take_outcome(
        self, reading: Reading, user_id: str, snapshot: UserSnapshot | None, *, is_seen: bool
    ) -> UserSnapshot | None:
        """Take what a call has found, and return the newest known."""


@dataclass(slots=True)
class Reading:
    """A store call under way. Made by :meth:`Hub.reading`."""

    hub: Holder
    entries: Mapping[str, tuple[Entry, int]]
    """Of its users, each with the version that it had when the call began."""
    number: int
    """So many had begun with it."""
    epoch: int
    is_write: bool = False
    """Whether somebody is answered with what it has written, whoever watches."""
    unclear: tuple[str, ...] = ()
    """Of whom nobody can tell whether what the store said is of before or after what is known: a call that begins now
    can. They are in doubt."""

    def confirm(self, user_id: str, snapshot: UserSnapshot | None, *, is_seen: bool = False) -> UserSnapshot | None:
        """Take what the store has just said of one of the users (None: there is none); return the newest known.

        ``is_seen``: the call has written the user, and everybody sees that something has changed.
        If the bus was away since the call began, what the store said is taken, but stays in doubt.
        """
        return self.hub.take_outcome(self, user_id, snapshot, is_seen=is_seen)

    def confirm_deletion(self, deletion: Deletion) -> None:
        """Take it that the call has deleted one of the users, or has found it deleted."""
        self.hub.hear(deletion)
        self.confirm(deletion.id, None)
