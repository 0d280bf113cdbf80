"""Responses that are still to come: awaited, or told to whoever asks for it. What goes wrong is in them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from userline.execution.operation import Response
    from userline.execution.time_limit import TimeLimit
    from userline.users.record import UserSnapshot

_TASKS: Final[set[asyncio.Task[Any]]] = set()
"""Those that nobody else refers to."""


class Pending(Protocol):
    """A response that is still to come. It is awaited or told, and only once."""

    def then(self, tell: Callable[[Response | None], None], /) -> None:
        """Have the response told when it is there, or None if it will never be: the process ends."""

    def __await__(self) -> Generator[Any, None, Response]: ...


class Executing:
    """What takes more than one step: a task if it is told, and none if it is awaited."""

    __slots__ = ("_work",)

    def __init__(self, work: Coroutine[Any, Any, Response]) -> None:
        self._work = work

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
                tell(task.result())

        task = asyncio.ensure_future(self._work)
        _TASKS.add(task)
        task.add_done_callback(done)

    def __await__(self) -> Generator[Any, None, Response]:
        return self._work.__await__()


class Read(Protocol):
    """A read of one user, and the responses that it may come to."""

    @property
    def future(self) -> asyncio.Future[UserSnapshot | None]:
        """The read."""

    def loaded(self, snapshot: UserSnapshot | None) -> Response:
        """Return the response with what was read. Raises AnswerTooLarge."""

    def failed(self, error: Exception, request_id: str) -> Response:
        """Return the response if it could not be read, or there is no room for it."""


class Lookup:
    """The read of one user who is not held: each waits for the store without a task."""

    __slots__ = ("_limit", "_read", "_request_id", "_tell")

    def __init__(self, read: Read, request_id: str, limit: TimeLimit) -> None:
        self._read = read
        self._request_id = request_id
        self._limit = limit
        self._tell: Callable[[Response | None], None] | None = None

    def then(self, tell: Callable[[Response | None], None]) -> None:
        """Have the response told. It always is."""
        self._tell = tell
        self._limit.add(self._expire)
        self._read.future.add_done_callback(self._loaded)

    def __await__(self) -> Generator[Any, None, Response]:
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.then(lambda response: None if future.done() or response is None else future.set_result(response))
        return future.__await__()

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
            tell(response)
