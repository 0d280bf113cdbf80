"""A watcher of one user: a slot for the latest snapshot, not a queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
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
