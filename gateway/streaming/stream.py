"""A streamed response: results as they come, heartbeats in between, and an end with its reason."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from userline.common import tasks
from userline.execution.operation import SubscriptionFailed
from userline.gateway.auth.tokens import LONGEST_SLEEP_SECONDS, ends_at
from userline.gateway.negotiation import API_HEADERS
from userline.users.errors import RateLimited, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Receive, Scope, Send

    from userline.execution.operation import Response
    from userline.gateway.answering.answering import Answering
    from userline.gateway.auth.live import LiveTokens
    from userline.gateway.open_connections import OpenConnections
    from userline.gateway.streaming.framing import Framing
    from userline.server.drain import Drain
    from userline.users.viewer import Viewer

UNBUFFERED: Final = {"x-accel-buffering": "no"}
"""Has proxies pass on what comes as it comes."""

_LAST_WORD_SECONDS: Final = 0.5
"""How long a client may take to read that its token has expired, before the connection is cut."""


class Streams:
    """Opens the streams of one gateway."""

    def __init__(
        self,
        answering: Answering,
        live: LiveTokens,
        connections: OpenConnections,
        drain: Drain,
        *,
        ping_seconds: float,
    ) -> None:
        self.answering = answering
        self.live = live
        self.connections = connections
        self.ping_seconds = ping_seconds
        self._drain = drain

    @property
    def are_ending(self) -> bool:
        """Whether the gateway stops, so that none is opened any more."""
        return self._drain.begun

    def open(self, framing: Framing, events: AsyncGenerator[Response, None], viewer: Viewer, scope: Scope) -> Stream:
        """Return the response that a subscription has. Raises RateLimited."""
        if self.are_ending:
            raise RateLimited("This gateway is being stopped. Connect to another one.")
        self.connections.check_room()
        return Stream(framing, events, self, self.connections.count_user(viewer, scope))


class Stream:
    """An ASGI response with the events of a subscription. It counts as a socket of its user."""

    def __init__(
        self, framing: Framing, events: AsyncGenerator[Response, None], streams: Streams, user_key: str | None
    ) -> None:
        self._framing = framing
        self._events = events
        self._streams = streams
        self._user_key = user_key
        self._headers = {**API_HEADERS, "content-type": framing.content_type, **UNBUFFERED}
        self._leaving = asyncio.Event()
        self._retry_after = 0.0
        self._ends_at: float | None = None
        self._viewer: Viewer | None = None
        self._cut_off: Callable[[], None] | None = None

    @property
    def is_leaving(self) -> bool:
        """Whether it has been asked to end."""
        return self._leaving.is_set()

    def leave(self, *, retry_after: float) -> None:
        """End, and ask the client to come back after so many seconds."""
        self._retry_after = retry_after
        self._leaving.set()

    @property
    def shown_by(self) -> Viewer | None:
        """Whose token it has."""
        return self._viewer

    def end_token(self) -> None:
        """End, because the token is not good any more; cut off a client that does not read so."""
        self._viewer, self._ends_at = None, 0.0
        self._leaving.set()
        if self._cut_off is not None:
            asyncio.get_running_loop().call_later(_LAST_WORD_SECONDS, self._cut_off_unless_over)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, until it ends or the client goes."""
        viewer: Viewer = scope["state"]["viewer"]
        self._viewer, self._ends_at = viewer, ends_at(viewer, time.time())
        self._cut_off = scope["state"].get("cut_off")
        streams = self._streams
        streams.connections.streams.add(self)
        streams.live.enter(self)
        leave = streams.answering.enter(viewer)
        try:
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._stream(receive, send)
        finally:
            streams.connections.streams.discard(self)
            streams.live.leave(self)
            leave()
            streams.connections.discount_user(self._user_key)

    async def _stream(self, receive: Receive, send: Send) -> None:
        async def write(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        await write(self._framing.opening)
        async with aclosing(self._frames()) as frames:
            following: asyncio.Task[bytes | None] = asyncio.create_task(_next(frames))
            gone = asyncio.create_task(_disconnected(receive))
            leaving = asyncio.create_task(self._leaving.wait())
            overdue = asyncio.create_task(self._when_overdue())
            helpers: list[asyncio.Task[Any]] = [gone, leaving]
            try:
                while True:
                    happened = await self._wait([following, *helpers])
                    if gone in happened:
                        return
                    if self._seconds_left() <= 0:
                        what = "is not valid any more" if self._viewer is None else "has expired"
                        refusal = Unauthenticated(f"The token {what}; subscribe again with a new one.")
                        await write(self._framing.expired(refusal))
                        break
                    if leaving in happened:
                        await write(self._framing.farewell(self._retry_after))
                        break
                    if following in happened:
                        frame = following.result()
                        if frame is None:
                            break
                        await write(frame)
                        following = asyncio.create_task(_next(frames))
                    elif not happened:
                        await write(self._framing.beat)
            finally:
                await tasks.end([following, overdue, *helpers])
        await send({"type": "http.response.body", "body": b""})

    async def _wait(self, waited: list[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
        """Wait until something happens, the token is over, or it is time for a beat (then nothing is returned)."""
        beat_at = time.monotonic() + (self._streams.ping_seconds or float("inf"))
        while True:
            seconds = min(beat_at - time.monotonic(), self._seconds_left(), LONGEST_SLEEP_SECONDS)
            done, _ = await asyncio.wait(waited, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
            if done or self._seconds_left() <= 0 or time.monotonic() >= beat_at:
                return done

    def _cut_off_unless_over(self) -> None:
        if self._cut_off is not None and self in self._streams.connections.streams:
            self._cut_off()

    async def _when_overdue(self) -> None:
        """Cut off a client that has stopped reading when its token expires: it cannot be told."""
        if self._cut_off is None:  # a server that is not ours
            return
        seconds = self._seconds_left() + _LAST_WORD_SECONDS
        while seconds > 0:
            await asyncio.sleep(min(seconds, LONGEST_SLEEP_SECONDS))
            seconds = self._seconds_left() + _LAST_WORD_SECONDS
        self._cut_off_unless_over()

    def _seconds_left(self) -> float:
        return float("inf") if self._ends_at is None else self._ends_at - time.time()

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(self._events) as events:
                async for response in events:
                    yield self._framing.next(response)
            yield self._framing.complete()
        except SubscriptionFailed as failure:
            yield self._framing.failed(failure.errors)


async def _next(frames: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(frames, None)


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
