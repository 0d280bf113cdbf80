"""Whole records, many by one command."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from userline.common.backoff import spread
from userline.storage.mongo.documents import DocumentError, read_user, written_user
from userline.storage.mongo.driver import USERS
from userline.storage.mongo.write_ids import FIELD, WriteIds, has_seen
from userline.storage.protocol import StoreFormatError
from userline.users.replacement import Put, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.storage.mongo.connection import Connection
    from userline.storage.mongo.documents import Document, StoredUser
    from userline.users.record import UserRecord

_RECORDS_A_COMMAND: Final = 250
"""Each command has its own deadline, and must be done within it."""

_LONGEST_PAUSE_SECONDS: Final = 0.05


async def put_records(connection: Connection, records: Sequence[UserRecord], *, now: int, overwrite: bool) -> list[Put]:
    """Put each record as :func:`userline.users.replacement.put` says. Raises StoreUnavailable, StoreFormatError."""
    # One for all: no user is written twice, and the ids of the store's other writes are not in the way.
    ids = WriteIds()
    done: list[Put] = []
    for start in range(0, len(records), _RECORDS_A_COMMAND):
        some = [
            _Putting(connection, record, ids, now, overwrite) for record in records[start : start + _RECORDS_A_COMMAND]
        ]
        done += await _put_some(connection, some)
    return done


async def _put_some(connection: Connection, puts: Sequence[_Putting]) -> list[Put]:
    # Most users of an import are new, so what is there is looked at only where an insertion says so.
    documents = [put.attempt(None) for put in puts]
    taken = await connection.run(lambda driver: driver.insert_many(USERS, documents), connection.deadline)
    done = [Put.CREATED] * len(puts)
    if taken:
        found = await _read(connection, [documents[index]["_id"] for index in taken])
        outcomes = await asyncio.gather(*(puts[index].over(found.get(documents[index]["_id"])) for index in taken))
        for index, outcome in zip(taken, outcomes, strict=True):
            done[index] = outcome
    return done


@dataclass(slots=True, eq=False)
class _Putting:
    """The putting of one record."""

    connection: Connection
    record: UserRecord
    ids: WriteIds
    now: int
    overwrite: bool
    what: Put = field(default=Put.SAME, init=False)
    document: Document = field(default_factory=dict, init=False)

    def attempt(self, stored: StoredUser | None) -> Document:
        """Return what to write where ``stored`` is; ``what`` says what that does."""
        self.what, after = put(self.record, stored.record if stored else None, now=self.now, overwrite=self.overwrite)
        _, self.document = written_user(after, self.ids.follow(stored.write_ids if stored else ""), stored)
        return self.document

    async def over(self, stored: StoredUser | None) -> Put:
        """Put the record where ``stored`` was found after an attempt that failed."""
        while True:
            if stored is not None and has_seen(stored.write_ids, self.document[FIELD]):
                # The attempt had not failed. Its answer was lost, and to the driver's second try it was in its own way.
                return self.what
            document = self.attempt(stored)
            if self.what in (Put.SAME, Put.KEPT) or await self._written(stored, document):
                return self.what
            # Somebody else has written or deleted the user since it was read.
            await asyncio.sleep(spread(_LONGEST_PAUSE_SECONDS))
            user_id = self.record.snapshot.id
            stored = (await _read(self.connection, [user_id])).get(user_id)

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
