"""Watching a user together with whether the user is connected."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from userline.directory.users import Users
    from userline.presence.presence import Presence
    from userline.users.record import UserSnapshot


@dataclass(frozen=True, slots=True)
class UserOnline:
    """A user as it is (None: there is no such user), and whether it is connected."""

    user: UserSnapshot | None
    is_connected: bool


class _Watcher:
    """The hub's watcher and that of presence in one: holds the newest of both."""

    def __init__(self) -> None:
        self.is_new = True
        self._user: UserSnapshot | None = None
        self._is_connected = False
        self._taken: UserOnline | None = None
        self._news = asyncio.Event()

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        """Take the newest snapshot; return whether another was not taken yet."""
        replaced = self._news.is_set()
        self.is_new = False
        self._user = snapshot
        self._news.set()
        return replaced

    def tell(self, *, is_connected: bool) -> None:
        """Take note of whether the user is connected."""
        if is_connected != self._is_connected:
            self._is_connected = is_connected
            self._news.set()

    async def next(self) -> UserOnline:
        """Return what there is when it is not what was returned last."""
        while True:
            await self._news.wait()
            self._news.clear()
            before, now = self._taken, UserOnline(self._user, self._is_connected)
            if before is None or before.user is not now.user or before.is_connected != now.is_connected:
                self._taken = now
                return now


async def watch_online(users: Users, presence: Presence, user_id: str) -> AsyncGenerator[UserOnline, None]:
    """Yield the user as it is and whether it is connected, and again whenever either changes, until closed.

    A slow reader may miss states in between, never the last one. Raises BadUserInput, StoreUnavailable.
    """
    watcher = _Watcher()
    loading = users.attach(user_id, watcher)
    presence.watch(user_id, watcher)
    try:
        if loading is not None:
            await loading
        while True:
            yield await watcher.next()
    finally:
        presence.unwatch(user_id, watcher)
        users.detach(user_id, watcher)
