"""Responses that are not there yet: they are awaited, or passed to a callback. Errors are part of the response.

How long an operation may take is said here, and whatever waits is ended here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from userline.execution.operation import out_of_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from userline.execution.operation import Response
    from userline.users.record import UserSnapshot

T = TypeVar("T")

_TASKS: Final[set[asyncio.Task[Any]]] = set()
"""Those that nobody else refers to."""


class OutOfTime(Exception):
    """The operation took longer than its time limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    @property
    def response(self) -> Response:
        """The response."""
        return out_of_time(self.seconds)


class TimeLimit:
    """The time limit of operations, including the time that they wait for their turn. For one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: dict[Callable[[], None], float] = {}
        """When what was begun without a task is to be ended, the first first."""
        self._timer: asyncio.TimerHandle | None = None

    def response(self) -> Response:
        """Return the response of an operation that took longer."""
        return out_of_time(self.seconds)

    def until(self) -> float:
        """Return when an operation that begins now has to be done, by the clock of the event loop."""
        return asyncio.get_running_loop().time() + self.seconds

    async def wait(self, work: Awaitable[T], until: float | None = None) -> T:
        """Return what ``work`` comes to; without ``until``, the time begins now. Raises OutOfTime."""
        try:
            async with asyncio.timeout_at(self.until() if until is None else until):
                return await work
        except TimeoutError:
            raise OutOfTime(self.seconds) from None

    async def hold(self, work: Awaitable[Response], until: float | None = None) -> Response:
        """Return the response that ``work`` comes to, or the one that says that it took too long."""
        try:
            return await self.wait(work, until)
        except OutOfTime as refusal:
            return refusal.response

    def add(self, end: Callable[[], None]) -> None:
        """Have ``end`` called when the time is over that begins now. Thousands of such share one timer."""
        loop = asyncio.get_running_loop()
        self._ends[end] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_later(self.seconds, self._look)

    def discard(self, end: Callable[[], None]) -> None:
        """It is done; there is nothing to be ended."""
        self._ends.pop(end, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        while self._ends:
            end, until = next(iter(self._ends.items()))
            if until > now:
                self._timer = loop.call_at(until, self._look)
                return
            del self._ends[end]
            loop.call_soon(end)


class Pending(Protocol):
    """A response that is not there yet. It is awaited or passed to a callback, and only once."""

    on_response: Callable[[Response], None]
    """Called with the response before anybody else has it."""

    def then(self, tell: Callable[[Response | None], None], /) -> None:
        """Have the response told when it is there, or None if it will never be: the process ends."""

    def __await__(self) -> Generator[Any, None, Response]: ...


class Executing:
    """Work with more than one step: a task if a callback is given, and no task if it is awaited."""

    __slots__ = ("_work", "on_response")

    def __init__(self, work: Coroutine[Any, Any, Response], limit: TimeLimit) -> None:
        self._work = limit.hold(work)
        self.on_response: Callable[[Response], None] = _unnoticed

    def then(self, tell: Callable[[Response | None], None]) -> None:
        """Have the response told."""

        def done(task: asyncio.Task[Response]) -> None:
            _TASKS.discard(task)
            if task.cancelled():
                tell(None)
            elif error := task.exception():
                tell(None)
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "An operation failed unexpectedly.", "exception": error, "task": task}
                )
            else:
                _give(task.result(), self.on_response, tell)

        task = asyncio.ensure_future(self._work)
        _TASKS.add(task)
        task.add_done_callback(done)

    def __await__(self) -> Generator[Any, None, Response]:
        response = yield from self._work.__await__()
        self.on_response(response)
        return response


class Read(Protocol):
    """A read of one user, and the responses that follow from it."""

    @property
    def future(self) -> asyncio.Future[UserSnapshot | None]:
        """The read."""

    def loaded(self, snapshot: UserSnapshot | None) -> Response:
        """Return the response with what was read. Raises AnswerTooLarge."""

    def failed(self, error: Exception, request_id: str) -> Response:
        """Return the response if it could not be read, or there is no room for it."""


class Lookup:
    """The read of one user who is not in memory. Each waits for the store without a task."""

    __slots__ = ("_limit", "_read", "_request_id", "_tell", "on_response")

    def __init__(self, read: Read, request_id: str, limit: TimeLimit) -> None:
        self._read = read
        self._request_id = request_id
        self._limit = limit
        self._tell: Callable[[Response | None], None] | None = None
        self.on_response: Callable[[Response], None] = _unnoticed

    def then(self, tell: Callable[[Response | None], None]) -> None:
        """Have the response told. It always is."""
        self._tell = tell
        self._limit.add(self._expire)
        self._read.future.add_done_callback(self._loaded)

    def __await__(self) -> Generator[Any, None, Response]:
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        on_response, self.on_response = self.on_response, _unnoticed  # it is nobody's if what waits is cancelled
        self.then(lambda response: None if future.done() or response is None else future.set_result(response))
        response = yield from future.__await__()
        on_response(response)
        return response

    def _expire(self) -> None:
        """Wait no longer."""
        if self._tell is not None:  # else the read was just in time
            self._end(self._limit.response())
            self._read.future.cancel()

    def _loaded(self, future: asyncio.Future[UserSnapshot | None]) -> None:
        if self._tell is None:
            return  # it has expired
        self._limit.discard(self._expire)
        try:
            response = self._read.loaded(future.result())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - nothing may reach the transport
            failure = error if isinstance(error, Exception) else RuntimeError("The read was cancelled.")
            response = self._read.failed(failure, self._request_id)
        self._end(response)

    def _end(self, response: Response) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            _give(response, self.on_response, tell)


def _unnoticed(_: Response) -> None:
    """Leave a response alone."""


def _give(response: Response, on_response: Callable[[Response], None], tell: Callable[[Response | None], None]) -> None:
    try:
        on_response(response)
    finally:
        tell(response)
