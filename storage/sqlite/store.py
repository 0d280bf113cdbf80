"""The user store on SQLite."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from userline.storage.batch_scheduler import FEWEST_BATCHES
from userline.storage.files import PRIVATE
from userline.storage.protocol import MAX_BATCH, MAX_WRITES, check_puts, sift
from userline.storage.sqlite.database import FORMAT, open_existing, open_reader, open_writer
from userline.storage.sqlite.deletions import empty_log
from userline.storage.sqlite.file import set_mode
from userline.storage.sqlite.guard import Guard
from userline.storage.sqlite.reads import Count, DeletionsOf, Page, Step, read
from userline.storage.sqlite.worker import Worker
from userline.storage.sqlite.writes import Delete, Puts, TransactionUsers, Write
from userline.users.errors import BatchRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from userline.storage.protocol import DeleteResult, Unreadable, WriteResult
    from userline.storage.sqlite.reads import Answer, Found, Read
    from userline.storage.sqlite.trouble import Trouble
    from userline.storage.sqlite.writes import Asked, Outcome, Written
    from userline.users.condition import Condition
    from userline.users.patch import UserPatch
    from userline.users.record import UserRecord
    from userline.users.replacement import Put
    from userline.users.rules import Rules

MOST_WRITES_A_COMMIT: Final = 512
MOST_READS_A_GROUP: Final = 16

PATIENCE_SECONDS: Final = 10.0
"""How long a caller waits before the store counts as unavailable: the lock's five seconds, and a group ahead."""


def _now() -> int:
    return time.time_ns() // 1_000_000


class SQLiteUserStore:
    """A :class:`~userline.storage.protocol.UserStore` in one SQLite file, which several processes may share.

    The event loop never waits for the disk. One thread writes: whatever calls have come in while it was busy become one
    transaction with one COMMIT, and their callers hear of it after that. Another thread reads, and never waits for a
    write (WAL). Before ``open`` and after ``close``, calls raise StoreUnavailable; a closed store can be opened again.

    While the files are not the ones at the path any more, or cannot be used, calls raise StoreUnavailable, and no write
    is acknowledged. The log has the reason once; each call tries again, so that it goes on by itself.

    ``clock`` gives the time in Unix milliseconds; it is called on the writing thread. ``mode`` says who may use the
    files.
    """

    def __init__(self, path: str | Path, rules: Rules, clock: Callable[[], int] = _now, mode: int = PRIVATE) -> None:
        self.path = Path(path).absolute()
        self.mode = mode
        self._rules = rules
        self._clock = clock
        self._guard = Guard(self.path)
        self._writer: Worker[Asked, Any] | None = None
        self._reader: Worker[Read, Any] | None = None
        self._is_open = False

    def hold_to(self, rules: Rules) -> None:
        """Hold users to these rules from the next write on."""
        self._rules = rules

    async def open(self, *, create: bool = True) -> None:
        """Open the file, creating or upgrading it, for its owner alone.

        Raises StoreUnavailable or StoreFormatError, which name the path. Without ``create`` raises StoreMissing if
        there is no file with users in it, and leaves the modes of files as they are.
        """
        if self._is_open:
            return
        writer = Worker(
            "userline-write",
            partial(self._connect, create=create),
            self._write,
            most=MOST_WRITES_A_COMMIT,
            weight=lambda write: len(write.ids),
        )
        await writer.start()
        reader = Worker("userline-read", partial(open_reader, self.path), self._read, most=MOST_READS_A_GROUP)
        try:
            await reader.start()
        except BaseException:
            await writer.stop()
            raise
        self._writer, self._reader = writer, reader
        self._is_open = True

    async def close(self) -> None:
        """Finish the calls under way, and close the file; the last process to do so folds the log into it."""
        self._is_open = False
        for worker in (self._reader, self._writer):
            if worker is not None:
                await worker.stop()

    async def ping(self) -> None:
        """Return if a read is answered and users can be written; raises StoreUnavailable if not."""
        await self._ask_reader(())
        await self._ask_writer(Write({}))

    @property
    def most_reads(self) -> int:
        """One is read while the next waits for it."""
        return FEWEST_BATCHES

    async def get_many(self, ids: Sequence[str]) -> list[UserRecord | None]:
        """Return the users with these ids, in the order of ``ids`` and as many, None for the missing."""
        if len(ids) > MAX_BATCH:
            raise ValueError(f"get_many takes at most {MAX_BATCH} ids, not {len(ids)}.")
        found: Found = await self._ask_reader(ids)
        return [found.get(user_id) for user_id in ids]

    async def create_if_not_exists(self, user_id: str, patch: UserPatch) -> WriteResult:
        """Create the user from ``patch``, which has a name, or leave the user who exists as it is."""
        return await self._write_one(user_id, patch, leave_existing=True)

    async def patch(self, user_id: str, patch: UserPatch) -> WriteResult:
        """Patch the user, creating it if it does not exist. Raises NameRequired and BadUserInput as ``apply`` does."""
        return await self._write_one(user_id, patch)

    async def patch_many(self, patches: Mapping[str, UserPatch]) -> dict[str, WriteResult]:
        """Patch several users in one transaction, all or none. Raises BatchRefused."""
        if len(patches) > MAX_WRITES:
            raise ValueError(f"patch_many takes at most {MAX_WRITES} users, not {len(patches)}.")
        written: Written = await self._ask_writer(Write(dict(patches)))
        return written

    async def delete(self, user_id: str, condition: Condition | None = None) -> DeleteResult:
        """Delete the user, and overwrite where it stood in the files."""
        done: DeleteResult = await self._ask_writer(Delete(user_id, condition))
        return done

    async def deletions(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the version of the last deletion of each of these ids, without those of which none is known."""
        if len(ids) > MAX_BATCH:
            raise ValueError(f"deletions takes at most {MAX_BATCH} ids, not {len(ids)}.")
        found: dict[str, int] = await self._ask_reader(DeletionsOf(ids))
        return found

    async def put_many(self, records: Sequence[UserRecord], *, overwrite: bool, restore: bool = False) -> list[Put]:
        """Write whole records, in one transaction; return what was done, in the same order."""
        check_puts(records)
        by_id = {record.snapshot.id: record for record in records}
        done: list[Put] = await self._ask_writer(Puts(by_id, overwrite, restore))
        return done

    async def count_users(self) -> int:
        """Return how many users there are."""
        count: int = await self._ask_reader(Count())
        return count

    async def list_users(self, *, limit: int, after: str | None) -> list[UserRecord]:
        """Return the first ``limit`` users whose ids come after ``after`` (None: from the start), in order of id."""
        if not 1 <= limit <= MAX_BATCH:
            raise ValueError(f"list_users returns 1 to {MAX_BATCH} users, not {limit}.")
        return [*(await self._ask_reader(Page(after or "", limit))).values()]

    async def walk(
        self, *, after: str | None, on_unreadable: Callable[[Unreadable], None] | None = None
    ) -> AsyncGenerator[list[UserRecord], None]:
        """Yield all users whose ids come after ``after`` in order of id, in lists of up to ``MAX_BATCH``."""
        last = after or ""
        while page := await self._ask_reader(Step(last)):
            last = [*page][-1]
            yield sift(page.values(), on_unreadable)

    async def _write_one(self, user_id: str, patch: UserPatch, *, leave_existing: bool = False) -> WriteResult:
        try:
            written: Written = await self._ask_writer(Write({user_id: patch}, leave_existing))
        except BatchRefused as refused:
            raise refused.errors[user_id] from None
        return written[user_id]

    async def _ask_reader(self, question: Read) -> Any:
        return await self._ask(self._reader, question, self._guard.reading)

    async def _ask_writer(self, write: Asked) -> Any:
        return await self._ask(self._writer, write, self._guard.writing)

    async def _ask(self, worker: Worker[Any, Any] | None, question: Any, trouble: Trouble) -> Any:
        if worker is None or not self._is_open:
            raise StoreUnavailable("The user store is not open.")
        try:
            return await worker.ask(question, patience=PATIENCE_SECONDS)
        except TimeoutError:
            stalled = f"it has not answered for {PATIENCE_SECONDS:g} s ({worker.name}). Check what keeps the disk busy."
            raise trouble.begin(stalled) from None

    def _connect(self, *, create: bool) -> sqlite3.Connection:
        if not create:
            connection = open_existing(self.path)
        else:
            set_mode(self.path, self.mode)
            connection = open_writer(self.path)
            set_mode(self.path, self.mode)  # of what was created
        self._guard.opened()
        return connection

    def _write(self, connection: sqlite3.Connection, writes: Sequence[Asked]) -> list[Outcome]:
        """Do all of ``writes`` in one transaction, or raise StoreUnavailable."""
        with self._guard.write(is_ping=not any(write.ids for write in writes)):
            return self._transact(connection, writes)

    def _transact(self, connection: sqlite3.Connection, writes: Sequence[Asked]) -> list[Outcome]:
        """Do all of ``writes`` in one transaction; one that ``apply`` refuses fails alone and whole."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            users = TransactionUsers(connection, writes, self._rules, self._clock)
            outcomes = [users.do(write) for write in writes]
            has_deleted = users.save()
            if self._guard.writing:
                # Something is written, or a ping would find that all is well again.
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite may have rolled back already
                connection.execute("ROLLBACK")
            raise
        if has_deleted:
            empty_log(connection)
        return outcomes

    def _read(self, connection: sqlite3.Connection, questions: Sequence[Read]) -> list[Answer | Exception]:
        """Do reads, each for itself, or raise StoreUnavailable."""
        self._guard.check_for_read()
        return [self._found(connection, question) for question in questions]

    def _found(self, connection: sqlite3.Connection, question: Read) -> Answer | Exception:
        """Do one read, or return why not."""
        try:
            found = read(connection, question)
        except sqlite3.Error as error:
            return self._guard.reading.begin(error)
        except Exception as error:  # noqa: BLE001 - raised where the read is awaited
            return error
        self._guard.reading.end()
        return found
