"""WebSockets between clients and gateways, from the client's end to the ASGI application, without bytes in between."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from userline.server.direct import DIRECT, DirectSocket

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.simulation.gateway import Gateway
    from tests.simulation.world import World

_MOST_UNREAD: Final = 2000
"""How many bytes the client may leave unread before the gateway has to wait."""

_UNHEARD_SECONDS: Final = 20.0
"""When a gateway ends a socket whose client does not answer its pings."""

_LENGTH_IN_2_BYTES, _LENGTH_IN_8_BYTES = 126, 127

ABNORMAL: Final = 1006
RESTART: Final = 1012


class SocketClosed(Exception):
    """The socket is closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class HandshakeRefused(Exception):
    """The gateway has answered the handshake with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Connection:
    """One socket. What a client calls stands first, then what the application calls."""

    def __init__(self, world: World, gateway: Gateway, who: str) -> None:
        self.gateway = gateway
        self.subprotocol: str | None = None
        self.delay = world.random.choice((0.0002, 0.002, 0.02))
        self.heard = 0
        """How many bytes the client has received."""
        self._world = world
        self._random = world.random
        self._loop = world.loop
        self._who = who
        self.is_silent = False
        """Whether nothing comes through any more."""
        self._accepted: asyncio.Future[None] = world.loop.create_future()
        self._closed: SocketClosed | None = None
        """How it was closed, as the client has seen it."""
        self._is_over = False
        """Whether the gateway's end is closed."""
        self._to_client: deque[str] = deque()
        self._client: asyncio.Future[None] | None = None
        self._to_gateway: deque[dict[str, Any]] = deque([{"type": "websocket.connect"}])
        self._application: asyncio.Future[None] | None = None
        self._unread = 0
        self._direct = DirectSocket()
        self._direct.transport = _Transport(self)  # type: ignore[assignment]
        self._writable = asyncio.Event()
        self._writable.set()
        self._free_at = [0.0, 0.0]
        self._task: asyncio.Task[None] | None = None

    # The client's end.

    async def open(self) -> None:
        """Connect. Raises OSError, HandshakeRefused and SocketClosed."""
        await asyncio.sleep(self._pause())
        if not self.gateway.is_up:
            raise ConnectionRefusedError("there is no gateway")
        self._task = self.gateway.do(self._serve())
        self.gateway.connections.append(self)
        await self._accepted

    def say(self, text: str) -> None:
        """Send a message. Raises SocketClosed."""
        if self._closed is not None:
            raise self._closed
        self._later(0, self._tell_application, {"type": "websocket.receive", "text": text})

    async def hear(self) -> str:
        """Return the next message. Raises SocketClosed."""
        while not self._to_client:
            if self._closed is not None:
                raise self._closed
            self._client = self._loop.create_future()
            try:
                await self._client
            finally:
                self._client = None
        text = self._to_client.popleft()
        self._has_read(len(text))
        return text

    def close(self, code: int = 1000) -> None:
        """Close the socket."""
        if self._closed is None:
            self._closed = SocketClosed(code, "")
            self._later(0, self._end, code)
            _wake(self._client)

    def abort(self) -> None:
        """Forget the socket, without a word to the gateway."""
        self._lose()
        if not self.is_silent:
            self._later(0, self._end, ABNORMAL)

    def ping(self) -> None:
        """Ask whether somebody is there: the answer counts as heard."""
        if not self.is_silent and not self._is_over:
            self._later(0, self._later, 1, self._pong)

    # What becomes of it on the way.

    def cut(self, *, is_silent: bool) -> None:
        """Cut it: both ends see that at once, or neither does."""
        if is_silent:
            self.is_silent = True
            self._loop.call_later(_UNHEARD_SECONDS, self._end, ABNORMAL)
            return
        self._lose()
        self._end(ABNORMAL)

    def restart(self) -> None:
        """Close it from the gateway's end, because that is stopped."""
        if not self._is_over:
            self._later(1, self._close_client, RESTART, f"Service restart; retry after {self._random.random():.1f} s")
            self._end(RESTART)

    # The application's end.

    async def _serve(self) -> None:
        scope: dict[str, Any] = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "subprotocols": ["graphql-transport-ws"],
            "client": (self._who, 1),
            "server": ("simulated", 80),
            "extensions": {"websocket.http.response": {}},
            "state": {DIRECT: self._direct},
        }
        try:
            await self.gateway.app(scope, self._receive, self._send)
        finally:
            if not self._is_over:
                self._later(1, self._close_client, ABNORMAL, "")
                self._end(ABNORMAL)
            if self in self.gateway.connections:
                self.gateway.connections.remove(self)

    async def _receive(self) -> dict[str, Any]:
        while not self._to_gateway:
            self._application = self._loop.create_future()
            try:
                await self._application
            finally:
                self._application = None
        return self._to_gateway.popleft()

    async def _send(self, event: MutableMapping[str, Any]) -> None:
        match event["type"]:
            case "websocket.accept":
                self._direct.handshake_complete = True
                self._later(1, self._accept, event.get("subprotocol"))
            case "websocket.http.response.start":
                self._is_over = True
                self._later(1, self._refuse, event["status"])
            case "websocket.send":
                await self._writable.wait()
                if self._is_over:
                    raise OSError("the client is gone")
                self.write(event["text"])
            case "websocket.close":
                if not self._is_over:
                    code, reason = event.get("code", 1000), event.get("reason") or ""
                    self._later(1, self._close_client, code, reason)
                    self._end(code)

    def write(self, text: str) -> None:
        """Send a message to the client, who may read it when it likes."""
        if self._is_over:
            return
        self._unread += len(text)
        if self._unread > _MOST_UNREAD:
            self._direct.is_paused = True
            self._writable.clear()
        self._later(1, self._tell_client, text)

    @property
    def is_closed(self) -> bool:
        """Whether the client's end is closed."""
        return self._closed is not None

    @property
    def is_over(self) -> bool:
        """Whether the gateway's end is closed."""
        return self._is_over

    def _has_read(self, size: int) -> None:
        self._unread -= size
        if self._direct.is_paused and self._unread <= _MOST_UNREAD // 2 and not self.is_silent:
            self._direct.is_paused = False
            self._writable.set()
            if self._direct.on_writable is not None:
                self._direct.on_writable()

    def _end(self, code: int) -> None:
        """Tell the application that it is over."""
        if self._is_over:
            return
        self._is_over = self._direct.close_sent = True
        self._writable.set()
        self._tell_application({"type": "websocket.disconnect", "code": code})

    def _tell_application(self, event: dict[str, Any]) -> None:
        self._to_gateway.append(event)
        _wake(self._application)

    def _tell_client(self, text: str) -> None:
        if self._closed is None:
            self.heard += len(text)
            self._to_client.append(text)
            _wake(self._client)

    def _accept(self, subprotocol: str | None) -> None:
        self.subprotocol = subprotocol
        if not self._accepted.done():
            self._accepted.set_result(None)

    def _refuse(self, status: int) -> None:
        if not self._accepted.done():
            self._accepted.set_exception(HandshakeRefused(status))

    def _pong(self) -> None:
        self.heard += 2

    def _close_client(self, code: int, reason: str) -> None:
        if self._closed is None:
            self._closed = SocketClosed(code, reason)
            _wake(self._client)
            if not self._accepted.done():
                self._accepted.set_exception(self._closed)
                self._accepted.exception()  # who connects may have given up

    def _lose(self) -> None:
        self._close_client(ABNORMAL, "")

    def _later(self, direction: int, what: Any, *arguments: Any) -> None:
        """Have something happen at the other end, after what was sent there before."""
        if self.is_silent:
            return
        due = max(self._loop.time() + self._pause(), self._free_at[direction] + 1e-7)
        self._free_at[direction] = due
        self._loop.call_at(due, self._arrive, what, arguments)

    def _arrive(self, what: Any, arguments: Any) -> None:
        if not self.is_silent:
            what(*arguments)

    def _pause(self) -> float:
        return self._random.random() * self.delay


class _Transport:
    """Takes the frames that a gateway writes without an ASGI message."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, frame: bytes) -> None:
        length = frame[1]
        start = 2 + {_LENGTH_IN_2_BYTES: 2, _LENGTH_IN_8_BYTES: 8}.get(length, 0)
        self._connection.write(frame[start:].decode())

    def is_closing(self) -> bool:
        return self._connection.is_over


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
