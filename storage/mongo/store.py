"""The user store on MongoDB."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from userline.storage.mongo.attempts import counted_attempts, done_before
from userline.storage.mongo.change_stream import ChangeFollower
from userline.storage.mongo.collection import check_collection
from userline.storage.mongo.connection import FAILURES, GRACE_SECONDS, Connection
from userline.storage.mongo.documents import DocumentError, decode_user, encode_user
from userline.storage.mongo.driver import DRIVERS, USERS, Driver, DriverName
from userline.storage.mongo.examination import examine_deployment
from userline.storage.mongo.failures import failure
from userline.storage.mongo.format import check_format
from userline.storage.mongo.groups import Groups
from userline.storage.mongo.lines import Lines, Write
from userline.storage.mongo.puts import put_records
from userline.storage.mongo.url import parse_mongo_url
from userline.storage.protocol import MAX_BATCH, MAX_WRITES, StoreFormatError, WriteResult, check_puts
from userline.users.errors import BadUserInput, BatchRefused, StoreUnavailable
from userline.users.patch import apply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from userline.storage.mongo.documents import Document
    from userline.storage.mongo.examination import DeploymentFacts
    from userline.users.patch import UserPatch
    from userline.users.record import UserRecord, UserSnapshot
    from userline.users.replacement import Put
    from userline.users.rules import Rules

_Put: TypeAlias = "tuple[UserRecord | None, UserRecord]"
"""What a user was, and what it becomes."""

logger = logging.getLogger("userline.storage")

LARGEST_RECORD_BYTES: Final = 4 * 1024 * 1024
"""MongoDB keeps documents of up to 16 MiB, and encoded keys are up to three times as long as what they stand for."""

_PUTS_A_COMMAND: Final = 64
_BYTES_A_COMMAND: Final = 16 * 1024 * 1024

_FIRST_PAUSE_SECONDS: Final = 0.002
_LONGEST_PAUSE_SECONDS: Final = 0.1

_CHECK: Final = "Start it, or correct the URL of the user store."


def _now() -> int:
    return time.time_ns() // 1_000_000


class MongoUserStore:
    """A :class:`~userline.storage.protocol.UserStore` in MongoDB, which any number of gateways may share.

    A write reads the user, does in memory what ``apply`` says, and replaces the whole document if it still has the
    version that was read, atomically. If another gateway was faster, it starts again. Writes of one user that come in
    while one is under way are done together by the next one. Users who are written at the same time are read by one
    command and written by another.

    Every call is answered by the deadline, 1.5 s unless the URL has ``timeoutMS``, or at most a quarter of a second
    later; a write that waited in line for another may take as long again to fail in the background. Before ``open`` and
    after ``close``, calls raise StoreUnavailable; a closed store can be opened again.

    ``clock`` gives the time in Unix milliseconds.
    """

    def __init__(self, url: str, rules: Rules, driver: DriverName = "motor", clock: Callable[[], int] = _now) -> None:
        self.url = parse_mongo_url(url)
        self.driver = driver
        if rules.limits.record_bytes > LARGEST_RECORD_BYTES:
            raise ValueError(f"In MongoDB, a user cannot be allowed more than {LARGEST_RECORD_BYTES} bytes.")
        self._rules = rules
        self._clock = clock
        self._lines = Lines(self._write_together)
        self._reads = Groups(self._read_group, MAX_BATCH)
        most = min(_PUTS_A_COMMAND, _BYTES_A_COMMAND // rules.limits.record_bytes)
        self._puts = Groups(self._put_group, max(1, most))
        self._connection: Connection | None = None
        self._is_open = False
        self._followers: list[ChangeFollower] = []

    async def open(self) -> None:
        """Check that the database answers, can be written and is in our format, and mark it if it is new.

        Raises StoreUnavailable or StoreFormatError, which say what to do.
        """
        if self._is_open:
            return
        try:
            opened = Connection(DRIVERS[self.driver](self.url), self.url)
            try:
                await opened.ask(lambda driver: check_collection(driver, self.url.database), opened.deadline)
                await opened.ask(lambda driver: check_format(driver, self.url.database), opened.deadline)
            except BaseException:
                await opened.close()
                raise
        except FAILURES as error:
            what = failure(error)
            raise StoreUnavailable(
                f"MongoDB at {self.url.hosts} cannot be used for users: {what.text}. {what.advice or _CHECK}"
            ) from None
        self._connection = opened
        self._is_open = True

    async def close(self) -> None:
        """Finish the calls under way, stop the followers, and close all connections."""
        if not self._is_open or self._connection is None:
            return
        self._is_open = False
        followers, self._followers = self._followers, []
        await asyncio.gather(self._lines.finish(), *(follower.stop() for follower in followers))
        await self._connection.close()

    async def ping(self) -> None:
        """Return if the primary answers; raises StoreUnavailable if it does not."""
        connection = self._opened()
        await connection.run(lambda driver: driver.ping(), connection.deadline)

    async def get_many(self, ids: Sequence[str]) -> list[UserRecord | None]:
        """Return the users with these ids, in the order of ``ids`` and as many, None for the missing.

        A document that is not a user, because another program wrote it, counts as missing and is logged.
        """
        if len(ids) > MAX_BATCH:
            raise ValueError(f"get_many takes at most {MAX_BATCH} ids, not {len(ids)}.")
        connection = self._opened()
        if not ids:
            return []
        wanted = list(dict.fromkeys(ids))
        documents = await connection.run(lambda driver: driver.find(wanted), connection.deadline)
        found = {record.snapshot.id: record for record in _users(documents)}
        return [found.get(user_id) for user_id in ids]

    async def list_users(self, *, limit: int, after: str | None) -> list[UserRecord]:
        """Return the first ``limit`` users whose ids come after ``after`` (None: from the start), in order of id."""
        if not 1 <= limit <= MAX_BATCH:
            raise ValueError(f"list_users returns 1 to {MAX_BATCH} users, not {limit}.")
        connection = self._opened()
        deadline = connection.deadline
        found: list[UserRecord] = []
        last = after or ""
        while missing := limit - len(found):
            documents = await connection.run(partial(Driver.find_after, after=last, limit=missing), deadline)
            found += _users(documents)
            if len(documents) < missing:
                break
            last = documents[-1]["_id"]
        return found

    async def walk(self, *, after: str | None) -> AsyncGenerator[list[UserRecord], None]:
        """Yield all users whose ids come after ``after`` in order of id, in lists of up to ``MAX_BATCH``."""
        connection = self._opened()
        cursor = connection.driver.find_all(after=after or "")

        async def read(_: Driver) -> list[Document]:
            documents: list[Document] = await cursor.to_list(MAX_BATCH)
            return documents

        try:
            while documents := await connection.run(read, connection.deadline):
                yield _users(documents)
        finally:
            with suppress(*FAILURES):
                await cursor.close()

    async def create_if_not_exists(self, user_id: str, patch: UserPatch) -> WriteResult:
        """Create the user from ``patch``, which has a name, or leave the user who exists as it is."""
        return await self._write(user_id, patch, leave_existing=True)

    async def patch(self, user_id: str, patch: UserPatch) -> WriteResult:
        """Patch the user, creating it if it does not exist. Raises NameRequired and BadUserInput as ``apply`` does."""
        return await self._write(user_id, patch, leave_existing=False)

    async def patch_many(self, patches: Mapping[str, UserPatch]) -> dict[str, WriteResult]:
        """Patch several users, all or none as far as that goes without a transaction (docs/mongodb.md).

        All are checked against what is read first, and nothing is written if one is refused. Then each is written as
        ``patch`` does. Raises BatchRefused, or StoreUnavailable if some could not be written.
        """
        if len(patches) > MAX_WRITES:
            raise ValueError(f"patch_many takes at most {MAX_WRITES} users, not {len(patches)}.")
        found = dict(zip(patches, await self.get_many(list(patches)), strict=True))
        refused: dict[str, BadUserInput] = {}
        for user_id, patch in patches.items():
            try:
                apply(patch, found[user_id], user_id=user_id, now=self._clock(), rules=self._rules)
            except BadUserInput as error:
                refused[user_id] = error
        if refused:
            raise BatchRefused(refused)
        outcomes = await asyncio.gather(*(self.patch(*item) for item in patches.items()), return_exceptions=True)
        results: dict[str, WriteResult] = {}
        for user_id, outcome in zip(patches, outcomes, strict=True):
            if isinstance(outcome, BadUserInput):
                refused[user_id] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                results[user_id] = outcome
        if refused:
            raise BatchRefused(refused)
        return results

    async def put_many(self, records: Sequence[UserRecord], *, overwrite: bool) -> list[Put]:
        """Write whole records as they are; return what was done, in the same order."""
        check_puts(records)
        return await put_records(self._opened(), records, overwrite=overwrite)

    async def count_users(self) -> int:
        """Return how many users there are, as MongoDB's statistics say."""
        connection = self._opened()
        return await connection.run(lambda driver: driver.count(USERS), connection.deadline)

    def follow(
        self,
        on_change: Callable[[UserSnapshot], None],
        on_delete: Callable[[str], None],
        on_gap: Callable[[], None],
    ) -> ChangeFollower:
        """Follow the changes that anybody makes in the database; returns what stops it, as closing the store does.

        All three are called as :class:`ChangeFollower` says. MongoDB must be a replica set or a
        sharded cluster. Raises StoreUnavailable if the store is not open.
        """
        follower = ChangeFollower(self._opened().driver.watch, on_change, on_delete, on_gap, seconds=self.url.seconds)
        self._followers.append(follower)
        follower.start()
        return follower

    async def examine(self) -> DeploymentFacts:
        """Return what the deployment tells of itself. Raises StoreUnavailable, also if nothing can be written."""
        connection = self._opened()
        return await connection.run(examine_deployment, connection.deadline)

    def _opened(self) -> Connection:
        if self._connection is None or not self._is_open:
            raise StoreUnavailable("The user store is not open.")
        return self._connection

    async def _write(self, user_id: str, patch: UserPatch, *, leave_existing: bool) -> WriteResult:
        connection = self._opened()
        with connection.outages():
            async with asyncio.timeout_at(connection.deadline + GRACE_SECONDS):
                return await self._lines.join(user_id, patch, leave_existing=leave_existing)

    async def _write_together(
        self, user_id: str, writes: Sequence[Write], known: UserRecord | None
    ) -> UserRecord | None:
        """Do the writes one after the other in memory and all of them by one command; return what the user is then.

        ``known`` is what the user was a moment ago, if that is known.
        """
        deadline = self._connected().deadline
        pause = _FIRST_PAUSE_SECONDS
        while True:
            before = known or await self._reads.ask(user_id, deadline)
            outcomes, after = self._outcomes(user_id, writes, before)
            if after is None or after is before or await self._puts.ask((before, after), deadline):
                break
            # Somebody else has written the user since it was read.
            known = None
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        for write, outcome in zip(writes, outcomes, strict=True):
            if write.future.done():
                continue
            if isinstance(outcome, Exception):
                write.future.set_exception(outcome)
            else:
                write.future.set_result(outcome)
        return after

    async def _read_group(self, ids: Sequence[str], deadline: float) -> list[UserRecord | Exception | None]:
        """Read users who are to be written."""
        documents = await self._connected().run(lambda driver: driver.find(ids), deadline)
        found: dict[str, UserRecord | Exception] = {}
        for document in documents:
            try:
                found[document["_id"]] = decode_user(document)
            except DocumentError as error:
                found[document["_id"]] = StoreFormatError(f"{error} Correct the document, or delete it.")
        return [found.get(user_id) for user_id in ids]

    async def _put_group(self, puts: Sequence[_Put], deadline: float) -> list[bool | Exception]:
        """Write each ``after`` if the user is still as ``before``, and return whether it was."""
        connection = self._connected()
        writes = [(encode_user(after), before.snapshot.version if before else None) for before, after in puts]
        with counted_attempts() as attempts:
            done = await self._send(connection, writes, deadline)
        if attempts.count > 1:
            done = await done_before(connection, [document for document, _ in writes], done, deadline)
        return [connection.failure(each) if isinstance(each, Exception) else each for each in done]

    async def _send(
        self, connection: Connection, writes: Sequence[tuple[Document, int | None]], deadline: float
    ) -> list[bool | Exception]:
        if len(writes) > 1:
            return await connection.run(lambda driver: driver.write_many(writes), deadline)
        ((document, version),) = writes
        if version is None:
            return [await connection.run(lambda driver: driver.insert(USERS, document), deadline)]
        return [await connection.run(lambda driver: driver.replace(document, version), deadline)]

    def _connected(self) -> Connection:
        """Return the connection for what was asked for while the store was open."""
        assert self._connection is not None  # noqa: S101 - there are no writes before it is there
        return self._connection

    def _outcomes(
        self, user_id: str, writes: Sequence[Write], current: UserRecord | None
    ) -> tuple[list[WriteResult | Exception], UserRecord | None]:
        """Return what comes of each write, and what they leave behind; one that ``apply`` refuses fails alone."""
        outcomes: list[WriteResult | Exception] = []
        for write in writes:
            if current is not None and write.leave_existing:
                outcomes.append(WriteResult(current, current))
                continue
            try:
                after = apply(write.patch, current, user_id=user_id, now=self._clock(), rules=self._rules)
            except Exception as error:  # noqa: BLE001 - raised where the write is awaited
                outcomes.append(error)
            else:
                outcomes.append(WriteResult(current, after))
                current = after
        return outcomes, current


def _users(documents: Iterable[Document]) -> list[UserRecord]:
    """Return the users that the documents keep, and log those that are none."""
    found = []
    for document in documents:
        try:
            found.append(decode_user(document))
        except DocumentError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says all
    return found
