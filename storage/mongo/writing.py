"""How users are written: read, changed in memory, and put back if nobody else has written them meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from userline.common.backoff import Backoff
from userline.common.futures import settle
from userline.storage.mongo.deleting import delete_user
from userline.storage.mongo.deletions import Deletions, came_between
from userline.storage.mongo.documents import DocumentError, StoredUser, read_user, written_user
from userline.storage.mongo.driver import USERS
from userline.storage.mongo.groups import Groups
from userline.storage.mongo.guesses import Guesses
from userline.storage.mongo.write_ids import WriteIds, has_seen
from userline.storage.mongo.write_queues import WriteQueues
from userline.storage.protocol import MAX_BATCH, StoreFormatError, WriteResult
from userline.users.patch import apply
from userline.users.versions import next_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from userline.storage.mongo.connection import Connection
    from userline.storage.mongo.documents import Document
    from userline.storage.mongo.write_queues import Delete, Write
    from userline.storage.protocol import DeleteResult
    from userline.users.condition import Condition
    from userline.users.patch import UserPatch
    from userline.users.record import UserRecord
    from userline.users.rules import Rules

_Guarded: TypeAlias = "tuple[Document | None, Document]"
"""The query for what was read (None: there was no user), and the document to put there."""

_Made: TypeAlias = "tuple[list[WriteResult | Exception], StoredUser | None]"
"""What came of writes, and the user that they left."""

_PUTS_A_COMMAND: Final = 64
_BYTES_A_COMMAND: Final = 16 * 1024 * 1024

_FIRST_PAUSE_SECONDS: Final = 0.002
_LONGEST_PAUSE_SECONDS: Final = 0.1


class Writing:
    """The writes of one store.

    ``connection`` returns the connection, which is there as soon as something is written.
    """

    def __init__(self, connection: Callable[[], Connection], rules: Rules, clock: Callable[[], int]) -> None:
        self._connection = connection
        self._rules = rules
        self._clock = clock
        self._ids = WriteIds()
        self.guesses = Guesses()
        self.deletions = Deletions(connection, clock)
        self._queues = WriteQueues(self._write_together, self._delete_together)
        self._deleted = Groups(self._deleted_group, MAX_BATCH, self._most_groups, self._apart)
        self._reads = Groups(self._read_group, MAX_BATCH, self._most_groups, self._apart)
        self._marks = Groups(self._mark_group, _PUTS_A_COMMAND, self._most_groups, self._apart)
        self._puts = Groups(self._put_group, _most_puts(rules), self._most_groups, self._apart)

    def hold_to(self, rules: Rules) -> None:
        """Hold users to these rules from the next write on."""
        self._rules = rules
        self._puts.most = _most_puts(rules)

    def write(self, user_id: str, patch: UserPatch, *, leave_existing: bool) -> asyncio.Future[WriteResult]:
        """Return a future of what the patch did to the user."""
        return self._queues.join(user_id, patch, leave_existing=leave_existing)

    def delete(self, user_id: str, condition: Condition | None) -> asyncio.Future[DeleteResult]:
        """Return a future of what the deletion did."""
        return self._queues.join_to_delete(user_id, condition)

    async def read_many(self, ids: Sequence[str], deadline: float) -> list[UserRecord | None]:
        """Return users who are about to be written, and remember them for that."""
        found = await asyncio.gather(*(self._reads.ask(user_id, deadline) for user_id in ids))
        for user_id, stored in zip(ids, found, strict=True):
            self.guesses.keep(user_id, stored)
        return [stored.record if stored is not None else None for stored in found]

    async def finish(self) -> None:
        """Wait until all writes have come to their end."""
        await self._queues.finish()

    def _most_groups(self) -> int:
        return self._connection().most_batches

    def _apart(self) -> float:
        return self._connection().writes_apart

    async def _write_together(
        self, user_id: str, writes: Sequence[Write], left: StoredUser | None
    ) -> StoredUser | None:
        """Do the writes one after the other in memory and all of them by one command; return what the user is then."""
        deadline = self._connection().deadline
        made, inserted = await self._make(user_id, writes, left, deadline)
        if inserted is not None:
            made = await self._raise(user_id, writes, made, inserted, deadline)
        outcomes, stored = made
        self.guesses.keep(user_id, stored)
        _answer(writes, outcomes)
        return stored

    async def _make(
        self, user_id: str, writes: Sequence[Write], left: StoredUser | None, deadline: float
    ) -> tuple[_Made, StoredUser | None]:
        """Do the writes; return what they made, and who was inserted for it, if anybody was.

        What the turn before has ``left``, or else what is remembered of the user, saves the read. It is no more than a
        guess: only a write that is guarded by it, and holds, proves that it was right. What writes nothing is answered
        from what was read for it.
        """
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        remembered = None if left is not None else self.guesses.guess(user_id)
        stored = left or remembered
        is_guess = stored is not None
        attempt: StoredUser | None = None
        before: UserRecord | None = None
        outcomes: list[WriteResult | Exception] = []
        while True:
            if not is_guess:
                stored = await self._reads.ask(user_id, deadline)
                self.guesses.compare(user_id, stored)
                if attempt is not None and stored is not None and has_seen(stored.write_ids, attempt.write_ids):
                    # The write did hold. Its answer was lost, and to the driver's second try it was in its own way.
                    return (outcomes, stored), attempt if before is None else None
            before = stored.record if stored is not None else None
            deleted = await self._deleted.ask(user_id, deadline) if stored is None else 0
            outcomes, after = self._outcomes(user_id, writes, before, deleted)
            if after is not None and after is not before:
                if stored is not None and not stored.write_ids:
                    # What another program has written is marked first, and then read as it is with the mark.
                    await self._marks.ask(user_id, deadline)
                    attempt, is_guess = None, False
                    continue
                attempt, document = written_user(after, self._ids.follow(stored.write_ids if stored else ""), stored)
                held = await self._puts.ask((stored.guard if stored else None, document), deadline)
                if is_guess and remembered is not None:
                    self.guesses.judge(user_id, held=held)
                if held:
                    return (outcomes, attempt), attempt if stored is None else None
                if not is_guess:
                    # Somebody else has written the user since it was read.
                    await backoff.wait()
            elif not is_guess:
                return (outcomes, stored), None
            is_guess = False

    async def _raise(
        self, user_id: str, writes: Sequence[Write], made: _Made, inserted: StoredUser, deadline: float
    ) -> _Made:
        """See that a user who was just inserted has a version above every deletion; return what was made then."""
        outcomes, stored = made
        deleted = await self._deleted.ask(user_id, deadline)
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while stored is not None and came_between(deleted, stored.record.snapshot.version) and stored.write_ids:
            told = outcomes
            after: UserRecord | None = stored.record.at(next_version(deleted, self._clock()))
            if stored.guard == inserted.guard:
                told, after = self._outcomes(user_id, writes, None, deleted)
            assert after is not None  # noqa: S101 - the same writes have made one before
            raised, document = written_user(after, self._ids.follow(stored.write_ids), stored)
            if await self._puts.ask((stored.guard, document), deadline):
                return told, raised
            # Somebody else has written the user meanwhile, or deleted it; or the answer was lost.
            await backoff.wait()
            stored = await self._reads.ask(user_id, deadline)
            if stored is not None and has_seen(stored.write_ids, raised.write_ids):
                return told, stored
        return outcomes, stored

    async def _delete_together(self, user_id: str, deletions: Sequence[Delete]) -> None:
        """Delete the user: the first deletion does it, and the others find nobody. One with a condition is alone."""
        self.guesses.forget(user_id)
        condition = deletions[0].condition
        done = await delete_user(self._connection(), self.deletions, user_id, condition, clock=self._clock)
        for deletion in deletions:
            settle(deletion.future, done)
            done = replace(done, deleted=False)

    async def _deleted_group(self, ids: Sequence[str], deadline: float) -> list[int | Exception]:
        """Return the versions of the last deletions of users who are to be created, 0 where none is known."""
        found = await self.deletions.versions(ids, deadline)
        return [found.get(user_id, 0) for user_id in ids]

    async def _read_group(self, ids: Sequence[str], deadline: float) -> list[StoredUser | Exception | None]:
        """Read users who are to be written."""
        documents = await self._connection().run(lambda driver: driver.find(ids), deadline)
        found: dict[str, StoredUser | Exception] = {}
        for document in documents:
            try:
                found[document["_id"]] = read_user(document)
            except DocumentError as error:
                found[document["_id"]] = StoreFormatError(f"{error} Correct the document, or delete it.")
        return [found.get(user_id) for user_id in ids]

    async def _mark_group(self, ids: Sequence[str], deadline: float) -> list[Exception | None]:
        """Give documents that have no write ids one."""
        connection = self._connection()
        marks = {user_id: self._ids.follow("") for user_id in ids}
        refused = await connection.run(lambda driver: driver.mark(marks), deadline)
        return [connection.failure(refused[user_id]) if user_id in refused else None for user_id in ids]

    async def _put_group(self, puts: Sequence[_Guarded], deadline: float) -> list[bool | Exception]:
        """Put each document where its guard finds one, or nothing is, and return whether that was so."""
        connection = self._connection()
        if len(puts) > 1:
            done = await connection.run(lambda driver: driver.write_many(puts), deadline)
            return [connection.failure(each) if isinstance(each, Exception) else each for each in done]
        ((guard, document),) = puts
        if guard is None:
            return [await connection.run(lambda driver: driver.insert(USERS, document), deadline)]
        return [await connection.run(lambda driver: driver.replace(guard, document), deadline)]

    def _outcomes(
        self, user_id: str, writes: Sequence[Write], current: UserRecord | None, deleted: int
    ) -> tuple[list[WriteResult | Exception], UserRecord | None]:
        """Return what comes of each write, and what they leave behind; one that ``apply`` refuses fails alone."""
        outcomes: list[WriteResult | Exception] = []
        for write in writes:
            if current is not None and write.leave_existing:
                outcomes.append(WriteResult(current, current))
                continue
            try:
                after = apply(
                    write.patch, current, user_id=user_id, now=self._clock(), rules=self._rules, deleted=deleted
                )
            except Exception as error:  # noqa: BLE001 - raised where the write is awaited
                outcomes.append(error)
            else:
                outcomes.append(WriteResult(current, after))
                current = after
        return outcomes, current


def _answer(writes: Sequence[Write], outcomes: Sequence[WriteResult | Exception]) -> None:
    for write, outcome in zip(writes, outcomes, strict=True):
        settle(write.future, outcome)


def _most_puts(rules: Rules) -> int:
    """Return how many users one command may write, however large they are."""
    return max(1, min(_PUTS_A_COMMAND, _BYTES_A_COMMAND // rules.limits.record_bytes))
