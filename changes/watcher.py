"""Watchers of users: for each user a slot for the latest snapshot, not a queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from userline.users.record import UserSnapshot

Changes: TypeAlias = "Mapping[str, UserSnapshot | None]"
"""The newest snapshots of some users (None: there is no such user) by their ids."""


class HubWatcher(Protocol):
    """What the hub calls with new snapshots of a user."""

    is_new: bool
    """Whether it was never offered anything."""

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        """Take the newest snapshot (None: there is no such user); return whether it took the place of another."""


class _Empty:
    pass


_EMPTY: Final = _Empty()


class Watcher:
    """Holds only the newest snapshot that its reader has not taken yet, so a slow reader needs little memory."""

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

    __slots__ = ("_group", "is_new", "user_id")

    def __init__(self, group: Group, user_id: str) -> None:
        self.is_new = True
        self.user_id = user_id
        self._group = group

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        """Put the newest snapshot in the user's slot of the group; return whether one was there."""
        self.is_new = False
        return self._group.put(self.user_id, snapshot)


class Group:
    """Watches several users: holds only the newest snapshot of each that its reader has not taken yet."""

    __slots__ = ("_unread", "members")

    def __init__(self, user_ids: Sequence[str]) -> None:
        self.members = [Member(self, user_id) for user_id in user_ids]
        self._unread: dict[str, UserSnapshot | None] = {}

    def put(self, user_id: str, snapshot: UserSnapshot | None) -> bool:
        """Put the newest snapshot (None: there is no such user) in a user's slot; return whether one was there."""
        unread = self._unread
        replaced = user_id in unread
        unread[user_id] = snapshot
        self._heard()
        return replaced

    def sort(self) -> None:
        """Have what was not taken yet taken in the order of the users."""
        unread = self._unread
        self._unread = {member.user_id: unread[member.user_id] for member in self.members if member.user_id in unread}

    def end(self) -> None:
        """Drop what refers back to this: no collection has to find it."""
        self.members = []
        self._unread = {}

    def _heard(self) -> None:
        """There is something to be taken."""
        raise NotImplementedError


class GroupWatcher(Group):
    """A group whose reader waits for snapshots."""

    __slots__ = ("_something",)

    def __init__(self, user_ids: Sequence[str]) -> None:
        super().__init__(user_ids)
        self._something = asyncio.Event()

    def _heard(self) -> None:
        self._something.set()

    def take(self) -> Changes:
        """Take all that was not taken yet."""
        self._something.clear()
        taken, self._unread = self._unread, {}
        return taken

    async def next(self) -> Changes:
        """Take all that was not taken yet, waiting for something if there is nothing. For one reader at a time."""
        await self._something.wait()
        return self.take()
