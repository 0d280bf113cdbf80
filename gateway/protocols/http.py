"""HTTP connections whose requests are bounded in size and time before anybody looks at them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from userline.gateway.drain import Drain
from userline.gateway.lane.lane import whole
from userline.gateway.lane.lookups import Lookup
from userline.gateway.protocols.cycle import Connection, Cycle, HeldHeads
from userline.gateway.protocols.deadline import Deadline
from userline.gateway.protocols.framing import Chunked, Sized
from userline.gateway.protocols.heads import HEAD_END, KnownHeads, check_beginning, start_of_head
from userline.gateway.protocols.inflow import Inflow, Unparsed
from userline.gateway.protocols.linger import linger
from userline.gateway.protocols.reaped import REAPED, Reason
from userline.gateway.protocols.refusals import STOPPING, Malformed, refusal
from userline.gateway.protocols.stuck import StuckWatch
from userline.gateway.protocols.turns import Turns

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Awaitable

    from starlette.types import Scope
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from userline.execution.operation import Response
    from userline.gateway.lane.lane import Lane
    from userline.gateway.protocols.heads import Head

_BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive, its trailers included."""
_BODY_LATE: Final = f"The body took {_BODY_SECONDS:g} s"

_UNWANTED_BYTES: Final = 1_048_576
"""How much of a body is read on after its request was answered, so that the connection can be kept."""

_STOPPING_SECONDS: Final = 1.0
"""How long a client that does not read has left when the gateway stops."""


class BoundedHTTPProtocol(asyncio.Protocol):
    """One connection: finds where requests begin and end, and has them answered one after the other.

    The next request is not looked at before the one under way is answered and read to its end, so that answers leave
    in the order of their requests, refusals and handshakes among them. What waits is bounded, because the connection is
    not read from meanwhile. The start of a request is offered to the fast lane first; what the lane leaves alone goes
    to the application. What is no HTTP is answered, and after that nothing of the connection is looked at.
    """

    max_header_bytes: ClassVar[int] = 16_384
    header_seconds: ClassVar[float] = 10.0
    lane: ClassVar[Lane | None] = None
    drain: ClassVar[Drain]
    known_heads: ClassVar[KnownHeads]
    held_heads: ClassVar[HeldHeads]
    turns: ClassVar[Turns]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.config = config
        self.app = config.loaded_app
        self.loop = _loop or asyncio.get_event_loop()
        self.server_state = server_state
        self.app_state = app_state
        self.cycle: Cycle | None = None
        """The request under way, or the one before it."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the time that the first request has to arrive."""
        self.server_state.connections.add(self)  # type: ignore[arg-type]  # Uvicorn calls shutdown() and nothing else
        self.transport = transport
        self.server = get_local_addr(transport)
        self.client = get_remote_addr(transport)
        self.scheme = "https" if is_ssl(transport) else "http"
        self._unparsed = Unparsed(transport)
        self.flow = Inflow(transport, self._unparsed, self._parse_soon)
        self._body: Sized | Chunked | None = None
        """How the body under way is framed, if it is not there whole."""
        self._unwanted = 0
        self._is_answering = False
        """Whether the lane has an answer under way."""
        self._waits = False
        """Whether parsing goes on in a later turn."""
        self._is_closing = False
        self._is_over = False
        """Whether nothing more of what comes in is looked at."""
        self._deadline = Deadline(self.loop, self._time_out)
        self._keep_alive: asyncio.TimerHandle | None = None
        self._active_at = 0.0
        self._connection = Connection(
            transport, self.flow, self.server_state, self.held_heads, self._on_response_complete
        )
        self._stuck = StuckWatch(transport, self.loop, self._cut_off)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was still to be done."""
        self._is_over = True
        self._unparsed.clear()
        self._stop_timers()
        self._stuck.stop()
        self._disconnect()
        self.cycle = self._body = None
        self.server_state.connections.discard(self)  # type: ignore[arg-type]
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse what is there, until enough of it is under way."""
        if self._is_over:
            return
        self._unparsed.append(data)
        if self._waits:
            self.flow.balance()
        else:
            self._parse()

    def eof_received(self) -> bool:
        """Answer what was asked for whole, and then close; a client may say that it has nothing more to say."""
        self.flow.at_end = True
        self._close_if_answered()
        return not (self._is_over or self.transport.is_closing())

    def _close_if_answered(self) -> None:
        """After the last word of the client, close as soon as nothing that it said is left to be done."""
        if self._is_over or self._waits or self._is_answering or self.flow.read_paused:
            return
        if self._body is not None:
            self._disconnect()  # half a request is none
            self.transport.close()
        elif self._is_busy():
            self.cycle.half_close()  # type: ignore[union-attr]  # it is there if it is busy
        else:
            self.transport.close()

    def _parse_soon(self) -> None:
        if not self._waits:
            self._waits = True
            self.loop.call_soon(self._parse)

    def _parse(self) -> None:
        self._waits = False
        if self._is_over:
            return
        try:
            self._parse_on()
        except Malformed as error:
            REAPED[Reason.LARGE_HEADERS if error.status == 431 else Reason.MALFORMED] += 1
            self._refuse(error.status, error.field, str(error))
        self.flow.balance()
        if self.flow.at_end:
            self._close_if_answered()

    def _parse_on(self) -> None:
        unparsed = self._unparsed
        goes_on = False
        while (
            unparsed.position < len(unparsed.data)
            and not self._is_over
            and not self._is_answering
            and not self.flow.read_paused
        ):
            if goes_on and self.turns.is_over():
                self._waits = True
                self.turns.wait(self._parse)
                return
            goes_on = True
            if self._body is not None:
                if not self._take_body(self._body):
                    return
            elif self._is_busy() or not (self._answer() or self._begin()):
                return

    def _is_busy(self) -> bool:
        """Whether a request is under way whose answer is still to come."""
        return self.cycle is not None and not self.cycle.response_complete

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
        if self._keep_alive is None:
            self._await_next_request(self.config.timeout_keep_alive)
        self.server_state.total_requests += 1
        if isinstance(answer, bytes):
            self.transport.write(answer)
            return True
        self._is_answering = True
        if isinstance(answer, Lookup):
            answer.then(self._answer_lookup)
        else:
            tasks = self.server_state.tasks
            task = self.loop.create_task(self._answer_later(answer))
            task.add_done_callback(tasks.discard)
            tasks.add(task)
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
        self._is_answering = False
        self._active_at = self.loop.time()
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if self._is_closing:
            self.transport.close()
        elif self._unparsed or self.flow.at_end:
            self._parse()

    def _begin(self) -> bool:
        """Begin the next request, and return whether its head is there. Raises Malformed."""
        unparsed = self._unparsed
        unparsed.position = start = start_of_head(unparsed.data, unparsed.position)
        data, most = unparsed.data, self.max_header_bytes
        found = data.find(HEAD_END, max(start, unparsed.searched - len(HEAD_END)), start + most)
        if found < 0:
            if len(data) - start >= most:
                raise Malformed("headers", f"The headers are larger than {most} bytes, which is the limit.", 431)
            check_beginning(data, start)
            unparsed.searched = len(data)
            if not self._deadline.is_set:
                self._await_headers()
            return False
        body_start = found + len(HEAD_END)
        head = self.known_heads.of_bytes(data[start:body_start])
        unparsed.position = body_start
        self._deadline.clear()
        if head.is_handshake and self.config.ws_protocol_class is not None:
            self._begin_socket(head)
            return True
        cycle = Cycle(
            self._connection, self._make_scope(head), keep_alive=head.keep_alive, expects_continue=head.expects_continue
        )
        self.cycle = cycle
        self._begin_body(cycle, head)
        if self.drain.begun and not unparsed:
            cycle.keep_alive = False  # the next request on a connection that is kept would meet its end
        cycle.start(self.loop, self.app)
        return True

    def _begin_body(self, cycle: Cycle, head: Head) -> None:
        size = head.body_bytes
        if size == 0:
            cycle.feed_end()
            return
        self._unwanted = 0
        self._body = Chunked(self.max_header_bytes) if size is None else Sized(size)
        if size is None or len(self._unparsed) < size:
            self._deadline.set(_BODY_SECONDS, _BODY_LATE)
        if size is not None and self._unparsed:
            self._take_body(self._body)

    def _take_body(self, body: Sized | Chunked) -> bool:
        """Give the request what is there of its body; return whether there was anything. Raises Malformed."""
        unparsed = self._unparsed
        start = unparsed.position
        content, unparsed.position = body.decode(unparsed.data, start)
        cycle = self.cycle if self._is_busy() else None
        if cycle is None:
            self._unwanted += unparsed.position - start
        elif content:
            cycle.feed(content)
        if body.is_complete:
            self._body = None
            self._deadline.clear()
            if cycle is not None:
                cycle.feed_end()
        elif self._unwanted > _UNWANTED_BYTES:
            self._end()
        return unparsed.position > start

    def _make_scope(self, head: Head) -> Scope:
        root_path = self.config.root_path
        return {
            "type": "http",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": head.method,
            "root_path": root_path,
            "path": root_path + head.path,
            "raw_path": root_path.encode("ascii") + head.raw_path,
            "query_string": head.query_string,
            "headers": head.headers.copy(),
            "state": {**self.app_state, "cut_off": self._cut_off},  # for a client that does not read its answer
        }

    def _begin_socket(self, head: Head) -> None:
        """Hand the connection over to WebSocket, unless it would have to end at once."""
        if self.drain.begun:
            self.transport.write(STOPPING)
            self._end()
            return
        self._is_over = True
        self._stop_timers()
        self._stuck.stop()
        self.server_state.connections.discard(self)  # type: ignore[arg-type]
        target = head.raw_path + (b"?" + head.query_string if head.query_string else b"")
        lines = [b"%b: %b\r\n" % header for header in head.headers if header[0] != b"content-length"]
        handshake = b"GET %b HTTP/1.1\r\n%b\r\n" % (target, b"".join(lines))
        what_follows = self._unparsed.take(len(self._unparsed))
        self._unparsed.clear()
        self.flow.balance()
        make: Any = self.config.ws_protocol_class
        protocol = make(config=self.config, server_state=self.server_state, app_state=self.app_state)
        protocol.connection_made(self.transport)
        if self.flow.write_paused:
            protocol.pause_writing()
        self.transport.set_protocol(protocol)
        protocol.data_received(handshake + what_follows)

    def _on_response_complete(self) -> None:
        """Go on to the next request; the timer of the one before stays for it."""
        self._active_at = self.loop.time()
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._is_over:
            return
        if self.cycle is not None and not self.cycle.keep_alive:
            self._end()
            return
        self.flow.resume_reading()
        if self._unparsed or self.flow.at_end:
            self._parse_soon()
        if self._keep_alive is None:
            self._await_next_request(self.config.timeout_keep_alive)

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        self.flow.pause_writing()
        self._stuck.start()

    def resume_writing(self) -> None:
        """Go on with what waited for the client to read."""
        self.flow.resume_writing()
        self._stuck.stop()
        if not self._is_busy():
            self.flow.resume_reading()

    def _cut_off(self) -> None:
        self._disconnect()
        self.transport.abort()

    def _disconnect(self) -> None:
        """Tell the application that nobody reads its answer."""
        if self.cycle is not None:
            self.cycle.disconnect()

    def shutdown(self) -> None:
        """Close when the answer that is under way is sent."""
        if self._is_answering:
            self._is_closing = True
        elif self._is_busy():
            self.cycle.keep_alive = False  # type: ignore[union-attr]  # it is there if it is busy
        else:
            self.transport.close()
        if self.flow.write_paused:
            self.loop.call_later(_STOPPING_SECONDS, self._cut_off)

    def _await_headers(self) -> None:
        self._deadline.set(self.header_seconds, f"The headers took {self.header_seconds:g} s")

    def _await_next_request(self, seconds: float) -> None:
        self._keep_alive = self.loop.call_later(seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        """Close a connection on which nothing happened for as long as it is kept."""
        self._keep_alive = None
        if self.transport.is_closing():
            return
        left = self._active_at + self.config.timeout_keep_alive - self.loop.time()
        busy = self._is_answering or self._unparsed or self._is_busy() or self._body is not None
        if left > 0 or busy or self.transport.get_write_buffer_size():
            self._await_next_request(max(left, 1.0))
        else:
            self.transport.close()

    def _stop_timers(self) -> None:
        self._deadline.stop()
        if self._keep_alive is not None:
            self._keep_alive.cancel()
            self._keep_alive = None

    def _time_out(self, what: str) -> None:
        REAPED[Reason.SLOW_REQUEST] += 1
        self._refuse(408, "request", f"{what} to arrive, which is the limit.")

    def _refuse(self, status: int, field: str, message: str) -> None:
        """Answer in place of the application what is no request, and look at nothing more of the connection."""
        if self._is_over or self.transport.is_closing():
            return
        has_begun = self._is_busy() and self.cycle is not None and self.cycle.response_started
        was_answered = self._body is not None and not self._is_busy()
        self._disconnect()
        if not has_begun and not was_answered:
            self.transport.write(refusal(status, field, message))
        self._end()

    def _end(self) -> None:
        """Close; who is still sending has some time to read the last answer first."""
        is_sending = self._body is not None or self._unparsed
        self._is_over = True
        self._body = None
        self._unparsed.clear()
        self._stop_timers()
        if is_sending and not self.flow.at_end:
            self.flow.read_paused = False
            self.flow.balance()
            linger(self.transport, self.loop)
        else:
            self.transport.close()


def make_http_protocol(
    *,
    max_header_bytes: int,
    header_seconds: float,
    lane: Lane | None = None,
    drain: Drain | None = None,
    turns: Turns | None = None,
) -> type[BoundedHTTPProtocol]:
    """Return the protocol class with these limits."""
    attributes: dict[str, Any] = {
        "max_header_bytes": max_header_bytes,
        "header_seconds": header_seconds,
        "lane": lane,
        "drain": drain or Drain(0),
        "known_heads": KnownHeads(max_header_bytes),
        "held_heads": HeldHeads(),
        "turns": turns or Turns(),
    }
    return type("BoundedHTTPProtocol", (BoundedHTTPProtocol,), attributes)
