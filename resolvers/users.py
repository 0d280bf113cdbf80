"""Reading, writing and watching users: what the fields of the API, and every other door, call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from userline.changes.hub import Miss
from userline.resolvers.batcher import Batcher
from userline.users.errors import BadUserInput, Problem
from userline.users.patch import UserPatch, parse_id, parse_new_user, parse_patch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence

    from userline.changes.bus import Bus
    from userline.changes.hub import Hub
    from userline.storage.protocol import UserStore, WriteResult
    from userline.users.record import UserSnapshot
    from userline.users.rules import Rules

MAX_IDS = 1000
"""The most ids that one ``users`` field takes."""


class Users:
    """The users of a deployment as one gateway sees them: store, hub and bus together. For one event loop."""

    def __init__(self, *, store: UserStore, hub: Hub, bus: Bus, rules: Rules) -> None:
        self._store = store
        self._hub = hub
        self._bus = bus
        self._rules = rules
        self.batcher = Batcher(store, hub)
        self._writes_under_way: set[asyncio.Task[tuple[UserSnapshot, WriteResult]]] = set()

    async def close(self) -> None:
        """Wait for the reads and writes under way."""
        await asyncio.gather(*self._writes_under_way, return_exceptions=True)
        await self.batcher.close()

    async def get(self, user_id: str) -> UserSnapshot | None:
        """Return the user's snapshot, or None if there is no such user. Raises BadUserInput, StoreUnavailable."""
        return await self._get(parse_id(user_id))

    async def get_many(self, user_ids: Sequence[str]) -> list[UserSnapshot | None]:
        """Return the users' snapshots in the order of ``user_ids`` and as many, None for the missing.

        Raises BadUserInput for more than ``MAX_IDS`` ids or a bad one, and StoreUnavailable.
        """
        if len(user_ids) > MAX_IDS:
            raise BadUserInput([Problem("ids", f"ids must have at most {MAX_IDS} entries, not {len(user_ids)}.")])
        for user_id in user_ids:
            parse_id(user_id, "ids")
        found = [self._hub.peek(user_id) for user_id in user_ids]
        loading = {
            user_id: self.batcher.load(user_id)
            for user_id, snapshot in zip(user_ids, found, strict=True)
            if isinstance(snapshot, Miss)
        }
        if loading:
            await asyncio.gather(*loading.values())
        return [
            loading[user_id].result() if isinstance(snapshot, Miss) else snapshot
            for user_id, snapshot in zip(user_ids, found, strict=True)
        ]

    async def create_if_not_exists(self, user_id: str, given: Mapping[str, object]) -> tuple[UserSnapshot, bool]:
        """Create the user from ``given`` (contract names to values) unless it exists.

        Returns the user's snapshot and whether it was created. Raises BadUserInput, StoreUnavailable.
        """
        user_id, patch = self._parse(user_id, lambda: parse_new_user(given, self._rules))
        newest, result = await self._write(user_id, self._store.create_if_not_exists(user_id, patch))
        return newest, result.created

    async def set(self, user_id: str, given: Mapping[str, object]) -> tuple[UserSnapshot, WriteResult]:
        """Patch the user with ``given`` (contract names to values), creating it if it does not exist.

        Returns the user's newest snapshot and what the write did. Raises BadUserInput, NameRequired, StoreUnavailable.
        """
        user_id, patch = self._parse(user_id, lambda: parse_patch(given, self._rules))
        return await self._write(user_id, self._store.patch(user_id, patch))

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

    async def _get(self, user_id: str) -> UserSnapshot | None:
        snapshot = self._hub.peek(user_id)
        return await self.batcher.load(user_id) if isinstance(snapshot, Miss) else snapshot

    def _parse(self, user_id: str, parse: Callable[[], UserPatch]) -> tuple[str, UserPatch]:
        """Check the id and the input, and report the problems of both together."""
        problems: list[Problem] = []
        try:
            user_id = parse_id(user_id)
        except BadUserInput as error:
            problems.extend(error.problems)
        try:
            patch = parse()
        except BadUserInput as error:
            problems.extend(error.problems)
            raise BadUserInput(problems) from None
        if problems:
            raise BadUserInput(problems)
        return user_id, patch

    async def _write(self, user_id: str, write: Coroutine[None, None, WriteResult]) -> tuple[UserSnapshot, WriteResult]:
        """Do a write, and tell of it, to the end even if the caller goes away meanwhile."""
        task = asyncio.create_task(self._write_and_tell(user_id, write))
        self._writes_under_way.add(task)
        task.add_done_callback(self._writes_under_way.discard)
        return await asyncio.shield(task)

    async def _write_and_tell(
        self, user_id: str, write: Coroutine[None, None, WriteResult]
    ) -> tuple[UserSnapshot, WriteResult]:
        with self._hub.reading([user_id]) as reading:
            result = await write
            newest = reading.confirm(user_id, result.after.snapshot) or result.after.snapshot
        if result.snapshot_changed:
            self._bus.publish(result.after.snapshot)
        return newest, result
