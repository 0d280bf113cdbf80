"""HTTP connections whose requests are bounded in size and time before anybody looks at them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from userline.execution.errors import format_refusal
from userline.users.errors import BadUserInput, Problem

if TYPE_CHECKING:
    from asyncio import TimerHandle, Transport
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_SLICE_BYTES: Final = 4096
"""How much is parsed before it is looked at whether to go on: small requests come by the hundred in one read."""

_BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive."""

_LINGER_SECONDS: Final = 1.0
"""How long a refused client may take to read why, before the connection is cut."""


class BoundedHTTPProtocol(HttpToolsProtocol):
    """Refuses header blocks that are too large (431) and requests that take too long to arrive (408).

    What has been read while reading is paused waits unparsed, so that pipelined requests cannot pile up.
    """

    max_header_bytes: ClassVar[int] = 16_384
    header_seconds: ClassVar[float] = 10.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the time that the first request has to arrive."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self._continue)
        self._unparsed = b""
        self._in_headers = True
        self._header_bytes = 0
        self._refused = False
        self._deadline: TimerHandle | None = None
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was still to be done."""
        self._unparsed = b""
        self._refused = True
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what is there, until enough of it is under way."""
        if self._refused:
            return
        self._unparsed = self._unparsed + data if self._unparsed else data
        self._parse()

    def _parse(self) -> None:
        while self._unparsed and not self._refused and not self.flow.read_paused:
            part, self._unparsed = self._unparsed[:_SLICE_BYTES], self._unparsed[_SLICE_BYTES:]
            raw = len(part) if self._in_headers else 0
            if self._in_headers and self._deadline is None:
                self._await_headers()
            super().data_received(part)
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                self._unparsed = b""
                self._clear_deadline()
                return
            if self._in_headers:
                # A name or value that does not end is known to the parser alone.
                self._raw_bytes += raw
                if max(self._header_bytes, self._raw_bytes) > self.max_header_bytes:
                    self._refuse_headers()

    def _continue(self) -> None:
        if self._unparsed and not self._refused:
            self.loop.call_soon(self._parse)

    def on_message_begin(self) -> None:
        """Start to count a header block."""
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0
        self._raw_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._header_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, with what separates it from the next."""
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes <= self.max_header_bytes:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Give the body its time to arrive."""
        self._in_headers = False
        if self._header_bytes > self.max_header_bytes:
            self._refuse_headers()
            return
        self._clear_deadline()
        self._deadline = self.loop.call_later(_BODY_SECONDS, self._time_out, f"The body took {_BODY_SECONDS:g} s")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body of a request that was not refused."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Go on to the next request."""
        self._clear_deadline()
        self._in_headers = True
        self._raw_bytes = 0
        self._header_bytes = 0
        if not self._refused:
            super().on_message_complete()

    _raw_bytes = 0

    def _await_headers(self) -> None:
        self._deadline = self.loop.call_later(
            self.header_seconds, self._time_out, f"The headers took {self.header_seconds:g} s"
        )

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _time_out(self, what: str) -> None:
        self._deadline = None
        self._refuse(408, "request", f"{what} to arrive, which is the limit.")

    def _refuse_headers(self) -> None:
        self._refuse(431, "headers", f"The headers are larger than {self.max_header_bytes} bytes, which is the limit.")

    def _refuse(self, status: int, field: str, message: str) -> None:
        """Answer, if no other answer is under way, and cut the connection when the client had time to read."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._unparsed = b""
        self._clear_deadline()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(_answer(status, field, message))
            if self.transport.can_write_eof():
                self.transport.write_eof()
        # Closed at once, the client might see a reset in place of the answer, because it has sent more than was read.
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)


class _Flow(FlowControl):
    """Flow control that says when reading goes on."""

    def __init__(self, transport: Transport, on_resume: Callable[[], None]) -> None:
        super().__init__(transport)
        self._on_resume = on_resume

    def resume_reading(self) -> None:
        was_paused = self.read_paused
        super().resume_reading()
        if was_paused:
            self._on_resume()


def make_http_protocol(*, max_header_bytes: int, header_seconds: float) -> type[BoundedHTTPProtocol]:
    """Return the protocol class with these limits."""
    attributes: dict[str, Any] = {"max_header_bytes": max_header_bytes, "header_seconds": header_seconds}
    return type("BoundedHTTPProtocol", (BoundedHTTPProtocol,), attributes)


def _answer(status: int, field: str, message: str) -> bytes:
    body = orjson.dumps({"errors": [format_refusal(BadUserInput([Problem(field, message)]))]})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
