"""Whole records, many by one command."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from userline.storage.mongo.attempts import counted_attempts, done_before
from userline.storage.mongo.documents import DocumentError, decode_user, encode_user
from userline.storage.mongo.driver import USERS
from userline.storage.protocol import StoreFormatError
from userline.users.replacement import Put, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.storage.mongo.connection import Connection
    from userline.users.record import UserRecord

_RECORDS_A_COMMAND: Final = 250
"""Each command has its own deadline, and must be done within it."""

_LONGEST_PAUSE_SECONDS: Final = 0.05


async def put_records(connection: Connection, records: Sequence[UserRecord], *, overwrite: bool) -> list[Put]:
    """Put each record as :func:`userline.users.replacement.put` says. Raises StoreUnavailable, StoreFormatError."""
    done: list[Put] = []
    for start in range(0, len(records), _RECORDS_A_COMMAND):
        done += await _put_some(connection, records[start : start + _RECORDS_A_COMMAND], overwrite=overwrite)
    return done


async def _put_some(connection: Connection, records: Sequence[UserRecord], *, overwrite: bool) -> list[Put]:
    # Most users of an import are new, so what is there is looked at only where an insertion says so.
    documents = [encode_user(record) for record in records]
    taken = await connection.run(lambda driver: driver.insert_many(USERS, documents), connection.deadline)
    done = [Put.CREATED] * len(records)
    if taken:
        found = await _read(connection, [records[index].snapshot.id for index in taken])
        outcomes = await asyncio.gather(
            *(
                _put_over(connection, records[index], found.get(records[index].snapshot.id), overwrite=overwrite)
                for index in taken
            )
        )
        for index, outcome in zip(taken, outcomes, strict=True):
            done[index] = outcome
    return done


async def _put_over(connection: Connection, record: UserRecord, before: UserRecord | None, *, overwrite: bool) -> Put:
    while True:
        what, after = put(record, before, overwrite=overwrite)
        if what in (Put.SAME, Put.KEPT) or await _written(connection, before, after):
            return what
        # Somebody else has written or deleted the user since it was read.
        await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS))  # noqa: S311 - no secret
        before = (await _read(connection, [record.snapshot.id])).get(record.snapshot.id)


async def _written(connection: Connection, before: UserRecord | None, after: UserRecord) -> bool:
    document, deadline = encode_user(after), connection.deadline
    with counted_attempts() as attempts:
        if before is None:
            done = await connection.run(lambda driver: driver.insert(USERS, document), deadline)
        else:
            version = before.snapshot.version
            done = await connection.run(lambda driver: driver.replace(document, version), deadline)
    return done if attempts.count <= 1 else (await done_before(connection, [document], [done], deadline))[0] is True


async def _read(connection: Connection, ids: list[str]) -> dict[str, UserRecord]:
    documents = await connection.run(lambda driver: driver.find(ids), connection.deadline)
    try:
        records = [decode_user(document) for document in documents]
    except DocumentError as error:
        raise StoreFormatError(f"{error} Correct the document, or delete it.") from None
    return {record.snapshot.id: record for record in records}
