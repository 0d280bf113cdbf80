"""One request and its response in ASGI: what the application receives, and what it sends as HTTP/1.1."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from asyncio import Task, Transport
    from collections.abc import Callable, Iterable

    from starlette.types import ASGIApp, Message, Scope
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

logger = logging.getLogger("uvicorn.error")

_LINES: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
"""Header lines and nothing else (RFC 9110, 5.1 and 5.5), but for how many they are."""

_FRAMING: Final = frozenset((b"connection", b"content-length", b"transfer-encoding"))
"""Headers of which follows what comes behind them."""

_COPIED_BYTES: Final = 65_536
"""Up to which size a body is copied behind its head; two parts of a write cost more than that."""

_FAILED: Final = (
    {
        "type": "http.response.start",
        "status": 500,
        "headers": [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"21"),
            (b"connection", b"close"),
        ],
    },
    {"type": "http.response.body", "body": b"Internal Server Error"},
)


class HeldHeads:
    """Response heads whose body did not come at once; they are sent at the end of the turn. For one event loop."""

    def __init__(self) -> None:
        self._held: list[Cycle] = []

    def add(self, cycle: Cycle) -> None:
        """Have the head of a cycle sent soon, if its body does not come before."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._flush)
        self._held.append(cycle)

    def _flush(self) -> None:
        held, self._held = self._held, []
        for cycle in held:
            cycle.flush()


class Connection(NamedTuple):
    """What the request cycles of one connection share."""

    transport: Transport
    flow: FlowControl
    server: ServerState
    held_heads: HeldHeads
    can_be_kept: Callable[[], bool]
    """Asked when an answer begins before the request has come whole."""
    on_response: Callable[[], None]
    """Called when a cycle's answer is complete; it closes the connection if it is not to be kept."""


class Cycle:
    """The request cycle: like Uvicorn's ``RequestResponseCycle``, for applications that follow ASGI.

    An answer is checked as it is sent: its headers (what is no header line is an error), and its length by what
    ``content-length`` says. Its head waits for the first part of its body, to be written with it.
    """

    __slots__ = (
        "_arrived",
        "_body",
        "_chunked",
        "_connection",
        "_flow",
        "_has_body",
        "_head",
        "_is_half_closed",
        "_is_read",
        "_left",
        "_more_body",
        "_ready",
        "_scope",
        "_task",
        "_transport",
        "disconnected",
        "expects_continue",
        "keep_alive",
        "response_complete",
        "response_started",
    )

    def __init__(
        self, connection: Connection, scope: Scope, *, keep_alive: bool = True, expects_continue: bool = False
    ) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._flow = connection.flow
        self._scope = scope
        self._task: Task[None] | None = None
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        """Whether the client waits for a word before it sends the body."""
        self.disconnected = False
        self.response_started = False
        self.response_complete = False

        self._body = b""
        self._more_body = True
        self._is_read = False
        """Whether the application has all of the body."""
        self._is_half_closed = False
        """Whether the client has said its last word: it is gone for who waits for that, and may still read."""
        self._arrived = False
        """Whether there is something that the application has not been told."""
        self._ready: asyncio.Event | None = None
        """Set when there is, for an application that waits for it."""

        self._head: bytes | None = None
        self._has_body = scope["method"] != "HEAD"
        self._chunked: bool | None = None
        self._left: int | None = 0
        """How many bytes of the answer's body are still to be sent; None: it ends with the connection."""

    def start(self, loop: asyncio.AbstractEventLoop, app: ASGIApp) -> None:
        """Have the application answer, in a task that is among the server's until it is done."""
        self._task = task = loop.create_task(self._run(app))
        self._connection.server.tasks.add(task)

    def feed(self, body: bytes) -> None:
        """Take a part of the body; stop to read where the application does not keep up."""
        self._body += body
        if len(self._body) > HIGH_WATER_LIMIT:
            self._flow.pause_reading()
        self._tell()

    def feed_end(self) -> None:
        """The request is complete."""
        self._more_body = False
        self._tell()

    def disconnect(self) -> None:
        """Nobody is there any more to read an answer that is not complete."""
        if not self.response_complete:
            self.disconnected = True
        self._tell()

    def half_close(self) -> None:
        """The client has said its last word. It is gone for who waits for it, and gets what is sent nevertheless."""
        self._is_half_closed = True
        self._tell()

    def flush(self) -> None:
        """Write a head that waits for its body."""
        if self._head is not None:
            head, self._head = self._head, None
            if not self._transport.is_closing() and not self.disconnected:
                self._transport.write(head)

    def _tell(self) -> None:
        self._arrived = True
        if self._ready is not None:
            self._ready.set()

    async def _run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._receive, self._send)
        except BaseException as error:  # noqa: BLE001 - nobody else would hear of it
            await self._fail("Exception in ASGI application", error)
        else:
            if self._is_half_closed and self.response_started and not self.response_complete:
                self.flush()
                self._transport.close()  # a stream, whose client may have gone
            elif not self.response_complete and not self.disconnected:
                what = "completing" if self.response_started else "starting"
                await self._fail(f"ASGI callable returned without {what} response.")
        finally:
            if self._task is not None:
                self._connection.server.tasks.discard(self._task)

    async def _fail(self, what: str, error: BaseException | None = None) -> None:
        logger.error(what, exc_info=error)
        if self.response_started:
            self.flush()
            self._transport.close()
        else:
            for message in _FAILED:
                await self._send(message)

    async def _receive(self) -> Message:
        if self.expects_continue and not self.disconnected and not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.expects_continue = False
        if not self.disconnected and not self.response_complete:
            self._flow.resume_reading()
            if not (self._arrived or (self._is_half_closed and self._is_read)):
                self._ready = self._ready or asyncio.Event()
                self._ready.clear()
                await self._ready.wait()
            self._arrived = False
        if self.disconnected or self.response_complete or (self._is_half_closed and self._is_read):
            return {"type": "http.disconnect"}
        body, self._body = self._body, b""
        self._is_read = not self._more_body
        return {"type": "http.request", "body": body, "more_body": self._more_body}

    async def _send(self, message: Message) -> None:
        if self._flow.write_paused and not self.disconnected:
            await self._flow.drain()
        if self.disconnected:
            return
        expected = "http.response.body" if self.response_started else "http.response.start"
        if self.response_complete or message["type"] != expected:
            expected = "nothing, the response is complete" if self.response_complete else expected
            raise RuntimeError(f"Unexpected ASGI message {message['type']!r}; expected is {expected}.")
        if self.response_started:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._head = self._make_head(message["status"], message.get("headers", ()))
            self.response_started = True
            self.expects_continue = False
            self._connection.held_heads.add(self)

    def _make_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the head of the answer, and note what follows from it."""
        if self._more_body and self.keep_alive:
            self.keep_alive = self._connection.can_be_kept()
        lines = [b"%b: %b\r\n" % header for header in self._connection.server.default_headers]
        chunked: bool | None = None
        left: int | None = 0
        says_close = False
        for any_case, value in headers:
            name = any_case.lower()
            lines.append(b"%b: %b\r\n" % (name, value))
            if name not in _FRAMING:
                continue
            if name == b"connection":
                says_close = says_close or b"close" in [token.strip() for token in value.lower().split(b",")]
            elif name == b"content-length" and chunked is None:
                chunked, left = False, int(value)
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                chunked, left = True, 0
        if not self.keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        if chunked is None and self._has_body and status not in (204, 304):
            # Chunks came with HTTP/1.1. Before that, the end of the connection is the end of the answer.
            chunked = self._scope["http_version"] != "1.0"
            left = None
            lines += [b"transfer-encoding: chunked\r\n"] * chunked
        block = b"".join(lines)
        if block.count(b"\r\n") != len(lines) or not _LINES.fullmatch(block):
            raise RuntimeError("Invalid HTTP header name or value.")
        self._chunked, self._left = chunked, left
        self.keep_alive = self.keep_alive and not says_close
        return b"%b%b\r\n" % (STATUS_LINE[status], block)

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if not self._has_body:
            body, self._left = b"", 0
        elif self._chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = body if more else body + b"0\r\n\r\n"
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError(f"Response content {'longer' if self._left < 0 else 'shorter'} than Content-Length")
        head, self._head = self._head, None
        if head is None:
            self._transport.write(body)
        elif len(body) <= _COPIED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        self._tell()
        self._connection.on_response()
