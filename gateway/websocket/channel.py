"""Sends messages to one socket and closes it; owns the tasks that end with it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.websockets import WebSocketDisconnect, WebSocketState

from userline.common import tasks

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.websockets import WebSocket

    from userline.gateway.websocket.protocol import Closed


class Channel:
    """Sends to the client of one socket."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._background: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether the gateway has not closed the socket."""
        return self._websocket.application_state is WebSocketState.CONNECTED

    async def send(self, text: str) -> None:
        """Send a message, waiting while the client reads slower than we write. Raises WebSocketDisconnect."""
        if not self.is_open:
            raise WebSocketDisconnect
        try:
            await self._websocket.send({"type": "websocket.send", "text": text})
        except RuntimeError as error:
            # The server below has closed the socket itself: a message past the limit, a ping without an answer.
            raise WebSocketDisconnect from error

    async def send_last(self, *texts: str) -> None:
        """Send messages, if the client is still there."""
        with contextlib.suppress(WebSocketDisconnect):
            for text in texts:
                await self.send(text)

    async def send_again_and_again(self, text: str, seconds: float) -> None:
        """Send a message now and then, or once if ``seconds`` is 0, as long as the client is there."""
        with contextlib.suppress(WebSocketDisconnect):
            await self.send(text)
            while seconds:
                await asyncio.sleep(seconds)
                await self.send(text)

    async def close(self, closed: Closed) -> None:
        """Close the socket, unless it is closed."""
        if self.is_open:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._websocket.close(closed.code, closed.reason)

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Do something beside what the socket reads, until the socket ends."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def end(self) -> None:
        """End what was started."""
        await tasks.end(self._background)
        self._background.clear()
