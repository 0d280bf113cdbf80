"""One response that goes on: results as they come, a beat while none comes, and an end that says why."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from userline.execution.errors import format_refusal
from userline.execution.operation import SubscriptionFailed
from userline.gateway.rate_limit import key_of
from userline.users.errors import RateLimited, Unauthenticated
from userline.users.viewer import ViewerKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Receive, Scope, Send

    from userline.execution.operation import Response
    from userline.gateway.observation import ObservedSubscription
    from userline.gateway.runtime import Runtime
    from userline.gateway.streaming.framing import Framing
    from userline.users.viewer import Viewer

_LONGEST_SLEEP_SECONDS: Final = 60.0
"""The clock by which tokens expire can be set; sleeping goes by another one."""

_LAST_WORD_SECONDS: Final = 0.5
"""How long a client may take to read that its token has expired, before the connection is cut."""


class Stream:
    """An ASGI response of the results of one operation. A subscription's counts as a socket does."""

    def __init__(
        self, framing: Framing, source: ObservedSubscription | Response, runtime: Runtime, headers: dict[str, str]
    ) -> None:
        self._framing = framing
        self._source = source
        self._runtime = runtime
        self._headers = {**headers, "content-type": framing.content_type, "x-accel-buffering": "no"}
        self._leaving = asyncio.Event()
        self._retry_after = 0.0
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, until it ends or the client goes."""
        self._viewer = scope["state"]["viewer"]
        self._cut_off = scope["state"].get("cut_off")
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if isinstance(self._source, bytes):
            whole = self._framing.opening + self._framing.next(self._source) + self._framing.complete()
            await send({"type": "http.response.body", "body": whole})
            return
        key = user_key(self._viewer, scope)
        self._runtime.streams.add(self)
        self._runtime.presence.enter(self._viewer.user_id)
        if key is not None:
            self._runtime.sockets_of_users[key] += 1
        try:
            await self._stream(self._source, receive, send)
        finally:
            self._runtime.streams.discard(self)
            self._runtime.presence.leave(self._viewer.user_id)
            if key is not None:
                self._runtime.sockets_of_users[key] -= 1
                if not self._runtime.sockets_of_users[key]:
                    del self._runtime.sockets_of_users[key]

    async def _stream(self, source: ObservedSubscription, receive: Receive, send: Send) -> None:
        async def write(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        await write(self._framing.opening)
        async with aclosing(self._frames(source)) as frames:
            following: asyncio.Task[bytes | None] = asyncio.create_task(_next(frames))
            gone = asyncio.create_task(_disconnected(receive))
            leaving = asyncio.create_task(self._leaving.wait())
            overdue = asyncio.create_task(self._cut_off_when_overdue())
            helpers: list[asyncio.Task[Any]] = [gone, leaving]
            try:
                while True:
                    happened = await self._wait([following, *helpers])
                    if gone in happened:
                        return
                    if leaving in happened:
                        await write(self._framing.farewell(self._retry_after))
                        break
                    if self._seconds_left() <= 0:
                        refusal = Unauthenticated("The token has expired; subscribe again with a new one.")
                        await write(self._framing.failed([format_refusal(refusal)]))
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
                for task in (following, overdue, *helpers):
                    task.cancel()
                await asyncio.gather(following, overdue, *helpers, return_exceptions=True)
        await send({"type": "http.response.body", "body": b""})

    async def _wait(self, tasks: list[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
        """Wait until something happens, the token is over, or it is time for a beat (then nothing is returned)."""
        beat_at = time.monotonic() + (self._runtime.settings.ping_seconds or float("inf"))
        while True:
            seconds = min(beat_at - time.monotonic(), self._seconds_left(), _LONGEST_SLEEP_SECONDS)
            done, _ = await asyncio.wait(tasks, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
            if done or self._seconds_left() <= 0 or time.monotonic() >= beat_at:
                return done

    async def _cut_off_when_overdue(self) -> None:
        """Cut off a client that has stopped reading when its token expires: it cannot be told."""
        if self._cut_off is None:  # a server that is not ours
            return
        seconds = self._seconds_left() + _LAST_WORD_SECONDS
        while seconds > 0:
            await asyncio.sleep(min(seconds, _LONGEST_SLEEP_SECONDS))
            seconds = self._seconds_left() + _LAST_WORD_SECONDS
        self._cut_off()

    def _seconds_left(self) -> float:
        expires_at = self._viewer.expires_at if self._viewer else None
        return float("inf") if expires_at is None else expires_at - time.time()

    async def _frames(self, source: ObservedSubscription) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(source.events()) as events:
                async for response in events:
                    yield self._framing.next(response)
            yield self._framing.complete()
        except SubscriptionFailed as failure:
            yield self._framing.failed(failure.errors)


def check_room(viewer: Viewer, scope: Scope, runtime: Runtime) -> None:
    """Raise RateLimited if there may be no more streams, of this user or at all."""
    settings = runtime.settings
    if runtime.sockets_and_streams >= settings.max_sockets:
        raise RateLimited(f"This gateway has {settings.max_sockets} sockets and streams open, which is the limit.")
    key, most = user_key(viewer, scope), settings.max_sockets_per_user
    if key is not None and most and runtime.sockets_of_users[key] >= most:
        raise RateLimited(f"This user has {most} sockets and streams open, which is the limit.")


def user_key(viewer: Viewer, scope: Scope) -> str | None:
    """Return what the sockets and streams of a user are counted by; None for who has no limit of them."""
    return key_of(viewer, scope) if viewer.kind is ViewerKind.USER else None


async def _next(frames: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(frames, None)


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
