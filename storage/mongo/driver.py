"""One interface for two drivers: Motor, and PyMongo's asynchronous client, its successor.

Their collections have the same methods. They differ in how they are made and closed, in how a change stream is
opened, and in this: Motor runs each command on one of a few threads, which it shares among all clients of the process.
A command beyond that number waits in the queue of the thread pool, where neither a time-out nor a cancellation reaches
it; so no more than ``most_commands`` may be under way. Nor more than there are connections: a driver's pool has whoever
comes take one that is free before whoever waits for one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidBSON
from motor.frameworks import asyncio as motor_asyncio
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, InsertOne, ReadPreference, ReplaceOne, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.read_concern import ReadConcern

from userline.storage.mongo import write_ids
from userline.storage.mongo.client_options import client_options
from userline.storage.mongo.distance import NEAR
from userline.storage.mongo.failures import failed_writes, is_own_id_taken, is_taken, refusal
from userline.storage.mongo.pool import TidyPool
from userline.storage.mongo.tries import delete_one
from userline.storage.protocol import MAX_BATCH
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pymongo.collection import Collection

    from userline.storage.mongo.cursors import Cursor, Stream
    from userline.storage.mongo.distance import Sizes
    from userline.storage.mongo.documents import Document
    from userline.storage.mongo.url import MongoURL

DriverName: TypeAlias = Literal["motor", "pymongo"]

USERS: Final = "users"

# Other programs may write times that Python's datetime does not reach.
_CODEC: Final[CodecOptions[Document]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)

_IDS_A_BATCH: Final = 100


class Driver:
    """The commands that the store uses. Every command may raise PyMongoError."""

    most_commands: int

    _client: Any

    def __init__(self, url: MongoURL, sizes: Sizes) -> None:
        # A change stream keeps one connection, and one of Motor's threads, busy.
        self.most_commands = max(1, (url.most_connections or sizes.pool) - 1)
        self._database = self._client.get_database(
            url.database,
            codec_options=_CODEC,
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._users = self._database[USERS]

    @property
    def round_trip(self) -> float:
        """How many seconds the nearest server that may be written is away, there and back; 0 if that is not known.

        It is the least of the last heartbeats, which hardly wait for what the server has to do.
        """
        servers = self._client.topology_description.server_descriptions().values()
        seen = (server.min_round_trip_time or server.round_trip_time for server in servers if server.is_writable)
        return min(filter(None, seen), default=0.0)

    async def ping(self) -> None:
        """Return if the primary answers."""
        await self._database.command("ping")

    async def find(self, ids: Sequence[str]) -> list[Document]:
        """Return the documents with these ids, of which none is there twice, in any order; by one command.

        Of one that is no BSON that can be read, such as a text that is not UTF-8, there is no more than the id.
        """
        try:
            return await self._find({"_id": {"$in": ids}}, len(ids) + 1)
        except InvalidBSON:
            if len(ids) == 1:
                return [{"_id": ids[0]}]
            middle = len(ids) // 2
            return await self.find(ids[:middle]) + await self.find(ids[middle:])

    async def _find(self, query: Document, batch_size: int, fields: Document | None = None) -> list[Document]:
        documents: list[Document] = await self._users.find(query, fields, batch_size=batch_size).to_list(None)
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

    def find_ids(self, direction: int) -> Cursor:
        """Return a cursor of all ids in MongoDB's order (1) or from its end (-1): strings stand between other kinds."""
        cursor: Cursor = self._users.find({}, {"_id": 1}, sort=[("_id", direction)], batch_size=_IDS_A_BATCH)
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
            failed = failed_writes(error)
            if not all(map(is_taken, failed)):
                raise
            return {failure["index"] for failure in failed}
        return set()

    async def count(self, collection: str) -> int:
        """Return about how many documents a collection has."""
        count: int = await self._database[collection].estimated_document_count()
        return count

    async def replace(self, guard: Document, document: Document) -> bool:
        """Replace the document that ``guard`` finds, and return whether it found one."""
        result = await self._users.replace_one(guard, document)
        return bool(result.matched_count)

    async def write_many(self, writes: Sequence[tuple[Document | None, Document]]) -> list[bool | Exception]:
        """Insert documents (guard None), and replace those that their guards find; say of each whether it was done.

        No two may be of one user, and each has its ``write_ids``. In place of False is the error if it is another one,
        or StoreUnavailable if nobody can tell.
        """
        operations = [
            InsertOne(document) if guard is None else ReplaceOne(guard, document) for guard, document in writes
        ]
        done: list[bool | Exception] = [True] * len(writes)
        try:
            outcome = (await self._users.bulk_write(operations, ordered=False)).bulk_api_result
        except BulkWriteError as error:
            outcome = dict(error.details or {})
            for failure in failed_writes(error):
                done[failure["index"]] = False if is_taken(failure) else refusal(failure)
        replaced = {index for index, (guard, _) in enumerate(writes) if guard is not None and done[index] is True}
        if replaced and outcome["nMatched"] < len(replaced):
            held = await self._held([writes[index][1] for index in replaced])
            # Of those whose write is nowhere to be seen, none has held if the others are as many as have. If not, a
            # user was written and is gone again already.
            unseen = False if len(held) >= outcome["nMatched"] else StoreUnavailable()
            done = [
                unseen if index in replaced and document["_id"] not in held else done[index]
                for index, (_, document) in enumerate(writes)
            ]
        return done

    async def _held(self, documents: Sequence[Document]) -> set[str]:
        """Return the ids of the users whose documents have seen the writes that these documents are."""
        written = {document["_id"]: document[write_ids.FIELD] for document in documents}
        found = await self._find({"_id": {"$in": list(written)}}, len(written) + 1, {write_ids.FIELD: 1})
        return {
            document["_id"]
            for document in found
            if write_ids.has_seen(str(document.get(write_ids.FIELD)), written[document["_id"]])
        }

    async def mark(self, marks: Mapping[str, str]) -> dict[str, Exception]:
        """Give users' documents the write ids that ``marks`` has for them, if they have none; return what refused it.

        Each is marked or not by itself.
        """
        operations = [
            UpdateOne({"_id": user_id, write_ids.FIELD: None}, {"$set": {write_ids.FIELD: mark}})
            for user_id, mark in marks.items()
        ]
        try:
            await self._users.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            users = list(marks)
            return {users[failure["index"]]: refusal(failure) for failure in failed_writes(error)}
        return {}

    async def delete(self, collection: str, query: Document) -> bool | None:
        """Delete one document that matches, and say whether there was one (``tries.delete_one``)."""
        return await delete_one(self._database[collection], query)

    async def delete_many(self, collection: str, query: Document) -> None:
        """Delete all documents that match."""
        await self._database[collection].delete_many(query)

    async def find_in(self, collection: str, ids: Sequence[Any]) -> list[Document]:
        """Return the documents of another collection with these ids, in any order."""
        cursor = self._database[collection].find({"_id": {"$in": ids}}, batch_size=len(ids) + 1)
        return list(await cursor.to_list(None))

    async def upsert(self, collection: str, document_id: Any, update: Document) -> Document | None:
        """Update the document with this id, or make it; return what it was before."""
        do: Callable[..., Awaitable[Document | None]] = self._database[collection].find_one_and_update
        try:
            return await do({"_id": document_id}, update, upsert=True)
        except DuplicateKeyError as error:
            if not is_own_id_taken(error.details or {}):
                raise
        return await do({"_id": document_id}, update)  # somebody else has made it at the same time

    async def command(self, name: str) -> Document:
        """Return the server's answer to a command without arguments."""
        answer: Document = await self._database.command(name)
        return answer

    async def indexes(self, collection: str) -> dict[str, Document]:
        """Return a collection's indexes by their names; none if there is no such collection."""
        return dict(await self._database[collection].index_information())

    async def collection_options(self, collection: str) -> Document:
        """Return what a collection was made with; nothing if there is no such collection."""
        return dict(await self._database[collection].options())

    async def watch(self, pipeline: list[Document], **options: Any) -> Stream:
        """Return a stream of the users' changes."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError


class MotorDriver(Driver):
    """Motor: PyMongo's blocking client on a pool of threads."""

    def __init__(self, url: MongoURL, sizes: Sizes = NEAR) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = AsyncIOMotorClient(url.url, io_loop=self._loop, **client_options(url, sizes))
        super().__init__(url, sizes)
        self.most_commands = max(1, min(self.most_commands, motor_asyncio.max_workers - 1))

    async def _find(self, query: Document, batch_size: int, fields: Document | None = None) -> list[Document]:
        # One visit to a thread: Motor's cursors make one for each step of theirs, with more around it.
        users: Collection[Document] = self._users.delegate

        def work() -> list[Document]:
            return users.find(query, fields, batch_size=batch_size).to_list()

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

    def __init__(self, url: MongoURL, sizes: Sizes = NEAR) -> None:
        self._client = AsyncMongoClient(url.url, _pool_class=TidyPool, **client_options(url, sizes))
        super().__init__(url, sizes)

    async def watch(self, pipeline: list[Document], **options: Any) -> Stream:
        """Open a stream and return it."""
        stream: Stream = await self._users.watch(pipeline, **options)
        return stream

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


DRIVERS: Final[dict[DriverName, type[MotorDriver | PyMongoDriver]]] = {"motor": MotorDriver, "pymongo": PyMongoDriver}
