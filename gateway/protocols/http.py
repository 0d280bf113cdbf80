"""HTTP connections whose requests are bounded in size and time before anybody looks at them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from userline.gateway.drain import Drain
from userline.gateway.lane.lane import whole
from userline.gateway.lane.lookups import Lookup
from userline.gateway.protocols.cycle import Connection, Cycle, HeldHeads
from userline.gateway.protocols.deadline import Deadline
from userline.gateway.protocols.heads import PlainHeads
from userline.gateway.protocols.inflow import Inflow, Unparsed
from userline.gateway.protocols.reaped import REAPED, Reason
from userline.gateway.protocols.refusals import STOPPING, refusal
from userline.gateway.protocols.stuck import StuckWatch

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Awaitable

    from starlette.types import Scope

    from userline.execution.operation import Response
    from userline.gateway.lane.lane import Lane
    from userline.gateway.protocols.heads import Headers

_SLICE_BYTES: Final = 4096
"""How much is parsed before it is looked at whether to go on: small requests come by the hundred in one read."""

_BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive."""
_BODY_LATE: Final = f"The body took {_BODY_SECONDS:g} s"

_REQUESTS_A_TURN: Final = 32
"""How many pipelined requests the lane answers before other connections have their turn."""

_WAITING_BYTES: Final = 65_536
"""How much is read on while an answer is under way."""

_LINGER_SECONDS: Final = 1.0
"""How long a refused client may take to read why, before the connection is cut."""


class BoundedHTTPProtocol(HttpToolsProtocol):
    """Refuses header blocks that are too large (431) and requests that take too long to arrive (408).

    What has been read while reading is paused waits unparsed, so that pipelined requests cannot pile up. The start of
    a request is offered to the fast lane first; what the lane leaves alone goes to the application: at once if it is
    there as a whole and its head is plain, and through the connection's parser else.
    """

    max_header_bytes: ClassVar[int] = 16_384
    header_seconds: ClassVar[float] = 10.0
    lane: ClassVar[Lane | None] = None
    drain: ClassVar[Drain]
    plain_heads: ClassVar[PlainHeads]
    held_heads: ClassVar[HeldHeads]

    cycle: Cycle | None  # type: ignore[assignment]  # in place of Uvicorn's

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the time that the first request has to arrive."""
        super().connection_made(transport)
        self._unparsed = Unparsed()
        self.flow: Inflow = Inflow(transport, self._unparsed, _WAITING_BYTES, self._parse_soon)
        self._in_headers = True
        self._header_bytes = 0
        self._refused = False
        self._deadline = Deadline(self.loop, self._time_out)
        self._headers_late = f"The headers took {self.header_seconds:g} s"
        self._in_message = False
        self._answering = False
        self._turn_over = False
        self._closing = False
        self._active_at = 0.0
        self._connection = Connection(
            transport, self.flow, self.server_state, self.held_heads, self.on_response_complete
        )
        self._served: Cycle | None = None
        self._queued: deque[Cycle] = deque()
        self._stuck = StuckWatch(transport, self.loop, self._cut_off)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was still to be done."""
        self._disconnect()
        self.cycle = self._served = None
        self._queued.clear()
        self.connections.discard(self)
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self._let_go()

    def _let_go(self) -> None:
        """Nothing comes any more: drop all that refers back to this, so that no collection has to find it."""
        self._refused = True
        self._stop_timers()
        self._stuck.end()
        self.flow.end()
        self.parser = self.scope = None  # type: ignore[assignment]
        del self._connection

    def data_received(self, data: bytes) -> None:
        """Parse what is there, until enough of it is under way."""
        if self._refused:
            return
        self._unparsed.append(data)
        if self._turn_over:
            self.flow.balance()
        else:
            self._parse()

    def _parse_soon(self) -> None:
        if not self._turn_over:
            self._turn_over = True
            self.loop.call_soon(self._parse)

    def _parse(self) -> None:
        self._turn_over = False
        if not self._refused:
            self._parse_on()
            self.flow.balance()

    def _parse_on(self) -> None:
        answered = 0
        unparsed = self._unparsed
        while (
            unparsed.position < len(unparsed.data)
            and not self._refused
            and not self._answering
            and not self.flow.read_paused
        ):
            if self._is_between_requests():
                if answered == _REQUESTS_A_TURN:
                    self._parse_soon()
                    return
                if self._answer():
                    answered += 1
                    continue
                if self._begin_whole():
                    continue
            part = unparsed.take(_SLICE_BYTES)
            raw = len(part) if self._in_headers else 0
            if self._in_headers and not self._deadline.is_set:
                self._await_headers()
            super().data_received(part)
            if self._is_over():
                return
            if self._in_headers:
                # A name or value that does not end is known to the parser alone.
                self._raw_bytes += raw
                if max(self._header_bytes, self._raw_bytes) > self.max_header_bytes:
                    self._refuse_headers()

    def _is_over(self) -> bool:
        """Whether nothing more is parsed here, because the connection closes or is a socket now."""
        if self.transport.get_protocol() is not self:
            self._let_go()
            return True
        if self.transport.is_closing():
            self._unparsed.clear()
            self._stop_timers()
            return True
        return False

    def _is_between_requests(self) -> bool:
        """Whether what comes next is the start of a request, with no other one under way."""
        cycle = self.cycle
        return not self._in_message and (cycle is None or cycle.response_complete)

    def _answer(self) -> bool:
        """Let the lane answer the next request; return whether it does, or has to wait for the client to read on."""
        lane = self.lane
        if lane is None or self.drain.begun:
            return False
        if self.flow.write_paused:
            self.flow.pause_reading()
            return True
        unparsed = self._unparsed
        found = lane.take(unparsed.data, unparsed.position, self.client, self.server_state.default_headers)
        if found is None:
            return False
        answer, unparsed.position = found
        self._active_at = self.loop.time()
        self._deadline.clear()
        if self.timeout_keep_alive_task is None:
            self._await_next_request(self.timeout_keep_alive)
        self.server_state.total_requests += 1
        if isinstance(answer, bytes):
            self.transport.write(answer)
            return True
        self._answering = True
        if isinstance(answer, Lookup):
            answer.then(self._answer_lookup)
        else:
            task = self.loop.create_task(self._answer_later(answer))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)
        return True

    async def _answer_later(self, answer: Awaitable[bytes]) -> None:
        try:
            made = await answer
        except BaseException:
            self.transport.abort()  # nobody is left without an answer for ever
            raise
        self._write_late(made)

    def _answer_lookup(self, lookup: Lookup, response: Response) -> None:
        self._write_late(whole(lookup.before, response))

    def _write_late(self, answer: bytes) -> None:
        self._answering = False
        self._active_at = self.loop.time()
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if self._closing:
            self.transport.close()
        elif self._unparsed:
            self._parse()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._stuck.start()

    def resume_writing(self) -> None:
        """Go on with what waited for the client to read."""
        super().resume_writing()
        self._stuck.stop()
        if self._unparsed and self._is_between_requests():
            self.flow.resume_reading()

    def _begin_whole(self) -> bool:
        """Begin the next request without the parser, if all of it is there and its head is plain."""
        unparsed = self._unparsed
        data, start = unparsed.data, unparsed.position
        body_start = data.find(b"\r\n\r\n", start) + 4
        head = self.plain_heads.of_bytes(data[start:body_start]) if body_start >= start + 4 else None
        if head is None or len(data) < body_start + head.body_bytes:
            return False
        method, path, raw_path, query_string, headers, body_bytes = head
        unparsed.position = body_start + body_bytes
        self._deadline.clear()
        scope = self._make_scope(method, path, raw_path, query_string, headers.copy())
        self.cycle = cycle = Cycle(self._connection, scope)
        cycle.feed(data[body_start : unparsed.position])
        cycle.feed_end()
        self._begin(cycle)
        return True

    def _make_scope(self, method: str, path: str, raw_path: bytes, query_string: bytes, headers: Headers) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": method,
            "root_path": self.root_path,
            "path": self.root_path + path,
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query_string,
            "headers": headers,
            "state": {**self.app_state, "cut_off": self._cut_off},  # for a client that does not read its answer
        }

    def _begin(self, cycle: Cycle) -> None:
        self._served = cycle
        if self.drain.begun and not self._queued:
            cycle.keep_alive = False  # the next request on a connection that is kept would meet its end
        cycle.start(self.loop, self.app)

    def _cut_off(self) -> None:
        self._disconnect()
        self.transport.abort()

    def _disconnect(self) -> None:
        """Tell the application that nobody reads its answer."""
        if self._served is not None:
            self._served.disconnect()
        if self.cycle is not None:
            self.cycle.disconnect()

    def shutdown(self) -> None:
        """Close when the answer that is under way is sent."""
        if self._answering:
            self._closing = True
        else:
            super().shutdown()
        if self.flow.write_paused:
            self.loop.call_later(_LINGER_SECONDS, self._cut_off)

    def handle_websocket_upgrade(self) -> None:
        """Begin a socket, unless it would have to end at once."""
        if self.drain.begun:
            self._deadline.clear()
            self.transport.write(STOPPING)
            self.transport.close()
        else:
            super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """Go on to the next request; the timer of the one before stays for it."""
        self._active_at = self.loop.time()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._queued:
            self._begin(self._queued.popleft())
        elif self.timeout_keep_alive_task is None:
            self._await_next_request(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """Leave the timer alone: it looks for itself whether the connection is in use."""

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing happened for as long as it is kept."""
        self.timeout_keep_alive_task = None
        left = self._active_at + self.timeout_keep_alive - self.loop.time()
        busy = self._answering or self._unparsed or not self._is_between_requests()
        if left > 0 or busy or self.transport.get_write_buffer_size():
            self._await_next_request(max(left, 1.0))
        else:
            super().timeout_keep_alive_handler()

    def _await_next_request(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        """Start to count a header block."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_message = True
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
            name = name.lower()
            self.headers.append((name, value))
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Give the body its time to arrive."""
        self._in_headers = False
        if self._header_bytes > self.max_header_bytes:
            self._refuse_headers()
            return
        self._deadline.set(_BODY_SECONDS, _BODY_LATE)
        parser = self.parser
        version, method = parser.get_http_version(), parser.get_method().decode("ascii")
        if parser.should_upgrade() and self._should_upgrade():
            self.scope = self._make_scope(method, "", b"", b"", self.headers)  # type: ignore[assignment]  # of a request
            return
        url = httptools.parse_url(self.url)
        scope = self._make_scope(method, unquote(url.path.decode("ascii")), url.path, url.query or b"", self.headers)
        scope["http_version"] = version
        keep_alive = version != "1.0" and parser.should_keep_alive()
        before = self.cycle
        self.cycle = Cycle(self._connection, scope, keep_alive=keep_alive, expects_continue=self.expect_100_continue)
        if before is None or before.response_complete:
            self._begin(self.cycle)
        else:
            self.flow.pause_reading()
            self._queued.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body of a request that was not refused."""
        if cycle := self._fed():
            cycle.feed(body)

    def _fed(self) -> Cycle | None:
        """Return the cycle that is to have the body that is being parsed, if there is one."""
        if self._refused or (self.parser.should_upgrade() and self._should_upgrade()):
            return None
        return None if self.cycle is None or self.cycle.response_complete else self.cycle

    def on_message_complete(self) -> None:
        """Go on to the next request."""
        self._deadline.clear()
        self._in_message = False
        self._in_headers = True
        self._raw_bytes = 0
        self._header_bytes = 0
        if cycle := self._fed():
            cycle.feed_end()

    _raw_bytes = 0

    def _await_headers(self) -> None:
        self._deadline.set(self.header_seconds, self._headers_late)

    def _stop_timers(self) -> None:
        self._deadline.stop()
        super()._unset_keepalive_if_required()

    def _time_out(self, what: str) -> None:
        REAPED[Reason.SLOW_REQUEST] += 1
        self._refuse(408, "request", f"{what} to arrive, which is the limit.")

    def _refuse_headers(self) -> None:
        REAPED[Reason.LARGE_HEADERS] += 1
        self._refuse(431, "headers", f"The headers are larger than {self.max_header_bytes} bytes, which is the limit.")

    def _refuse(self, status: int, field: str, message: str) -> None:
        """Answer, if no other answer is under way, and cut the connection when the client had time to read."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._unparsed.clear()
        self._deadline.clear()
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(refusal(status, field, message))
            if self.transport.can_write_eof():
                self.transport.write_eof()
        # Closed at once, the client might see a reset in place of the answer, because it has sent more than was read.
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)


def make_http_protocol(
    *, max_header_bytes: int, header_seconds: float, lane: Lane | None = None, drain: Drain | None = None
) -> type[BoundedHTTPProtocol]:
    """Return the protocol class with these limits."""
    attributes: dict[str, Any] = {
        "max_header_bytes": max_header_bytes,
        "header_seconds": header_seconds,
        "lane": lane,
        "drain": drain or Drain(0),
        "plain_heads": PlainHeads(max_header_bytes),
        "held_heads": HeldHeads(),
    }
    return type("BoundedHTTPProtocol", (BoundedHTTPProtocol,), attributes)
