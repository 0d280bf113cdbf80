"""Reading, writing and watching users: what the fields of the API, and every other door, call."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from userline.changes.held import MISS, Miss
from userline.changes.watcher import GroupWatcher
from userline.directory.batcher import Batcher
from userline.directory.inputs import parse_both, patch_of
from userline.directory.pacer import HITS_SECONDS, MANY_SECONDS, Pacer
from userline.directory.writes import Writes
from userline.storage.protocol import MAX_WRITES
from userline.users.errors import (
    BadUserInput,
    BatchRefused,
    Forbidden,
    Problem,
    UserSyncDisabled,
)
from userline.users.patch import parse_id, parse_new_user, parse_patch
from userline.users.rules import MAX_IDS
from userline.users.viewer import ClientUserSyncing, check_may_delete, check_may_write

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from userline.changes.bus import Bus
    from userline.changes.hub import Hub
    from userline.changes.watcher import HubWatcher
    from userline.directory.allowance import Allowance
    from userline.storage.protocol import UserStore, WriteResult
    from userline.users.patch import UserPatch
    from userline.users.record import UserRecord, UserSnapshot
    from userline.users.rules import Rules
    from userline.users.viewer import Viewer

MAX_PAGE = 100
"""The most users on one page of all users."""

_FEW = 50
"""How many users may be looked at in one turn of the event loop with whatever else happens in it."""


class Users:
    """The users of a deployment as one gateway sees them: store, hub and bus together. For one event loop."""

    def __init__(  # noqa: PLR0913 - each is a part of the gateway
        self,
        *,
        store: UserStore,
        hub: Hub,
        bus: Bus,
        rules: Rules,
        syncing: ClientUserSyncing = ClientUserSyncing.OWN,
        self_deletion: bool = False,
        pacer: Pacer | None = None,
    ) -> None:
        self._store = store
        self._hub = hub
        self._rules = rules
        self._syncing = syncing
        self._self_deletion = self_deletion
        self._pacer = pacer or Pacer()
        self.batcher = Batcher(store, hub)
        self._writes = Writes(store, hub, bus)

    async def close(self) -> None:
        """Wait for the reads and writes under way."""
        await self._writes.close()
        await self.batcher.close()

    async def get(self, user_id: str) -> UserSnapshot | None:
        """Return the user's snapshot, or None if there is no such user. Raises BadUserInput, StoreUnavailable."""
        return await self._get(parse_id(user_id))

    def held(self, user_id: str) -> UserSnapshot | Miss | None:
        """Return the snapshot that is held (None: there is no such user), or MISS: then ``load`` has it."""
        return self._hub.peek(user_id)

    def held_many(self, user_ids: Sequence[str]) -> list[UserSnapshot | None] | Miss:
        """Return the snapshots if all are held, else MISS: then ``get_many`` has them."""
        return self._hub.peek_many(user_ids) if len(user_ids) <= MAX_IDS else MISS

    def load(self, user_id: str) -> asyncio.Future[UserSnapshot | None]:
        """Return a future of the user's snapshot, read from the store. Raises BadUserInput; it, StoreUnavailable."""
        return self.batcher.load(parse_id(user_id))

    async def get_many(self, user_ids: Sequence[str]) -> list[UserSnapshot | None]:
        """Return the users' snapshots in the order of ``user_ids`` and as many, None for the missing.

        Raises BadUserInput for more than ``MAX_IDS`` ids or a bad one, and StoreUnavailable.
        """
        _check_ids(user_ids)
        found = [self._hub.peek(user_id) for user_id in user_ids]
        loading = {
            user_id: self.batcher.load(user_id)
            for user_id, snapshot in zip(user_ids, found, strict=True)
            if isinstance(snapshot, Miss)
        }
        if loading:
            await asyncio.gather(*loading.values())
        if len(user_ids) > _FEW:
            await self._pacer.turn(MANY_SECONDS)
        return [
            loading[user_id].result() if isinstance(snapshot, Miss) else snapshot
            for user_id, snapshot in zip(user_ids, found, strict=True)
        ]

    async def records(self, user_ids: Sequence[str]) -> list[UserRecord | None]:
        """Return the whole users, private fields included, straight from the store, None for the missing.

        For server tokens alone. Raises BadUserInput for more than ``MAX_IDS`` ids or a bad one, and StoreUnavailable.
        """
        _check_ids(user_ids, "id")
        return await asyncio.gather(*map(self.batcher.load_record, user_ids))

    async def page(self, *, limit: int, after: str | None = None) -> tuple[list[UserRecord], bool]:
        """Return up to ``limit`` whole users whose ids come after ``after``, and whether there are more.

        They are in order of id, by code points. For server tokens alone. ``limit`` is 1 to ``MAX_PAGE``. Raises
        BadUserInput, StoreUnavailable.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise BadUserInput([Problem("limit", f"limit must be 1 to {MAX_PAGE}, not {limit}.")])
        if after is not None:
            parse_id(after, "startingAfter")
        found = await self._store.list_users(limit=limit + 1, after=after)
        for record in found:
            self._hub.hear(record.snapshot)
        return found[:limit], len(found) > limit

    async def create_if_not_exists(
        self, user_id: str, given: Mapping[str, object], *, viewer: Viewer
    ) -> tuple[UserSnapshot, bool]:
        """Create the user from ``given`` (contract names to values) unless it exists.

        Returns the user's snapshot and whether it was created. Whether the viewer may create it is asked only if it
        does not exist. Raises BadUserInput, Forbidden, UserSyncDisabled, StoreUnavailable.
        """
        user_id, patch = parse_both(user_id, lambda: parse_new_user(given, self._rules))
        try:
            check_may_write(viewer, user_id, self._syncing)
        except (Forbidden, UserSyncDisabled):
            # From the store: what is held in memory may be behind a user who was created a moment ago.
            existing = await self.batcher.load(user_id)
            if existing is None:
                raise
            return existing, False
        newest, result = await self._writes.write(user_id, self._store.create_if_not_exists(user_id, patch))
        return newest, result.created

    async def set(
        self, user_id: str, given: Mapping[str, object], *, viewer: Viewer
    ) -> tuple[UserSnapshot, WriteResult]:
        """Patch the user with ``given`` (contract names to values), creating it if it does not exist.

        Returns the user's newest snapshot and what the write did. Whether the viewer may write it is asked before the
        input is looked at. Raises Forbidden, UserSyncDisabled, BadUserInput, NameRequired, StoreUnavailable.
        """
        check_may_write(viewer, user_id, self._syncing)
        user_id, patch = parse_both(user_id, lambda: parse_patch(given, self._rules))
        return await self._writes.write(user_id, self._store.patch(user_id, patch))

    async def delete(self, user_id: str, *, viewer: Viewer) -> bool:
        """Delete the user, and return whether there was one.

        Whether the viewer may delete it is asked before the id is looked at. Raises Forbidden, BadUserInput,
        StoreUnavailable.
        """
        check_may_delete(viewer, user_id, self_deletion=self._self_deletion)
        return (await self._writes.delete(parse_id(user_id))).deleted

    async def set_many(self, given: Mapping[str, object]) -> dict[str, WriteResult]:
        """Patch several users (ids to contract names to values), all or none, creating those who do not exist.

        Returns what was done with each. Raises BatchRefused with the problems of every user, BadUserInput for more than
        ``MAX_WRITES`` users, and StoreUnavailable.
        """
        if len(given) > MAX_WRITES:
            raise BadUserInput([Problem("body", f"A batch has at most {MAX_WRITES} users, not {len(given)}.")])
        patches: dict[str, UserPatch] = {}
        refused: dict[str, BadUserInput] = {}
        for user_id, fields in given.items():
            try:
                patches[user_id] = parse_both(user_id, partial(patch_of, fields, self._rules))[1]
            except BadUserInput as error:
                refused[user_id] = error
        if refused:
            raise BatchRefused(refused)
        return await self._writes.write_many(patches)

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
    ) -> AsyncGenerator[UserSnapshot, None]:
        """Yield the current snapshots of these users in their order, and then each newer one, until closed.

        Of a user who does not exist nothing is told before it is created. A slow reader may miss snapshots in between,
        never the last one of a user. Raises BadUserInput, RateLimited, StoreUnavailable.
        """
        user_ids = distinct_ids(user_ids)
        group = GroupWatcher(user_ids)
        loading = self.attach_many(user_ids, group.members, allowance)
        try:
            if loading is not None:
                await loading
            group.sort()
            while True:
                snapshot = await group.next()
                await self._pacer.turn(MANY_SECONDS)
                yield snapshot
        finally:
            self.detach_many(user_ids, group.members, allowance)

    def attach_many(
        self, user_ids: Sequence[str], watchers: Sequence[HubWatcher], allowance: Allowance | None = None
    ) -> asyncio.Future[Any] | None:
        """Do as ``attach`` does, with the watcher of each of these users, who are ``distinct_ids``.

        All users who must be read are read together. Raises RateLimited if they are more than is allowed.
        """
        if allowance is not None:
            allowance.charge(len(user_ids))
        loading = []
        for user_id, watcher in zip(user_ids, watchers, strict=True):
            self._hub.watch(user_id, watcher)
            if watcher.is_new:
                loading.append(self.batcher.load(user_id))
        return asyncio.gather(*loading) if loading else None

    def detach_many(
        self, user_ids: Sequence[str], watchers: Sequence[HubWatcher], allowance: Allowance | None = None
    ) -> None:
        """Offer the watchers nothing more."""
        for user_id, watcher in zip(user_ids, watchers, strict=True):
            self._hub.unwatch(user_id, watcher)
        if allowance is not None:
            allowance.give_back(len(user_ids))

    async def _get(self, user_id: str) -> UserSnapshot | None:
        snapshot = self._hub.peek(user_id)
        if isinstance(snapshot, Miss):
            return await self.batcher.load(user_id)
        await self._pacer.turn(HITS_SECONDS)
        return snapshot


def distinct_ids(user_ids: Sequence[str]) -> list[str]:
    """Return the ids of a list, each once. Raises BadUserInput for more than ``MAX_IDS`` ids or a bad one."""
    _check_ids(user_ids)
    return list(dict.fromkeys(user_ids))


def _check_ids(user_ids: Sequence[str], field: str = "ids") -> None:
    """Raise BadUserInput for more than ``MAX_IDS`` ids, or, with the name of the ``field``, for a bad one."""
    if len(user_ids) > MAX_IDS:
        raise BadUserInput([Problem("ids", f"ids must have at most {MAX_IDS} entries, not {len(user_ids)}.")])
    for user_id in user_ids:
        parse_id(user_id, field)
