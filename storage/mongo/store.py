"""The user store on MongoDB."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from userline.storage.batch_scheduler import FEWEST_BATCHES
from userline.storage.mongo.change_stream import ChangeFollower
from userline.storage.mongo.connection import FAILURES, GRACE_SECONDS, Connection
from userline.storage.mongo.driver import DRIVERS, USERS, Driver, DriverName
from userline.storage.mongo.examination import examine_deployment
from userline.storage.mongo.failures import failure
from userline.storage.mongo.opening import measure, open_connection
from userline.storage.mongo.replacing import How, put_records
from userline.storage.mongo.url import parse_mongo_url
from userline.storage.mongo.walking import readable, walk_users
from userline.storage.mongo.writing import Writing
from userline.storage.protocol import MAX_BATCH, MAX_WRITES, WriteResult, check_puts, sift
from userline.users.errors import BadUserInput, BatchRefused, StoreUnavailable
from userline.users.patch import apply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence

    from userline.storage.mongo.distance import Distance
    from userline.storage.mongo.documents import Document
    from userline.storage.mongo.examination import DeploymentFacts
    from userline.storage.protocol import DeleteResult, Unreadable
    from userline.users.condition import Condition
    from userline.users.patch import UserPatch
    from userline.users.record import Change, UserRecord, UserSnapshot
    from userline.users.replacement import Put
    from userline.users.rules import Rules

logger = logging.getLogger("userline.storage")

LARGEST_RECORD_BYTES: Final = 4 * 1024 * 1024
"""MongoDB keeps documents of up to 16 MiB, and encoded keys are up to three times as long as what they stand for."""

_EXAMINATION_CALLS: Final = 5

_CHECK: Final = "Start it, or correct the URL of the user store."


def _now() -> int:
    return time.time_ns() // 1_000_000


class MongoUserStore:
    """A :class:`~userline.storage.protocol.UserStore` in MongoDB, which any number of gateways may share.

    A write reads the user, does in memory what ``apply`` says, and replaces the whole document if nobody has written it
    since, atomically. If another gateway was faster, it starts again. Writes of one user that come in
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
        self._rules = _checked(rules)
        self._clock = clock
        self._writing = Writing(self._connected, rules, clock)
        self._connection: Connection | None = None
        self._is_open = False
        self._followers: list[ChangeFollower] = []

    def hold_to(self, rules: Rules) -> None:
        """Hold users to these rules from the next write on. Raises ValueError."""
        self._rules = _checked(rules)
        self._writing.hold_to(rules)

    async def open(self, *, create: bool = True) -> None:
        """Check that the database answers, can be written and is in our format, and mark it if it is new.

        Raises StoreUnavailable or StoreFormatError, which say what to do. Without ``create`` nothing is written: raises
        StoreMissing if there is no user in a database that is new.
        """
        if self._is_open:
            return
        try:
            opened = await open_connection(self.driver, self.url, create=create)
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
        await asyncio.gather(self._writing.finish(), *(follower.stop() for follower in followers))
        await self._connection.close()

    async def ping(self) -> None:
        """Return if the primary answers; raises StoreUnavailable if it does not."""
        connection = self._opened()
        await connection.run(lambda driver: driver.ping(), connection.deadline)

    @property
    def most_reads(self) -> int:
        """How many reads are worth having under way, by the distance of the servers."""
        return self._connection.most_batches if self._connection is not None else FEWEST_BATCHES

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

    async def walk(
        self, *, after: str | None, on_unreadable: Callable[[Unreadable], None] | None = None
    ) -> AsyncGenerator[list[UserRecord], None]:
        """Yield all users whose ids come after ``after`` in order of id, in lists of up to ``MAX_BATCH``."""
        async with aclosing(walk_users(self._opened(), after or "", on_unreadable)) as pages:
            async for page in pages:
                yield page

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
        connection = self._opened()
        with connection.outages():
            async with asyncio.timeout_at(connection.deadline + GRACE_SECONDS):
                read = await self._writing.read_many(list(patches), connection.deadline)
        found = dict(zip(patches, read, strict=True))
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

    async def delete(self, user_id: str, condition: Condition | None = None) -> DeleteResult:
        """Delete the user, or a document in its place that cannot be read as one."""
        connection = self._opened()
        with connection.outages():
            async with asyncio.timeout_at(connection.deadline + GRACE_SECONDS):
                return await self._writing.delete(user_id, condition)

    async def deletions(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the version of the last deletion of each of these ids, without those of which none is known."""
        if len(ids) > MAX_BATCH:
            raise ValueError(f"deletions takes at most {MAX_BATCH} ids, not {len(ids)}.")
        return await self._writing.deletions.versions(ids, self._opened().deadline)

    async def put_many(self, records: Sequence[UserRecord], *, overwrite: bool, restore: bool = False) -> list[Put]:
        """Write whole records, each as ``put`` says; return what was done, in the same order."""
        check_puts(records)
        how = How(now=self._clock(), overwrite=overwrite, restore=restore)
        return await put_records(self._opened(), self._writing.deletions, records, how)

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

    def hear(self, change: Change) -> None:
        """Take note of a change that somebody tells of, so that no write is guessed from what was before it."""
        self._writing.guesses.hear(change)

    async def examine(self) -> DeploymentFacts:
        """Return what the deployment tells of itself. Raises StoreUnavailable, also if nothing can be written.

        Where the store is not open, because there is none yet, nothing is written.
        """
        async with self._any_connection() as connection:
            # These are many commands one after the other, which may have a long way.
            deadline = connection.deadline + _EXAMINATION_CALLS * self.url.seconds
            return await connection.run(partial(examine_deployment, probe=self._is_open), deadline)

    async def measure(self) -> Distance:
        """Return how far away the servers are. Raises StoreUnavailable."""
        async with self._any_connection() as connection:
            return await measure(connection)

    @asynccontextmanager
    async def _any_connection(self) -> AsyncIterator[Connection]:
        """Give the connection, or one for this purpose where the store is not open."""
        if self._is_open:
            yield self._opened()
            return
        connection = Connection(DRIVERS[self.driver](self.url), self.url)
        try:
            yield connection
        finally:
            await connection.close()

    def _opened(self) -> Connection:
        if self._connection is None or not self._is_open:
            raise StoreUnavailable("The user store is not open.")
        return self._connection

    async def _write(self, user_id: str, patch: UserPatch, *, leave_existing: bool) -> WriteResult:
        connection = self._opened()
        with connection.outages():
            async with asyncio.timeout_at(connection.deadline + GRACE_SECONDS):
                return await self._writing.write(user_id, patch, leave_existing=leave_existing)

    def _connected(self) -> Connection:
        """Return the connection for what was asked for while the store was open."""
        assert self._connection is not None  # noqa: S101 - there are no writes before it is there
        return self._connection


def _users(documents: Iterable[Document]) -> list[UserRecord]:
    """Return the users that the documents keep, and log those that are none."""
    return sift(map(readable, documents), None)


def _checked(rules: Rules) -> Rules:
    if rules.limits.record_bytes > LARGEST_RECORD_BYTES:
        raise ValueError(f"In MongoDB, a user cannot be allowed more than {LARGEST_RECORD_BYTES} bytes.")
    return rules
