"""One HTTP connection without its requests: its parts, its time limits, and its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from userline.server.cut_offs import CUT_OFFS, Reason
from userline.server.cycle import Connection, Cycle, HeldHeads
from userline.server.deadline import Deadline
from userline.server.flow import ReadFlow, Unparsed
from userline.server.idle import IdleTimer
from userline.server.linger import linger
from userline.server.listeners import client_of
from userline.server.reading import RequestReader
from userline.server.refusals import refusal
from userline.server.stuck import StuckWatch

if TYPE_CHECKING:
    from asyncio import Transport

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from userline.server.at_once import Answerer
    from userline.server.drain import Drain
    from userline.server.heads import KnownHeads
    from userline.server.refusals import RefusalBody
    from userline.server.repeated import KnownRequests
    from userline.server.turns import Turns

_STOPPING_SECONDS: Final = 1.0
"""How long a client that does not read has left when the gateway stops."""


class HTTPConnection(asyncio.Protocol):
    """The parts that last as long as the connection. Subclasses parse the requests."""

    max_header_bytes: ClassVar[int] = 16_384
    header_seconds: ClassVar[float] = 10.0
    answerer: ClassVar[Answerer | None] = None
    refusal_body: ClassVar[RefusalBody]
    refusal_lines: ClassVar[bytes] = b""
    drain: ClassVar[Drain]
    known_heads: ClassVar[KnownHeads]
    known_requests: ClassVar[KnownRequests]
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
        self.client = client_of(transport, get_remote_addr(transport))
        self.scheme = "https" if is_ssl(transport) else "http"
        self._unparsed = Unparsed(transport)
        self.flow = ReadFlow(transport, self._unparsed, self._parse_soon)
        self._reader = RequestReader(self._unparsed, self.known_heads, self.max_header_bytes)
        self._answerer = type(self).answerer
        self._known_request = self.known_requests.get
        self._is_answering = False
        """Whether an answer of the answerer is still to come."""
        self._waits = False
        """Whether parsing goes on in a later turn."""
        self._is_closing = False
        self._is_at_rest = False
        """Whether nothing has happened since a known request was answered: then the next one can be at once, too."""
        self._is_over = False
        """Whether nothing more of what comes in is looked at."""
        self._deadline = Deadline(self.loop, self._time_out)
        self._idle = IdleTimer(transport, self.loop, self.config.timeout_keep_alive, self._is_busy)
        self._connection = Connection(
            transport,
            self.flow,
            self.server_state,
            self.held_heads,
            self._reader.can_pass_over,
            self._on_response_complete,
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
        self._idle.end()
        self.flow.end()
        self._answerer = None
        del self._connection

    def _under_way(self) -> Cycle | None:
        """Return the request whose answer by the application is still to come, if there is one."""
        cycle = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    def _is_busy(self) -> object:
        """Whether something is under way, so that the connection is not idle."""
        return self._is_answering or self._unparsed or self._under_way() or self._reader.has_body

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        self._is_at_rest = False
        self.flow.pause_writing()
        self._stuck.start()

    def resume_writing(self) -> None:
        """Go on with what waited for the client to read."""
        self.flow.resume_writing()
        self._stuck.stop()
        if not self._under_way():
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """Close when the answer that is under way is sent."""
        if self._is_answering:
            self._is_closing = True
        elif cycle := self._under_way():
            cycle.keep_alive = False
        else:
            self.transport.close()
        if self.flow.write_paused:
            self.loop.call_later(_STOPPING_SECONDS, self._cut_off)

    def _close_if_answered(self) -> None:
        """After the last word of the client, close as soon as nothing that it said is left to be done."""
        if self._is_over or self._waits or self._is_answering or self.flow.read_paused:
            return
        if self._reader.has_body:
            self._disconnect()  # half a request is none
            self.transport.close()
        elif cycle := self._under_way():
            cycle.half_close()
        else:
            self.transport.close()

    def _await_headers(self) -> None:
        self._deadline.set(self.header_seconds, f"The headers took {self.header_seconds:g} s")

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
            media_type, body = type(self).refusal_body(field, message)
            self.transport.write(refusal(status, media_type, body, self.refusal_lines))
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

    def _stop_timers(self) -> None:
        self._deadline.stop()
        self._idle.stop()

    def _cut_off(self) -> None:
        self._disconnect()
        self.transport.abort()

    def _disconnect(self) -> None:
        """Tell the application that nobody reads its answer."""
        if self.cycle is not None:
            self.cycle.disconnect()

    def _parse_soon(self) -> None:
        """Look soon for what can be done with what is there."""
        raise NotImplementedError

    def _on_response_complete(self) -> None:
        """Go on after an answer of the application."""
        raise NotImplementedError
