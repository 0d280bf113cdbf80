"""Commands with a deadline: every caller gets a result or an error in time."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import pymongo
from pymongo.errors import PyMongoError

from userline.common.outage import Outage
from userline.storage.batch_scheduler import FEWEST_BATCHES
from userline.storage.mongo.distance import batches_for, writes_apart_for
from userline.storage.mongo.failures import Kind, failure
from userline.storage.protocol import StoreRefused
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from userline.storage.mongo.driver import Driver
    from userline.storage.mongo.failures import Failure
    from userline.storage.mongo.url import MongoURL

logger = logging.getLogger("userline.storage")

Answer = TypeVar("Answer")

GRACE_SECONDS: Final = 0.25
"""How long after its deadline a command that the driver does not end is given up."""

_QUIET_SECONDS: Final = 60.0
_MEASURED_SECONDS: Final = 1.0
FAILURES: Final = (PyMongoError, OSError, TimeoutError)
"""What a command that got no answer raises."""


class Connection:
    """The connection to one MongoDB deployment, which notices outages.

    An error is an outage, something that was not done although the servers answer, or a refusal (``failures``). The
    first two raise StoreUnavailable, and are logged once for the outage, or once a minute; a refusal raises
    StoreRefused.

    A command that nobody waits for any more still keeps its place until the driver has ended it: Motor's threads cannot
    be interrupted, and what is handed to them beyond their number would wait where no time-out reaches.
    """

    def __init__(self, driver: Driver, url: MongoURL) -> None:
        self.driver = driver
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(driver.most_commands)
        self._commands: set[asyncio.Task[object]] = set()
        self._callers = 0
        self._nobody_asks = asyncio.Event()
        self._nobody_asks.set()
        self._outage = Outage()
        self._told_at: dict[str, float] = {}
        self.quickest = math.inf
        """How many seconds the quickest command took."""
        self._most_batches = FEWEST_BATCHES
        self._writes_apart = 0.0
        self._measured_at = -math.inf

    @property
    def deadline(self) -> float:
        """When a call that starts now must have an answer, by the event loop's clock."""
        return self._loop.time() + self._url.seconds

    @property
    def round_trip(self) -> float:
        """How many seconds away the servers are, there and back, as the driver or else the commands have seen it."""
        return self.driver.round_trip or (self.quickest if self.quickest < math.inf else 0.0)

    @property
    def most_batches(self) -> int:
        """How many commands of a kind are worth having under way."""
        self._measure()
        return self._most_batches

    @property
    def writes_apart(self) -> float:
        """How many seconds after one command of writes the next one sets out; 0 where it does not wait for that."""
        self._measure()
        return self._writes_apart

    def _measure(self) -> None:
        now = self._loop.time()
        if now - self._measured_at > _MEASURED_SECONDS:
            self._measured_at = now
            round_trip = self.round_trip
            self._most_batches = min(batches_for(round_trip), self.driver.most_commands)
            self._writes_apart = writes_apart_for(round_trip)

    async def run(self, command: Callable[[Driver], Awaitable[Answer]], deadline: float) -> Answer:
        """Return the command's answer. Raises StoreUnavailable if there is none by the deadline, and StoreRefused."""
        with self.outages():
            return await self.ask(command, deadline)

    async def ask(self, command: Callable[[Driver], Awaitable[Answer]], deadline: float) -> Answer:
        """Return the command's answer. Raises what the driver raises, or TimeoutError."""
        self._callers += 1
        self._nobody_asks.clear()
        try:
            async with asyncio.timeout_at(deadline + GRACE_SECONDS):
                await self._places.acquire()
                task = asyncio.create_task(self._command(command, deadline))
                self._commands.add(task)
                task.add_done_callback(self._ended)
                return await asyncio.shield(task)
        finally:
            self._callers -= 1
            if not self._callers:
                self._nobody_asks.set()

    async def _command(self, command: Callable[[Driver], Awaitable[Answer]], deadline: float) -> Answer:
        seconds = deadline - self._loop.time()
        if seconds <= 0:
            raise TimeoutError
        started = self._loop.time()
        with pymongo.timeout(seconds):
            answer = await command(self.driver)
        self.quickest = min(self.quickest, self._loop.time() - started)
        return answer

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._places.release()
        self._commands.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone, and then nobody else looks at it

    @contextmanager
    def outages(self) -> Iterator[None]:
        """Turn the failures of commands into errors of ours, and log where an outage begins and ends."""
        tried = self._outage.now()
        try:
            yield
        except FAILURES as error:
            raise self._told(error, tried) from None
        if away := self._outage.end(tried):
            logger.info("MongoDB at %s is available again, after %s.", self._url.hosts, away)

    def failure(self, error: Exception) -> Exception:
        """Return what ``run`` raises for an error that a command reports and does not raise."""
        return error if isinstance(error, StoreUnavailable) else self._told(error, self._outage.now())

    def _told(self, error: BaseException, tried: float) -> StoreUnavailable | StoreRefused:
        what = failure(error)
        if what.kind is Kind.REFUSED:
            return StoreRefused(f"MongoDB at {self._url.hosts} refuses a command: {sentence(what.text, what.advice)}")
        if what.kind is Kind.AWAY:
            if self._outage.begin(tried):
                self._warn("is not available", what)
        elif not self._outage:
            # Others succeed meanwhile, so there is no end of it to be told.
            now = self._loop.time()
            if now - self._told_at.get(what.text, -math.inf) > _QUIET_SECONDS:
                self._told_at[what.text] = now
                self._warn("did not do everything that was requested", what)
        return StoreUnavailable()

    def _warn(self, state: str, what: Failure) -> None:
        logger.warning("MongoDB at %s %s: %s", self._url.hosts, state, sentence(what.text, what.advice))

    async def close(self) -> None:
        """Let the commands under way come to their end, and close the driver."""
        await self._nobody_asks.wait()
        if self._commands:
            _, hung = await asyncio.wait(self._commands, timeout=self._url.seconds)
            for task in hung:
                task.cancel()
        await self.driver.close()


def sentence(text: str, advice: str) -> str:
    """Return what is wrong and what to do about it."""
    return f"{text}. {advice}".rstrip()
