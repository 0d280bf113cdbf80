"""The SQLite store of several gateways on one database in memory, without threads and without a file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from userline.common.futures import settle
from userline.storage.protocol import WriteResult
from userline.storage.sqlite import SQLiteUserStore
from userline.storage.sqlite.database import _migrate
from userline.storage.sqlite.rows import select_users
from userline.storage.sqlite.store import MOST_READS_A_GROUP, MOST_WRITES_A_COMMIT
from userline.storage.sqlite.trouble import Trouble
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

    from tests.simulation.history import History
    from userline.users.rules import Rules

NOWHERE: Final = Path("/nowhere/users.db")


class StoreLine:
    """One gateway's way to its store, and what is wrong with it."""

    def __init__(self, source: random.Random) -> None:
        self.random = source
        self.delay = 0.001
        """How long a call takes, about, in seconds."""
        self.failures = 0.0
        """How many calls fail and do nothing, of all."""
        self.lost_answers = 0.0
        """How many writes are done and fail all the same, of all."""
        self.hangs = False
        """Whether nothing is answered, and nothing done, until that is over."""
        self.is_severed = False
        self.waiting: dict[asyncio.Future[Any], None] = {}
        """Calls that are not answered yet."""
        self.under_way = 0
        """How many commands are to be done yet, also those that nobody waits for any more."""

    def heal(self) -> None:
        """Nothing is wrong any more."""
        self.delay, self.failures, self.lost_answers, self.hangs = 0.001, 0.0, 0.0, False

    def pause(self) -> float:
        """Return how long a step of a call takes."""
        return self.random.random() * self.delay

    def take(self, future: asyncio.Future[Any]) -> None:
        """Take note of a call that is to be answered."""
        if self.is_severed:
            future.cancel()
            return
        self.waiting[future] = None
        future.add_done_callback(self.waiting.pop)

    def sever(self) -> None:
        """Nobody is at this end any more."""
        self.is_severed = True
        for future in list(self.waiting):
            future.cancel()


class Database:
    """What is stored. ``history`` is told of it."""

    def __init__(self, history: History, user_ids: Sequence[str]) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        _migrate(self.connection, NOWHERE)
        self._history = history
        self._user_ids = user_ids

    def note(self, outcomes: Sequence[Any]) -> None:
        """Tell the history what was written, one after the other, and what is stored now."""
        for outcome in outcomes:
            if isinstance(outcome, dict):
                for user_id, result in outcome.items():
                    if isinstance(result, WriteResult):
                        self._history.note({user_id: result.before.snapshot if result.before else None})
                        self._history.note({user_id: result.after.snapshot})
        found = select_users(self.connection, self._user_ids)
        self._history.note(
            {user_id: found[user_id].snapshot if user_id in found else None for user_id in self._user_ids}
        )

    def close(self) -> None:
        """Forget everything."""
        self.connection.close()


class _Guard:
    """Stands where the store's guard does, and lets calls fail before and after what they do."""

    def __init__(self, line: StoreLine) -> None:
        self._line = line
        self.reading = Trouble(NOWHERE, "read", "userline-read")
        self.writing = Trouble(NOWHERE, "written", "userline-write")

    @contextmanager
    def write(self, *, is_ping: bool) -> Iterator[None]:  # noqa: ARG002 - the guard's signature
        self._may_fail(self._line.failures, self.writing)
        yield
        self._may_fail(self._line.lost_answers, self.writing)
        self.writing.end()

    def check_for_read(self) -> None:
        self._may_fail(self._line.failures, self.reading)

    def _may_fail(self, share: float, trouble: Trouble) -> None:
        if share and self._line.random.random() < share:
            raise trouble.begin("it is simulated")


class _Worker:
    """Does what a ``Worker`` does by its thread: what has come in is done together, and answered after that."""

    def __init__(
        self,
        name: str,
        line: StoreLine,
        work: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]],
        database: Database,
        most: int,
    ) -> None:
        self.name = name
        self._line = line
        self._work = work
        self._database = database
        self._most = most
        self._calls: list[tuple[Any, asyncio.Future[Any]]] = []
        self._is_busy = False
        self._ended: asyncio.Future[None] | None = None

    async def ask(self, question: Any, *, patience: float) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._line.take(future)
        self._calls.append((question, future))
        if not self._is_busy:
            self._is_busy = True
            loop.call_later(self._line.pause(), self._serve)
        async with asyncio.timeout(patience):
            return await future

    async def stop(self) -> None:
        if self._is_busy:
            self._ended = asyncio.get_running_loop().create_future()
            await self._ended

    def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        if self._line.hangs:
            loop.call_later(0.25, self._serve)
            return
        calls = [call for call in self._calls if not call[1].cancelled()]
        group, self._calls = calls[: self._most], calls[self._most :]
        if group:
            try:
                answers = self._work(self._database.connection, [question for question, _ in group])
            except StoreUnavailable:
                answers = [StoreUnavailable() for _ in group]
            loop.call_later(self._line.pause(), _settle_all, [future for _, future in group], answers)
        if self._calls:
            loop.call_later(self._line.pause(), self._serve)
            return
        self._is_busy = False
        if self._ended is not None:
            settle(self._ended, None)


def _settle_all(futures: Sequence[asyncio.Future[Any]], answers: Sequence[Any]) -> None:
    for future, answer in zip(futures, answers, strict=True):
        settle(future, answer)


class SimulatedSQLiteStore(SQLiteUserStore):
    """The store of one gateway."""

    def __init__(self, database: Database, line: StoreLine, rules: Rules, clock: Callable[[], int]) -> None:
        super().__init__(NOWHERE, rules, clock)
        self._database = database
        self._line = line
        self._guard = _Guard(line)  # type: ignore[assignment]

    async def open(self, *, create: bool = True) -> None:  # noqa: ARG002 - it is there
        line, database = self._line, self._database
        self._writer = _Worker("write", line, self._write, database, MOST_WRITES_A_COMMIT)  # type: ignore[assignment]
        self._reader = _Worker("read", line, self._read, database, MOST_READS_A_GROUP)  # type: ignore[assignment]
        self._is_open = True

    def _transact(self, connection: sqlite3.Connection, writes: Sequence[Any]) -> Any:
        outcomes = super()._transact(connection, writes)
        self._database.note(outcomes)
        return outcomes
