"""Requests for one user who is not held: each waits for the store without a task, and all of them by one timer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from userline.execution.operation import out_of_time

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from userline.execution.operation import Response
    from userline.execution.plans.queries import UserRead
    from userline.users.record import UserSnapshot


class Lookup:
    """The response to such a request: told to whoever asks for it with ``then``, or awaited; once.

    ``on_response`` is told before, with whether there are no errors for sure.
    """

    __slots__ = ("_on_response", "_read", "_tell", "_waiting", "before", "request_id")

    def __init__(
        self, read: UserRead, request_id: str, waiting: Waiting, on_response: Callable[[Response, bool], None]
    ) -> None:
        self._read = read
        self._waiting = waiting
        self._on_response = on_response
        self._tell: Callable[[Lookup, Response], None] | None = None
        self.request_id = request_id
        self.before = b""
        """For whoever sends the response: what stands before it."""

    def then(self, tell: Callable[[Lookup, Response], None]) -> None:
        """Have the response told when it is there. It is always: what goes wrong is in it."""
        self._tell = tell
        self._waiting.add(self)
        self._read.future.add_done_callback(self._loaded)

    def __await__(self) -> Generator[Any, None, Response]:
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.then(lambda _, response: None if future.done() else future.set_result(response))
        return future.__await__()

    def expire(self, seconds: float) -> None:
        """Wait no longer, after so many."""
        if self._tell is None:
            return  # the read was just in time
        self._end(out_of_time(seconds), is_good=False)
        self._read.future.cancel()

    def _loaded(self, future: asyncio.Future[UserSnapshot | None]) -> None:
        if self._tell is None:
            return  # it has expired
        self._waiting.discard(self)
        try:
            response, is_good = self._read.loaded(future.result()), True
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - nothing may reach the transport
            failure = error if isinstance(error, Exception) else RuntimeError("The read was given up.")
            response, is_good = self._read.failed(failure, self.request_id), False
        self._end(response, is_good=is_good)

    def _end(self, response: Response, *, is_good: bool) -> None:
        tell, self._tell = self._tell, None
        try:
            self._on_response(response, is_good)
        finally:
            if tell is not None:
                tell(self, response)


class Waiting:
    """The lookups that wait, none of them for longer than ``seconds``. For one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: dict[Lookup, float] = {}
        """When each expires, the first first."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, lookup: Lookup) -> None:
        """Begin to wait."""
        loop = asyncio.get_running_loop()
        self._until[lookup] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def discard(self, lookup: Lookup) -> None:
        """The wait is over."""
        self._until.pop(lookup, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        while self._until:
            lookup, until = next(iter(self._until.items()))
            if until > now:
                self._timer = loop.call_at(until, self._look)
                return
            del self._until[lookup]
            loop.call_soon(lookup.expire, self._seconds)
