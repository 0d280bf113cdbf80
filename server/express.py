"""The fast lane's part in one connection: its answers are written at once, or when they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.gateway.lane.lane import whole
from userline.gateway.lane.lookups import Lookup

if TYPE_CHECKING:
    import asyncio
    from asyncio import Transport
    from collections.abc import Awaitable, Callable

    from uvicorn.server import ServerState

    from userline.execution.operation import Response
    from userline.gateway.lane.lane import Lane
    from userline.server.flow import Unparsed


class Express:
    """Offers requests to the lane. ``answered`` is called after an answer that was not there at once."""

    __slots__ = ("_answered", "_client", "_lane", "_server", "_transport", "is_answering")

    def __init__(
        self,
        lane: Lane,
        transport: Transport,
        client: tuple[str, int] | None,
        server: ServerState,
        answered: Callable[[], None],
    ) -> None:
        self._lane = lane
        self._transport = transport
        self._client = client
        self._server = server
        self._answered = answered
        self.is_answering = False
        """Whether an answer is still to come."""

    def take(self, unparsed: Unparsed, loop: asyncio.AbstractEventLoop) -> bool:
        """Answer the next request, or begin to; return whether the lane takes it."""
        found = self._lane.take(unparsed.data, unparsed.position, self._client, self._server.default_headers)
        if found is None:
            return False
        answer, unparsed.position = found
        self._server.total_requests += 1
        if isinstance(answer, bytes):
            self._transport.write(answer)
            return True
        self.is_answering = True
        if isinstance(answer, Lookup):
            answer.then(self._answer_lookup)
        else:
            task = loop.create_task(self._answer_later(answer))
            task.add_done_callback(self._server.tasks.discard)
            self._server.tasks.add(task)
        return True

    async def _answer_later(self, answer: Awaitable[bytes]) -> None:
        try:
            made = await answer
        except BaseException:
            self._transport.abort()  # nobody is left without an answer for ever
            raise
        self._write(made)

    def _answer_lookup(self, lookup: Lookup, response: Response) -> None:
        self._write(whole(lookup.before, response))

    def _write(self, answer: bytes) -> None:
        self.is_answering = False
        if not self._transport.is_closing():
            self._transport.write(answer)
            self._answered()
