"""The stores of several gateways on one server, with each command held until it is its turn."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from unittest import mock

from tests.storage.search.calls import RULES, Seen, state_of
from tests.support.stores import MemoryStore
from userline.storage.sqlite import SQLiteUserStore
from userline.storage.sqlite.rows import select_users, upsert_users

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.storage.search.stepping import Stepper
    from userline.storage.protocol import UserStore
    from userline.users.record import UserRecord

    Clock = Callable[[], int]
    Edit = Callable[[UserRecord | None], UserRecord | None]


class World(Protocol):
    """One server and its gateways."""

    late: set[asyncio.Task[None]]
    """Commands under way that nobody waits for any more."""

    def gateway(self, name: str, clock: Clock) -> UserStore:
        """Return one more store, to be opened."""

    def by_hand(self, user_id: str, edit: Edit, *, forgets: bool = False) -> Seen:
        """Do as another program does that reads a user and writes it in one step.

        One that ``forgets`` drops fields that it does not know.
        """


class _MemoryGateway:
    """One gateway's way to users in memory, which all gateways share."""

    def __init__(self, store: MemoryStore, stepper: Stepper, name: str, clock: Clock) -> None:
        self._store, self._stepper, self._name, self._clock = store, stepper, name, clock

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **options: Any) -> Any:
            await self._stepper.gate(f"{self._name}: {name} takes effect")
            self._store.clock = self._clock
            try:
                answer = await getattr(self._store, name)(*arguments, **options)
            except Exception as error:  # noqa: BLE001 - raised below
                answer = error
            await self._stepper.gate(f"{self._name}: {name} is answered")
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class MemoryWorld:
    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper
        self._store = MemoryStore()
        self._store.rules = RULES
        self.late: set[asyncio.Task[None]] = set()

    def gateway(self, name: str, clock: Clock) -> UserStore:
        return _MemoryGateway(self._store, self._stepper, name, clock)  # type: ignore[return-value]

    def by_hand(self, user_id: str, edit: Edit, *, forgets: bool = False) -> Seen:  # noqa: ARG002 - there are none
        before = self._store.users.pop(user_id, None)
        after = edit(before)
        if after is not None:
            self._store.users[user_id] = after
        return Seen(state_of(before), state_of(after))


class _HeldWorker:
    """Answers in the event loop, when it is its turn, what a ``Worker`` would by its thread."""

    stepper: ClassVar[Stepper]

    def __init__(
        self, name: str, connect: Callable[[], sqlite3.Connection], work: Any, *, most: int, weight: Any = None
    ) -> None:
        self._name, self._connect, self._work, self._most, self._weight = name, connect, work, most, weight
        self._asked: list[tuple[Any, asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._connection = self._connect()
        self._connection.execute("PRAGMA synchronous = OFF")  # no power is cut here

    async def stop(self) -> None:
        while self._task is not None and not self._task.done():
            await asyncio.sleep(0.001)
        self._connection.close()

    async def ask(self, question: Any, *, patience: float) -> Any:  # noqa: ARG002 - there is time
        future = asyncio.get_running_loop().create_future()
        self._asked.append((question, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve())
        answer = await future
        await self.stepper.gate(f"{self._name}: a call is answered")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _serve(self) -> None:
        while self._asked:
            await self.stepper.gate(f"{self._name}: a group takes effect")
            group, self._asked = self._asked, []
            answers = self._work(self._connection, [question for question, _ in group])
            for (_, future), answer in zip(group, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


class SQLiteWorld:
    """Gateways on one file. Each does a group in one go, as SQLite sees to it; who is next is what varies."""

    def __init__(self, stepper: Stepper, path: Path) -> None:
        self._stepper, self._path = stepper, path
        self.late: set[asyncio.Task[None]] = set()

    def gateway(self, name: str, clock: Clock) -> UserStore:
        def worker(part: str, *arguments: Any, **options: Any) -> _HeldWorker:
            return _HeldWorker(f"{name} {part.removeprefix('userline-')}s", *arguments, **options)

        _HeldWorker.stepper = self._stepper
        store = SQLiteUserStore(self._path, RULES, clock)
        opening = store.open

        async def open_held(*, create: bool = True) -> None:
            with mock.patch("userline.storage.sqlite.store.Worker", worker):
                await opening(create=create)

        store.open = open_held  # type: ignore[method-assign]
        return store

    def by_hand(self, user_id: str, edit: Edit, *, forgets: bool = False) -> Seen:  # noqa: ARG002 - there are none
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            before = select_users(connection, [user_id]).get(user_id)
            after = edit(before)
            connection.execute("DELETE FROM users WHERE id = ?", [user_id])
            if after is not None:
                upsert_users(connection, [after])
            connection.execute("COMMIT")
        return Seen(state_of(before), state_of(after))
