"""Watching users: one, or many together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from userline.changes.watcher import GroupWatcher
from userline.directory.ids import distinct_ids
from userline.directory.pacer import MANY_SECONDS
from userline.users.patch import parse_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from userline.changes.hub import Hub
    from userline.changes.watcher import Changes, HubWatcher, Member
    from userline.directory.allowance import Allowance
    from userline.directory.batcher import Batcher
    from userline.directory.pacer import Pacer
    from userline.users.record import UserSnapshot


class Watching:
    """The watching part of ``Users``. For one event loop."""

    def __init__(self, hub: Hub, batcher: Batcher, pacer: Pacer) -> None:
        self._hub = hub
        self.batcher = batcher
        self._pacer = pacer

    async def watch(self, user_id: str) -> AsyncGenerator[UserSnapshot | None, None]:
        """Yield the current snapshot (None: there is no such user), and then each newer one, until closed.

        A slow reader may miss snapshots in between, never the last one. Raises BadUserInput, StoreUnavailable.
        """
        user_id = parse_id(user_id)
        with self._hub.watching(user_id) as watcher:
            if watcher.is_new:
                await self.batcher.load(user_id)
            while True:
                yield await watcher.next()

    def attach(self, user_id: str, watcher: HubWatcher) -> asyncio.Future[UserSnapshot | None] | None:
        """Have the watcher offered the current snapshot and each newer one, until it is detached.

        Returns None if it was offered the current one already, else a future that is done when it was; it raises
        StoreUnavailable. Raises BadUserInput.
        """
        user_id = parse_id(user_id)
        self._hub.watch(user_id, watcher)
        return self.batcher.load(user_id) if watcher.is_new else None

    def detach(self, user_id: str, watcher: HubWatcher) -> None:
        """Offer the watcher nothing more."""
        self._hub.unwatch(user_id, watcher)

    async def watch_many(
        self, user_ids: Sequence[str], allowance: Allowance | None = None
    ) -> AsyncGenerator[Changes, None]:
        """Yield these users as they are now, in their order, and then what has changed since the last, until closed.

        What changes in one turn of the event loop comes together. A slow reader may miss snapshots in between, never
        the last one of a user. Raises BadUserInput, RateLimited, StoreUnavailable.
        """
        user_ids = distinct_ids(user_ids)
        group = GroupWatcher(user_ids)
        loading = self.attach_many(group.members, allowance)
        try:
            if loading is not None:
                await loading
            group.sort()
            changes = group.take()
            while True:
                await self._pacer.turn(MANY_SECONDS)
                yield changes
                changes = await group.next()
        finally:
            self.detach_many(group.members, allowance)
            group.end()

    def attach_many(self, members: Sequence[Member], allowance: Allowance | None = None) -> asyncio.Future[Any] | None:
        """Do as ``attach`` does, with the members of a group, who are ``distinct_ids``.

        All users who must be read are read together. Raises RateLimited if they are more than is allowed.
        """
        if allowance is not None:
            allowance.charge(len(members))
        loading = []
        for member in members:
            self._hub.watch(member.user_id, member)
            if member.is_new:
                loading.append(self.batcher.load(member.user_id))
        return asyncio.gather(*loading) if loading else None

    def detach_many(self, members: Sequence[Member], allowance: Allowance | None = None) -> None:
        """Offer the members of a group nothing more."""
        for member in members:
            self._hub.unwatch(member.user_id, member)
        if allowance is not None:
            allowance.give_back(len(members))
