"""Whole records, many by one command."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from userline.common.backoff import spread
from userline.storage.mongo.deletions import came_between
from userline.storage.mongo.documents import DocumentError, guard_of, read_user, written_user
from userline.storage.mongo.driver import USERS
from userline.storage.mongo.write_ids import FIELD, WriteIds, has_seen
from userline.storage.protocol import StoreFormatError
from userline.users.replacement import Put, put
from userline.users.versions import next_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.storage.mongo.connection import Connection
    from userline.storage.mongo.deletions import Deletions
    from userline.storage.mongo.documents import Document, StoredUser
    from userline.users.record import UserRecord

_RECORDS_A_COMMAND: Final = 250
"""Each command has its own deadline, and must be done within it."""

_LONGEST_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What putting does where there is more than one answer. ``now`` is in Unix milliseconds."""

    now: int
    overwrite: bool
    restore: bool


async def put_records(
    connection: Connection, deletions: Deletions, records: Sequence[UserRecord], how: How
) -> list[Put]:
    """Put each record as :func:`userline.users.replacement.put` says. Raises StoreUnavailable, StoreFormatError."""
    # One for all: no user is written twice, and the ids of the store's other writes are not in the way.
    ids = WriteIds()
    done: list[Put] = []
    for start in range(0, len(records), _RECORDS_A_COMMAND):
        some = [
            _Putting(connection, deletions, record, ids, how) for record in records[start : start + _RECORDS_A_COMMAND]
        ]
        done += await _put_some(connection, deletions, some)
    return done


async def _put_some(connection: Connection, deletions: Deletions, puts: Sequence[_Putting]) -> list[Put]:
    # Most users of an import are new, so what is there is looked at only where an insertion says so.
    deleted = await deletions.versions([put.user_id for put in puts], connection.deadline)
    done = [put.attempt(None, deleted.get(put.user_id, 0)) for put in puts]
    tried = [index for index, what in enumerate(done) if what is Put.CREATED]
    unsure = [index for index, what in enumerate(done) if what is Put.DELETED]  # there may be such a user again
    if tried:
        documents = [puts[index].document for index in tried]
        taken = await connection.run(lambda driver: driver.insert_many(USERS, documents), connection.deadline)
        unsure += [tried[number] for number in taken]
        created = [index for number, index in enumerate(tried) if number not in taken]
        deleted = await deletions.versions([puts[index].user_id for index in created], connection.deadline)
        for index in created:
            done[index] = await puts[index].after_insertion(deleted.get(puts[index].user_id, 0))
    if unsure:
        found = await _read(connection, [puts[index].user_id for index in unsure])
        outcomes = await asyncio.gather(*(puts[index].over(found.get(puts[index].user_id)) for index in unsure))
        for index, outcome in zip(unsure, outcomes, strict=True):
            done[index] = outcome
    return done


@dataclass(slots=True, eq=False)
class _Putting:
    """The putting of one record."""

    connection: Connection
    deletions: Deletions
    record: UserRecord
    ids: WriteIds
    how: How
    what: Put = field(default=Put.SAME, init=False)
    document: Document = field(default_factory=dict, init=False)
    """What is to be written, if anything is."""

    @property
    def user_id(self) -> str:
        """The user's id."""
        return self.record.snapshot.id

    def attempt(self, stored: StoredUser | None, deleted: int) -> Put:
        """Find out what putting the record where ``stored`` is does, and what to write for it."""
        how = self.how
        before = stored.record if stored else None
        self.what, after = put(
            self.record, before, now=how.now, overwrite=how.overwrite, deleted=deleted, restore=how.restore
        )
        if self.what in (Put.CREATED, Put.REPLACED) and after is not None:
            _, self.document = written_user(after, self.ids.follow(stored.write_ids if stored else ""), stored)
        return self.what

    async def over(self, stored: StoredUser | None) -> Put:
        """Put the record where ``stored`` was found after an attempt that failed."""
        while True:
            if stored is not None and self.document and has_seen(stored.write_ids, self.document[FIELD]):
                # The attempt had not failed. Its answer was lost, and to the driver's second try it was in its own way.
                return await self._done()
            self.attempt(stored, await self._deleted() if stored is None else 0)
            if self.what not in (Put.CREATED, Put.REPLACED):
                return self.what
            if await self._written(stored, self.document):
                return await self._done()
            # Somebody else has written or deleted the user since it was read.
            await asyncio.sleep(spread(_LONGEST_PAUSE_SECONDS))
            stored = (await _read(self.connection, [self.user_id])).get(self.user_id)

    async def after_insertion(self, deleted: int) -> Put:
        """Put the inserted record once more if it was deleted between the look for a deletion and the insertion.

        ``deleted`` is what is known of a deletion since. Others may have created the user and deleted it meanwhile.
        """
        inserted, connection = self.document, self.connection
        if not came_between(deleted, inserted["version"]):
            return self.what
        guard = guard_of(inserted)
        if self.attempt(None, deleted) is Put.DELETED:
            if await connection.run(lambda driver: driver.delete(USERS, guard), connection.deadline):
                return Put.DELETED
            self.what = Put.CREATED  # somebody has written the user since, or deleted it
        else:
            await connection.run(lambda driver: driver.replace(guard, self.document), connection.deadline)
        stored = (await _read(connection, [self.user_id])).get(self.user_id)
        while stored is not None and stored.record.snapshot.version <= deleted:
            await self._written(stored, self._raised(stored, deleted))
            stored = (await _read(connection, [self.user_id])).get(self.user_id)
        return self.what

    def _raised(self, stored: StoredUser, deleted: int) -> Document:
        record = stored.record.at(next_version(deleted, self.how.now))
        return written_user(record, self.ids.follow(stored.write_ids), stored)[1]

    async def _done(self) -> Put:
        return await self.after_insertion(await self._deleted()) if self.what is Put.CREATED else self.what

    async def _deleted(self) -> int:
        """Return the version of the user's last deletion, 0 if none is known."""
        return (await self.deletions.versions([self.user_id], self.connection.deadline)).get(self.user_id, 0)

    async def _written(self, stored: StoredUser | None, document: Document) -> bool:
        connection = self.connection
        if stored is None:
            return await connection.run(lambda driver: driver.insert(USERS, document), connection.deadline)
        guard, user_id = stored.guard, document["_id"]
        if not stored.write_ids:
            # As in writing.py: what another program has written is marked first.
            mark = {user_id: self.ids.follow("")}
            refused = await connection.run(lambda driver: driver.mark(mark), connection.deadline)
            if refused:
                raise connection.failure(refused[user_id])
            return False
        return await connection.run(lambda driver: driver.replace(guard, document), connection.deadline)


async def _read(connection: Connection, ids: list[str]) -> dict[str, StoredUser]:
    documents = await connection.run(lambda driver: driver.find(ids), connection.deadline)
    try:
        return {document["_id"]: read_user(document) for document in documents}
    except DocumentError as error:
        raise StoreFormatError(f"{error} Correct the document, or delete it.") from None
