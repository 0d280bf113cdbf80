"""HTTP connections whose requests are bounded in size and time before anybody looks at them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from userline.server.cut_offs import CUT_OFFS, Reason
from userline.server.cycle import Connection, Cycle, HeldHeads
from userline.server.deadline import Deadline
from userline.server.drain import Drain
from userline.server.express import Express
from userline.server.flow import ReadFlow, Unparsed
from userline.server.heads import KnownHeads
from userline.server.linger import linger
from userline.server.reading import RequestReader
from userline.server.refusals import STOPPING, Malformed, refusal
from userline.server.stuck import StuckWatch
from userline.server.turns import Turns

if TYPE_CHECKING:
    from asyncio import Transport

    from starlette.types import Scope
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from userline.gateway.lane.lane import Lane
    from userline.server.heads import Head

_BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive, its trailers included."""
_BODY_LATE: Final = f"The body took {_BODY_SECONDS:g} s"

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
        self._asgi = {"version": config.asgi_version, "spec_version": "2.3"}
        self._root_path = config.root_path
        self._raw_root_path = config.root_path.encode("ascii")
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
        self.flow = ReadFlow(transport, self._unparsed, self._parse_soon)
        self._reader = RequestReader(self._unparsed, self.known_heads, self.max_header_bytes)
        self._express: Express | None = None
        if self.lane is not None:
            self._express = Express(self.lane, transport, self.client, self.server_state, self._on_answer_of_the_lane)
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
        self._disconnect()
        self.cycle = None
        self.server_state.connections.discard(self)
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self._let_go()

    def _let_go(self) -> None:
        """Nothing comes any more: drop all that refers back to this, so that no collection has to find it."""
        self._is_over = True
        self._stop_timers()
        self._stuck.end()
        self.flow.end()
        self._express = None
        del self._connection

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
        if self._is_over or self._waits or self._is_answering() or self.flow.read_paused:
            return
        if self._reader.has_body:
            self._disconnect()  # half a request is none
            self.transport.close()
        elif cycle := self._under_way():
            cycle.half_close()
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
            CUT_OFFS[Reason.LARGE_HEADERS if error.status == 431 else Reason.MALFORMED] += 1
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
            and not self._is_answering()
            and not self.flow.read_paused
        ):
            if goes_on and self.turns.is_over():
                self._waits = True
                self.turns.wait(self._parse)
                return
            goes_on = True
            start = unparsed.position
            if self._reader.has_body:
                self._take_body()
            elif not self._under_way() and not self._answer():
                self._begin()
            if unparsed.position == start:
                return

    def _under_way(self) -> Cycle | None:
        """Return the request whose answer by the application is still to come, if there is one."""
        cycle = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    def _is_answering(self) -> bool:
        """Whether an answer of the lane is still to come."""
        return self._express is not None and self._express.is_answering

    def _answer(self) -> bool:
        """Let the lane answer the next request; return whether it does, or has to wait for the client to read on."""
        if self._express is None or self.drain.begun:
            return False
        if self.flow.write_paused:
            self.flow.pause_reading()
            return True
        if not self._express.take(self._unparsed, self.loop):
            return False
        self._active_at = self.loop.time()
        self._deadline.clear()
        if self._keep_alive is None:
            self._await_next_request(self.config.timeout_keep_alive)
        return True

    def _on_answer_of_the_lane(self) -> None:
        self._active_at = self.loop.time()
        if self._is_closing:
            self.transport.close()
        elif self._unparsed or self.flow.at_end:
            self._parse()

    def _begin(self) -> None:
        """Begin the next request, if its head is there. Raises Malformed."""
        head = self._reader.head()
        if head is None:
            if not self._deadline.is_set:
                self._await_headers()
            return
        self._deadline.clear()
        if head.is_handshake and self.config.ws_protocol_class is not None:
            self._begin_socket(head)
            return
        cycle = Cycle(
            self._connection, self._make_scope(head), keep_alive=head.keep_alive, expects_continue=head.expects_continue
        )
        self.cycle = cycle
        body = self._reader.begin_body(head)
        if body is None:
            self._deadline.set(_BODY_SECONDS, _BODY_LATE)
            if self._unparsed:
                self._take_body()
        else:
            if body:
                cycle.feed(body)
            cycle.feed_end()
        if self.drain.begun and not self._unparsed:
            cycle.keep_alive = False  # the next request on a connection that is kept would meet its end
        cycle.start(self.loop, self.app)

    def _take_body(self) -> None:
        """Give the request what is there of its body. Raises Malformed."""
        cycle = self._under_way()
        if cycle is None:
            if not self._reader.pass_over():
                self._end()
                return
        elif content := self._reader.decode():
            cycle.feed(content)
        if not self._reader.has_body:
            self._deadline.clear()
            if cycle is not None:
                cycle.feed_end()

    def _make_scope(self, head: Head) -> Scope:
        return {
            "type": "http",
            "asgi": self._asgi.copy(),
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": head.method,
            "root_path": self._root_path,
            "path": self._root_path + head.path,
            "raw_path": self._raw_root_path + head.raw_path,
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
        self.server_state.connections.discard(self)
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
        self._let_go()
        protocol.data_received(handshake)
        if what_follows:
            protocol.data_received(what_follows)

    def _on_response_complete(self) -> None:
        """Go on to the next request; the timer of the one before stays for it."""
        self._active_at = self.loop.time()
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._is_over:
            return
        if self.cycle is not None and not self.cycle.keep_alive:
            self._end()
            return
        flow, unparsed = self.flow, self._unparsed
        if flow.read_paused:
            flow.resume_reading()
        if unparsed.position < len(unparsed.data) or flow.at_end:
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
        if not self._under_way():
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
        if self._is_answering():
            self._is_closing = True
        elif cycle := self._under_way():
            cycle.keep_alive = False
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
        busy = self._is_answering() or self._unparsed or self._under_way() or self._reader.has_body
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
        CUT_OFFS[Reason.SLOW_REQUEST] += 1
        self._refuse(408, "request", f"{what} to arrive, which is the limit.")

    def _refuse(self, status: int, field: str, message: str) -> None:
        """Answer in place of the application what is no request, and look at nothing more of the connection."""
        if self._is_over or self.transport.is_closing():
            return
        cycle = self._under_way()
        is_answered = cycle.response_started if cycle else self._reader.has_body
        self._disconnect()
        if not is_answered:
            self.transport.write(refusal(status, field, message))
        self._end(linger_anyway=True)

    def _end(self, *, linger_anyway: bool = False) -> None:
        """Close; who is still sending has some time to read the last answer first."""
        is_sending = linger_anyway or self._reader.has_body or self._unparsed
        self._is_over = True
        self._reader.drop()
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
