"""One way to talk to MongoDB over two drivers: Motor, and PyMongo's own async client, which succeeds it.

Their collections have the same methods. They differ in how they are made and closed, in how a change stream is
opened, and in this: Motor runs each command on one of a few threads, which it shares among all clients of the process.
A command beyond that number waits in the queue of the thread pool, where neither a time-out nor a cancellation reaches
it; so no more than ``most_commands`` may be under way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from motor.frameworks import asyncio as motor_asyncio
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, InsertOne, ReadPreference, ReplaceOne, WriteConcern
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure
from pymongo.read_concern import ReadConcern

from userline.storage.mongo.attempts import AttemptsListener
from userline.storage.mongo.failures import DUPLICATE_KEY, is_own_id_taken
from userline.storage.protocol import MAX_BATCH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pymongo.collection import Collection

    from userline.storage.mongo.documents import Document
    from userline.storage.mongo.url import MongoURL

DriverName: TypeAlias = Literal["motor", "pymongo"]

USERS: Final = "users"

_HEARTBEAT_MILLISECONDS: Final = 2000
_POOL_SIZE: Final = 100


class Stream(Protocol):
    """A change stream of either driver."""

    @property
    def alive(self) -> bool:
        """Whether it may still bring changes."""

    @property
    def resume_token(self) -> Mapping[str, Any] | None:
        """What a new stream goes on from."""

    async def try_next(self) -> Mapping[str, Any] | None:
        """Return the next change, or None if there was none for a while."""

    async def close(self) -> None:
        """Let go of the server's cursor."""


class Cursor(Protocol):
    """A cursor of either driver."""

    async def to_list(self, length: int) -> list[Document]:
        """Return the next documents; none at the end."""

    async def close(self) -> None:
        """Let go of the server's cursor."""


class Driver:
    """What the store asks of a driver. Every command may raise PyMongoError."""

    most_commands: int

    _client: Any

    def __init__(self, url: MongoURL) -> None:
        self._database = self._client.get_database(
            url.database,
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._users = self._database[USERS]

    async def ping(self) -> None:
        """Return if the primary answers."""
        await self._database.command("ping")

    async def find(self, ids: Sequence[str]) -> list[Document]:
        """Return the documents with these ids, of which none is there twice, in any order; by one command."""
        return await self._find({"_id": {"$in": ids}}, len(ids) + 1)

    async def _find(self, query: Document, batch_size: int) -> list[Document]:
        documents: list[Document] = await self._users.find(query, batch_size=batch_size).to_list(None)
        return documents

    async def find_after(self, *, after: str, limit: int) -> list[Document]:
        """Return the first ``limit`` documents whose ids are strings past ``after``, in the order of their bytes."""
        cursor = self._users.find({"_id": {"$gt": after}}, limit=limit, batch_size=limit, sort=[("_id", 1)])
        documents: list[Document] = await cursor.to_list(None)
        return documents

    def find_all(self, *, after: str) -> Cursor:
        """Return a cursor of all documents whose ids are strings past ``after``, in the order of their bytes."""
        cursor: Cursor = self._users.find({"_id": {"$gt": after}}, sort=[("_id", 1)], batch_size=MAX_BATCH)
        return cursor

    async def find_one(self, collection: str, query: Document) -> Document | None:
        """Return one document that matches."""
        document: Document | None = await self._database[collection].find_one(query)
        return document

    async def insert(self, collection: str, document: Document) -> bool:
        """Return whether the document was inserted; if not, there is one with its id."""
        try:
            await self._database[collection].insert_one(document)
        except DuplicateKeyError as error:
            if not is_own_id_taken(error.details or {}):
                raise
            return False
        return True

    async def insert_many(self, collection: str, documents: Sequence[Document]) -> set[int]:
        """Insert documents, each or not at all; return the indexes of those whose ids were taken."""
        try:
            await self._database[collection].insert_many(documents, ordered=False)
        except BulkWriteError as error:
            outcome = error.details or {}
            failed = outcome.get("writeErrors", [])
            if not failed or outcome.get("writeConcernErrors") or not all(map(_is_taken, failed)):
                raise
            return {failure["index"] for failure in failed}
        return set()

    async def count(self, collection: str) -> int:
        """Return about how many documents a collection has."""
        count: int = await self._database[collection].estimated_document_count()
        return count

    async def replace(self, document: Document, version: int) -> bool:
        """Replace the user's document if it has this version, and return whether it had."""
        result = await self._users.replace_one(_at(document, version), document)
        return bool(result.matched_count)

    async def write_many(self, writes: Sequence[tuple[Document, int | None]]) -> list[bool | Exception]:
        """Insert documents (version None), and replace those that have the version; say of each whether it was done.

        No two may be of one user. A replacement is sent as an upsert. That finds the user with the version, or fails
        to insert another one with the same id, which the answer tells of each; of plain replacements it would tell no
        more than how many there were. In place of False is the error if it is another one.
        """
        operations = [
            InsertOne(document) if version is None else ReplaceOne(_at(document, version), document, upsert=True)
            for document, version in writes
        ]
        done: list[bool | Exception] = [True] * len(writes)
        try:
            outcome = (await self._users.bulk_write(operations, ordered=False)).bulk_api_result
        except BulkWriteError as error:
            outcome = dict(error.details or {})
            failures = outcome.get("writeErrors", [])
            if not failures or outcome.get("writeConcernErrors"):
                raise
            for failure in failures:
                refused = OperationFailure("", failure["code"], failure)
                done[failure["index"]] = False if _is_taken(failure) else refused
        for upserted in outcome.get("upserted", []):
            # The user was deleted by another program after it was read, and is not to come back.
            index = upserted["index"]
            await self._users.delete_one(_at(writes[index][0], writes[index][0]["version"]))
            done[index] = False
        return done

    async def delete(self, collection: str, query: Document) -> None:
        """Delete one document that matches, if there is one."""
        await self._database[collection].delete_one(query)

    async def command(self, name: str) -> Document:
        """Return the server's answer to a command without arguments."""
        answer: Document = await self._database.command(name)
        return answer

    async def indexes(self, collection: str) -> dict[str, Document]:
        """Return a collection's indexes by their names; none if there is no such collection."""
        return dict(await self._database[collection].index_information())

    async def collection_options(self, collection: str) -> Document:
        """Return what a collection was made with; nothing if there is no such collection."""
        options: Document = await self._database[collection].options()
        return options

    async def watch(self, pipeline: list[Document], **options: Any) -> Stream:
        """Return a stream of the users' changes."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError


class MotorDriver(Driver):
    """Motor: PyMongo's blocking client on a pool of threads."""

    # One thread is left for a change stream, which keeps it busy.
    most_commands = max(1, motor_asyncio.max_workers - 1)

    def __init__(self, url: MongoURL) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = AsyncIOMotorClient(url.url, io_loop=self._loop, **_options(url))
        super().__init__(url)

    async def _find(self, query: Document, batch_size: int) -> list[Document]:
        # One visit to a thread: Motor's cursors make one for each step of theirs, with more around it.
        users: Collection[Document] = self._users.delegate

        def work() -> list[Document]:
            return users.find(query, batch_size=batch_size).to_list()

        run: Callable[..., Awaitable[list[Document]]] = motor_asyncio.run_on_executor
        return await run(self._loop, work)

    async def watch(self, pipeline: list[Document], **options: Any) -> Stream:
        """Return a stream; Motor opens it when it is asked for a change."""
        stream: Stream = self._users.watch(pipeline, **options)
        return stream

    async def close(self) -> None:
        """Close all connections."""
        # It ends the sessions first, which takes a round trip or, where nobody answers, a time-out.
        await asyncio.to_thread(self._client.close)


class PyMongoDriver(Driver):
    """PyMongo's own async client."""

    most_commands = _POOL_SIZE

    def __init__(self, url: MongoURL) -> None:
        self._client = AsyncMongoClient(url.url, **_options(url))
        super().__init__(url)

    async def watch(self, pipeline: list[Document], **options: Any) -> Stream:
        """Open a stream and return it."""
        stream: Stream = await self._users.watch(pipeline, **options)
        return stream

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


DRIVERS: Final[dict[DriverName, type[MotorDriver | PyMongoDriver]]] = {"motor": MotorDriver, "pymongo": PyMongoDriver}


def _is_taken(failure: Mapping[str, Any]) -> bool:
    """Whether a write of a group failed because there is a user with its id."""
    return failure["code"] == DUPLICATE_KEY and is_own_id_taken(failure)


def _at(document: Document, version: int) -> Document:
    """Return the query for the document's user, if it has this version."""
    return {"_id": document["_id"], "version": version}


def _options(url: MongoURL) -> dict[str, Any]:
    """Return what the drivers would otherwise wait too long for, or for ever, except where the URL says it."""
    milliseconds = int(url.seconds * 1000)
    defaults = {
        "appName": "userline",
        "timeoutMS": milliseconds,
        "serverSelectionTimeoutMS": milliseconds,
        "connectTimeoutMS": milliseconds,
        "socketTimeoutMS": milliseconds,
        "waitQueueTimeoutMS": milliseconds,
        "heartbeatFrequencyMS": _HEARTBEAT_MILLISECONDS,
        "maxPoolSize": _POOL_SIZE,
    }
    options: dict[str, Any] = {name: value for name, value in defaults.items() if name.lower() not in url.options}
    return {**options, "event_listeners": [AttemptsListener()]}
