"""What the hub holds of one user."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from userline.changes.watcher import HubWatcher
    from userline.users.record import UserSnapshot

_UNREAD: Final = -1
"""Version of an entry whose user has not been read yet. A user that does not exist has version 0."""

NEVER: Final = -math.inf
"""When an entry was confirmed that is in doubt."""


class Miss:
    """The hub cannot answer; the store must be read."""


MISS: Final = Miss()


class Entry:
    """The newest snapshot known of a user, how sure it is, and who watches."""

    __slots__ = ("confirmed_at", "doubted", "pins", "snapshot", "used", "version", "watchers")

    def __init__(self) -> None:
        self.snapshot: UserSnapshot | None = None
        self.version = _UNREAD
        self.confirmed_at = NEVER
        self.pins = 0
        # Whether it is in doubt since a store call began that is still under way, which then confirms nothing.
        self.doubted = False
        self.used = False
        # In the order in which they came, which is about that of their sockets: a system that writes to sockets in the
        # order in which it has opened them finds what it knows of them in its caches.
        self.watchers: dict[HubWatcher, None] = {}


def was_edited(entry: Entry, snapshot: UserSnapshot | None, known: int) -> bool:
    """Return whether the store shows what only an edit behind the gateways' backs explains.

    That is another content at the version held, or no user where one was held when the call began (``known``) and no
    newer version was heard of since.
    """
    if entry.snapshot is None:
        return False
    if snapshot is None:
        return entry.version == known
    return snapshot.version == entry.version and not snapshot.looks_like(entry.snapshot)
