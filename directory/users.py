"""Reads, writes and watches users: the one class that the GraphQL fields, REST and all other parts call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from userline.changes.held import MISS, Miss
from userline.directory.batcher import Batcher
from userline.directory.ids import check_entry, check_number
from userline.directory.libraries import Libraries
from userline.directory.pacer import HITS_SECONDS, MANY_SECONDS, Pacer
from userline.directory.watching import Watching
from userline.directory.writes import Writes
from userline.storage.protocol import MAX_WRITES
from userline.users.errors import (
    BadUserInput,
    BatchRefused,
    Forbidden,
    Problem,
    UserSyncDisabled,
)
from userline.users.patch import UserPatch, parse_id, parse_new_user, parse_patch
from userline.users.rules import MAX_IDS
from userline.users.viewer import ClientUserSyncing, ViewerKind, check_may_delete, check_may_list, check_may_write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from userline.changes.bus import Bus
    from userline.changes.hub import Hub
    from userline.storage.protocol import UserStore, WriteResult
    from userline.users.condition import Condition
    from userline.users.record import UserRecord, UserSnapshot
    from userline.users.rules import Rules
    from userline.users.viewer import Viewer

T = TypeVar("T")

MAX_PAGE = 100
"""The most users on one page of all users."""

_FEW = 50
"""How many users may be looked at in one turn of the event loop with whatever else happens in it."""


class Users(Watching):
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
        super().__init__(hub, Batcher(store, hub), pacer or Pacer())
        self._store = store
        self._rules = rules
        self._syncing = syncing
        self._self_deletion = self_deletion
        self._writes = Writes(store, hub, bus)
        self._libraries = Libraries()
        self.held = hub.peek
        """Returns the snapshot that is held of a user (None: there is no such user), or MISS: then ``load`` has it.

        The hub's own method, as every request calls it.
        """

    def hold_to(self, rules: Rules, syncing: ClientUserSyncing, *, self_deletion: bool) -> None:
        """Hold who writes to these rules from now on."""
        self._rules, self._syncing, self._self_deletion = rules, syncing, self_deletion

    async def wait_until_published(self) -> None:
        """Return when all gateways have been told of every write so far."""
        await self._writes.wait_until_published()

    async def close(self) -> None:
        """Wait for the reads and writes under way."""
        await self._writes.close()
        await self.batcher.close()

    async def get(self, user_id: str) -> UserSnapshot | None:
        """Return the user's snapshot, or None if there is no such user. Raises BadUserInput, StoreUnavailable."""
        return await self._get(parse_id(user_id))

    def held_many(self, user_ids: Sequence[str]) -> list[UserSnapshot | None] | Miss:
        """Return the snapshots if all are held, else MISS: then ``get_many`` has them."""
        return self._hub.peek_many(user_ids) if len(user_ids) <= MAX_IDS else MISS

    def load(self, user_id: str) -> asyncio.Future[UserSnapshot | None]:
        """Return a future of the user's snapshot, read from the store. Raises BadUserInput; it, StoreUnavailable."""
        return self.batcher.load(parse_id(user_id))

    async def get_many(self, user_ids: Sequence[str]) -> list[UserSnapshot | BadUserInput | None]:
        """Return the users' snapshots in the order of ``user_ids`` and as many, None for the missing.

        In the place of an id that is none is what is wrong with it. Raises BadUserInput for more than ``MAX_IDS`` ids,
        and StoreUnavailable.
        """
        check_number(user_ids)
        found: list[UserSnapshot | BadUserInput | Miss | None] = [self._hub.peek(user_id) for user_id in user_ids]
        loading: dict[str, asyncio.Future[UserSnapshot | None]] = {}
        for number, (user_id, known) in enumerate(zip(user_ids, found, strict=True)):
            if isinstance(known, Miss) and user_id not in loading:
                try:
                    loading[user_id] = self.batcher.load(check_entry(number, user_id))
                except BadUserInput as error:
                    found[number] = error
        if loading:
            await asyncio.gather(*loading.values())
        if len(user_ids) > _FEW:
            await self._pacer.turn(MANY_SECONDS)
        return [
            loading[user_id].result() if isinstance(known, Miss) else known
            for user_id, known in zip(user_ids, found, strict=True)
        ]

    async def records(self, user_ids: Sequence[str]) -> list[UserRecord | None]:
        """Return the whole users, private fields included, straight from the store, None for the missing.

        For server tokens alone. Raises BadUserInput for more than ``MAX_IDS`` ids or a bad one, and StoreUnavailable.
        """
        check_number(user_ids)
        for user_id in user_ids:
            parse_id(user_id)
        return await asyncio.gather(*map(self.batcher.load_record, user_ids))

    async def page(self, *, limit: int, after: str | None = None, viewer: Viewer) -> tuple[list[UserRecord], bool]:
        """Return up to ``limit`` whole users whose ids come after ``after``, and whether there are more.

        They are in order of id, by code points. ``limit`` is 1 to ``MAX_PAGE``. Raises Forbidden, BadUserInput,
        StoreUnavailable.
        """
        check_may_list(viewer)
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
        user_id, patch = await self._parse(user_id, parse_new_user, given)
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
        self, user_id: str, given: Mapping[str, object], *, viewer: Viewer, condition: Condition | None = None
    ) -> tuple[UserSnapshot, WriteResult]:
        """Patch the user with ``given`` (contract names to values), creating it if it does not exist.

        Returns the user's newest snapshot and what the write did. Whether the viewer may write it is asked before the
        input is looked at. Raises Forbidden, UserSyncDisabled, BadUserInput, NameRequired, ConditionFailed,
        StoreUnavailable.
        """
        check_may_write(viewer, user_id, self._syncing)
        # A back end may send back whole users, also one who is past a limit that was lowered. A frontend is refused at
        # once: what it sends would be held until the store has looked.
        parse = parse_patch if viewer.kind is ViewerKind.USER else _parse_whole
        user_id, patch = await self._parse(user_id, parse, given)
        return await self._writes.write(user_id, self._store.patch(user_id, patch.under(condition)))

    async def delete(self, user_id: str, *, viewer: Viewer, condition: Condition | None = None) -> bool:
        """Delete the user, and return whether there was one.

        Whether the viewer may delete it is asked before the id is looked at. Raises Forbidden, BadUserInput,
        ConditionFailed, StoreUnavailable.
        """
        check_may_delete(viewer, user_id, self_deletion=self._self_deletion)
        return (await self._writes.delete(parse_id(user_id), condition)).deleted

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
                _, patches[user_id] = await self._parse(user_id, _parse_fields, fields)
            except BadUserInput as error:
                refused[user_id] = error
        if refused:
            raise BatchRefused(refused)
        return await self._writes.write_many(patches)

    async def _get(self, user_id: str) -> UserSnapshot | None:
        snapshot = self._hub.peek(user_id)
        if isinstance(snapshot, Miss):
            return await self.batcher.load(user_id)
        await self._pacer.turn(HITS_SECONDS)
        return snapshot

    async def _parse(self, user_id: str, parse: Callable[[T, Rules], UserPatch], given: T) -> tuple[str, UserPatch]:
        """Check the id and the input, and report the problems of both together."""
        if isinstance(given, dict) and (names := self._libraries.of_fields.keys() & given):
            await self._libraries.load_for(names)
        problems: list[Problem] = []
        try:
            user_id = parse_id(user_id)
        except BadUserInput as error:
            problems.extend(error.problems)
        try:
            patch = parse(given, self._rules)
        except BadUserInput as error:
            problems.extend(error.problems)
            raise BadUserInput(problems) from None
        if problems:
            raise BadUserInput(problems)
        return user_id, patch


def _parse_fields(fields: object, rules: Rules) -> UserPatch:
    if not isinstance(fields, dict):
        raise BadUserInput([Problem("body", "The patch of a user must be an object.")])
    return _parse_whole(fields, rules)


def _parse_whole(fields: Mapping[str, object], rules: Rules) -> UserPatch:
    return parse_patch(fields, rules, any_size=True)
