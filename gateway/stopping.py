"""What the signals to stop do: sockets are drained, then requests under way end, then the process."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn

from userline.server.websocket import BoundedWebSocketProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from userline.gateway.open_connections import OpenConnections
    from userline.server.drain import Drain, Leaving

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """Uvicorn's server, which drains sockets before it ends, and ends the process cleanly after a signal."""

    def __init__(self, config: uvicorn.Config, drain: Drain, connections: OpenConnections) -> None:
        super().__init__(config)
        self._drain = drain
        self._connections = connections
        self._leaving: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Call :meth:`handle_exit` for the signals to stop. After it, one ends the waiting, one more the process."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.add_signal_handler(number, self._give_up)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - Uvicorn's signature
        """Stop: spread over time at SIGTERM; at once at SIGINT and a second signal; by force at SIGINT after that."""
        if sig == signal.SIGINT and self._drain.is_hurried:
            self.force_exit = True
            self._drain.give_up()
        if sig == signal.SIGINT or self._leaving is not None:
            self._drain.hurry()
        if self._leaving is None:
            self._leaving = asyncio.get_running_loop().create_task(self._let_go(), name="userline-drain")

    def _give_up(self) -> None:
        self._drain.give_up()
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    async def _let_go(self) -> None:
        try:
            await self._drain.run(self._sockets)
        finally:
            self.should_exit = True

    def _sockets(self) -> list[Leaving]:
        """Return what lasts and has not been asked to leave: sockets, and streams over HTTP."""
        sockets = [
            connection
            for connection in self.server_state.connections
            if isinstance(connection, BoundedWebSocketProtocol) and not connection.close_sent
        ]
        return [*sockets, *(stream for stream in self._connections.streams if not stream.is_leaving)]
