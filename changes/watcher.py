"""Watchers of users: for each user a slot for the latest snapshot, not a queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.users.record import UserSnapshot


class HubWatcher(Protocol):
    """Who is told of the snapshots of a user."""

    is_new: bool
    """Whether it was never offered anything."""

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        """Take the newest snapshot (None: there is no such user); return whether it took the place of another."""


class _Empty:
    pass


_EMPTY: Final = _Empty()


class Watcher:
    """Holds at most one snapshot that its reader has not taken yet, the newest: a stuck reader costs nothing."""

    __slots__ = ("_latest", "_waiter", "is_new")

    def __init__(self) -> None:
        self.is_new = True
        """Whether it was never offered anything."""
        self._latest: UserSnapshot | _Empty | None = _EMPTY
        self._waiter: asyncio.Future[None] | None = None

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        """Put the newest snapshot (None: there is no such user) in the slot; return whether one was there."""
        replaced = not isinstance(self._latest, _Empty)
        self.is_new = False
        self._latest = snapshot
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return replaced

    async def next(self) -> UserSnapshot | None:
        """Take the snapshot in the slot, waiting for one if it is empty. For one reader at a time."""
        while isinstance(self._latest, _Empty):
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        latest, self._latest = self._latest, _EMPTY
        return latest


class Member:
    """One of the users that a group watches, as the hub's watcher."""

    __slots__ = ("_group", "_user_id", "is_new")

    def __init__(self, group: GroupWatcher, user_id: str) -> None:
        self.is_new = True
        self._group = group
        self._user_id = user_id

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        """Put the newest snapshot in the user's slot of the group; return whether one was there."""
        self.is_new = False
        return self._group.put(self._user_id, snapshot)


class GroupWatcher:
    """Watches several users: holds at most one snapshot of each that its reader has not taken yet, the newest."""

    def __init__(self, user_ids: Sequence[str]) -> None:
        self.members = [Member(self, user_id) for user_id in user_ids]
        self._user_ids = user_ids
        self._unread: dict[str, UserSnapshot] = {}
        self._something = asyncio.Event()

    def put(self, user_id: str, snapshot: UserSnapshot | None) -> bool:
        """Put the newest snapshot (None: there is no such user, of whom nothing is told) in a user's slot."""
        replaced = user_id in self._unread
        if snapshot is None:
            self._unread.pop(user_id, None)
            return replaced
        self._unread[user_id] = snapshot
        self._something.set()
        return replaced

    def sort(self) -> None:
        """Have what was not taken yet taken in the order of the users."""
        self._unread = {user_id: self._unread[user_id] for user_id in self._user_ids if user_id in self._unread}

    async def next(self) -> UserSnapshot:
        """Take the snapshot that has waited longest, waiting for one if there is none. For one reader at a time."""
        while not self._unread:
            self._something.clear()
            await self._something.wait()
        return self._unread.pop(next(iter(self._unread)))
