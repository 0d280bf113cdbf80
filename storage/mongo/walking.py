"""Walks over all users, and reports documents that are not valid users."""

from __future__ import annotations

import logging
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from userline.storage.mongo.connection import FAILURES
from userline.storage.mongo.documents import DocumentError, decode_user
from userline.storage.protocol import MAX_BATCH, Unreadable, sift

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from userline.storage.mongo.connection import Connection
    from userline.storage.mongo.cursors import Cursor
    from userline.storage.mongo.documents import Document
    from userline.storage.mongo.driver import Driver
    from userline.users.record import UserRecord

logger = logging.getLogger("userline.storage")


def readable(document: Document) -> UserRecord | Unreadable:
    """Return the user that a document keeps, or what it is instead, which is logged."""
    try:
        return decode_user(document)
    except DocumentError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says all
        user_id = document["_id"]
        return Unreadable(user_id if isinstance(user_id, str) else repr(user_id), str(error))


async def walk_users(
    connection: Connection, after: str, on_unreadable: Callable[[Unreadable], None] | None
) -> AsyncGenerator[list[UserRecord], None]:
    """Yield users as :meth:`userline.storage.protocol.UserStore.walk` does."""
    async with aclosing(_documents(connection, connection.driver.find_all(after=after))) as batches:
        async for documents in batches:
            yield sift(map(readable, documents), on_unreadable)
    if on_unreadable is not None:
        for direction in (1, -1):
            await _tell_strange(connection, direction, on_unreadable)


async def _tell_strange(connection: Connection, direction: int, tell: Callable[[Unreadable], None]) -> None:
    """Tell of what stands before (1) or behind (-1) the ids that users can have."""
    async with aclosing(_documents(connection, connection.driver.find_ids(direction))) as batches:
        async for documents in batches:
            for document in documents:
                if isinstance(document["_id"], str) and document["_id"]:
                    return
                sift([readable(document)], tell)


async def _documents(connection: Connection, cursor: Cursor) -> AsyncGenerator[list[Document], None]:
    """Yield what a cursor finds, each batch by a deadline of its own."""

    async def read(_: Driver) -> list[Document]:
        return await cursor.to_list(MAX_BATCH)

    try:
        while documents := await connection.run(read, connection.deadline):
            yield documents
    finally:
        with suppress(*FAILURES):
            await cursor.close()
