"""A thread with its own connection that answers the event loop's questions in groups."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from userline.common.futures import settle
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

logger = logging.getLogger("userline.storage")

Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class _Call(Generic[Question, Answer]):
    question: Question
    future: asyncio.Future[Answer]


class Worker(Generic[Question, Answer]):
    """One thread and its connection. It belongs to the event loop it was started on.

    ``work`` gets the connection and at least one question, as many as were waiting, up to a weight of ``most``
    (``weight`` says what one question counts for, 1 by default), and returns an answer or the error to raise for each,
    in order. If ``work`` itself raises, all of the group fail with StoreUnavailable; another cause is logged.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], sqlite3.Connection],
        work: Callable[[sqlite3.Connection, Sequence[Question]], Sequence[Answer | Exception]],
        *,
        most: int,
        weight: Callable[[Question], int] = lambda _: 1,
    ) -> None:
        self.name = name
        self._connect = connect
        self._work = work
        self._most = most
        self._weight = weight
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        self._calls: SimpleQueue[_Call[Question, Answer] | None] = SimpleQueue()
        self._stop_asked = False
        # A daemon, so that a program that fails to close its store can end: every write it was told of is on disk.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def start(self) -> None:
        """Connect. Raises what ``connect`` raises, and then the thread has ended."""
        self._thread.start()
        try:
            await self._started
        except asyncio.CancelledError:
            self._ask_to_stop()
            raise
        except Exception:
            await self.stop()
            raise

    async def ask(self, question: Question, *, patience: float) -> Answer:
        """Return the answer, or raise its error. Raises TimeoutError after ``patience`` seconds.

        If the caller is cancelled, or out of patience, before the thread comes to the question, it is skipped.
        """
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._calls.put(_Call(question, future))
        async with asyncio.timeout(patience):
            return await future

    async def stop(self) -> None:
        """Answer what was asked so far, then close the connection and end the thread. Stopping twice is fine."""
        self._ask_to_stop()
        await asyncio.shield(self._stopped)
        self._thread.join()

    def _ask_to_stop(self) -> None:
        if not self._stop_asked:
            self._stop_asked = True
            self._calls.put(None)

    def _run(self) -> None:
        """Be the thread."""
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - raised where start() is awaited
            self._tell((self._started, error))
        else:
            with closing(connection):
                self._tell((self._started, None))
                self._answer_until_stopped(connection)
        finally:
            self._tell((self._stopped, None))

    def _answer_until_stopped(self, connection: sqlite3.Connection) -> None:
        stopping = False
        while not stopping:
            group, stopping = self._next_group()
            if not group:
                continue
            outcomes: Sequence[Answer | Exception]
            try:
                outcomes = self._work(connection, [call.question for call in group])
            except StoreUnavailable:
                outcomes = [StoreUnavailable() for _ in group]
            except Exception:
                logger.exception("The user database failed (%s).", self.name)
                outcomes = [StoreUnavailable() for _ in group]
            self._tell(*zip((call.future for call in group), outcomes, strict=True))

    def _next_group(self) -> tuple[list[_Call[Question, Answer]], bool]:
        """Wait for a call; return it with those behind it, and whether they are the last."""
        group: list[_Call[Question, Answer]] = []
        load = 0
        call = self._calls.get()
        with suppress(Empty):
            while call is not None:
                if not call.future.cancelled():
                    group.append(call)
                    load += self._weight(call.question)
                if load >= self._most:
                    break
                call = self._calls.get_nowait()
        return group, call is None

    def _tell(self, *outcomes: tuple[asyncio.Future[Any], object]) -> None:
        """Bring results and errors to the futures, with one wake-up of the loop for all."""
        with suppress(RuntimeError):  # the loop was closed, so nobody waits any more
            self._loop.call_soon_threadsafe(_settle_all, outcomes)


def _settle_all(outcomes: Sequence[tuple[asyncio.Future[Any], object]]) -> None:
    for future, outcome in outcomes:
        settle(future, outcome)
