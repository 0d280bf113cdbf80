"""Commands with a deadline: whatever happens to MongoDB, every caller has an answer in time, and in words of ours."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import pymongo
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError

from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from userline.storage.mongo.driver import Driver
    from userline.storage.mongo.url import MongoURL

logger = logging.getLogger("userline.storage")

Answer = TypeVar("Answer")

GRACE_SECONDS: Final = 0.25
"""How long after its deadline a command that the driver does not end is given up."""

_LONGEST_REASON: Final = 200
FAILURES: Final = (PyMongoError, OSError, TimeoutError)
"""What a command that got no answer raises."""


class Connection:
    """The way to one deployment of MongoDB, with its outages told from its answers.

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
        self._is_away = False

    @property
    def deadline(self) -> float:
        """When a call that starts now must have an answer, by the event loop's clock."""
        return self._loop.time() + self._url.seconds

    async def run(self, command: Callable[[Driver], Awaitable[Answer]], deadline: float) -> Answer:
        """Return the command's answer. Raises StoreUnavailable if there is none by the deadline."""
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
        with pymongo.timeout(seconds):
            return await command(self.driver)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._places.release()
        self._commands.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone, and then nobody else looks at it

    @contextmanager
    def outages(self) -> Iterator[None]:
        """Turn the failures of commands into StoreUnavailable, and log where an outage begins and ends."""
        try:
            yield
        except FAILURES as error:
            if not self._is_away:
                self._is_away = True
                logger.warning("MongoDB at %s is not available: %s.", self._url.hosts, reason(error))
            raise StoreUnavailable from None
        if self._is_away:
            self._is_away = False
            logger.info("MongoDB at %s is available again.", self._url.hosts)

    def failure(self, error: Exception) -> Exception:
        """Return what ``run`` raises for an error that a command reports and does not raise."""
        try:
            with self.outages():
                raise error
        except StoreUnavailable as failure:
            return failure

    async def close(self) -> None:
        """Let the commands under way come to their end, and close the driver."""
        await self._nobody_asks.wait()
        if self._commands:
            _, hung = await asyncio.wait(self._commands, timeout=self._url.seconds)
            for task in hung:
                task.cancel()
        await self.driver.close()


def reason(error: BaseException) -> str:
    """Return in a few words why a command failed. Has nothing of the URL, and of the command at most a user's id."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OperationFailure):
        details = error.details or {}
        text = f"{details.get('errmsg') or 'the command failed'} (code {error.code})"
    else:
        # Servers' states and the time-outs of the configuration follow, at length.
        text = str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]
        if not isinstance(error, ServerSelectionTimeoutError):
            text = f"{type(error).__name__}: {text}"
    text = " ".join(text.split()).removesuffix(".")
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "…"
