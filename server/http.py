"""HTTP connections with limits of size and time for every part of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from userline.server.at_once import Left
from userline.server.cut_offs import CUT_OFFS, Reason
from userline.server.cycle import Cycle, HeldHeads
from userline.server.drain import Drain
from userline.server.handshake import hand_over
from userline.server.heads import KnownHeads
from userline.server.http_connection import HTTPConnection
from userline.server.refusals import Malformed, plain_body
from userline.server.repeated import MOST_BYTES, KnownRequests, Whole
from userline.server.turns import Turns

if TYPE_CHECKING:
    from starlette.types import Scope

    from userline.server.at_once import Answerer
    from userline.server.bytes_cache import BytesCache
    from userline.server.heads import Head
    from userline.server.refusals import RefusalBody

_BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive, its trailers included."""
_BODY_LATE: Final = f"The body took {_BODY_SECONDS:g} s"


class BoundedHTTPProtocol(HTTPConnection):
    """Finds where requests begin and end, and has them answered one after the other.

    The next request is not looked at before the one under way is answered and read to its end, so that answers leave
    in the order of their requests, refusals and handshakes among them. What waits is bounded, because the connection is
    not read from meanwhile. A request that is there whole is offered to the answerer first, if there is one; what that
    leaves goes to the application. What is no HTTP is answered, and after that nothing of the connection is looked at.
    """

    def data_received(self, data: bytes) -> None:
        """Parse what is there, until enough of it is under way."""
        if self._is_over:
            return
        unparsed = self._unparsed
        is_at_rest = self._is_at_rest
        if is_at_rest or unparsed.position == len(unparsed.data):
            known = self._known_request(data) if len(data) <= MOST_BYTES else None
            answerer = self._answerer
            if known is not None and answerer is not None and not self.drain.begun and (is_at_rest or self._is_ready()):
                self._is_at_rest = True
                self._answer(answerer, known)
                return
            self._is_at_rest = False
            # As ``append`` does: most requests come alone.
            unparsed.data, unparsed.position, unparsed.searched = data, 0, 0
        else:
            unparsed.append(data)
        if self._waits:
            self.flow.balance()
        else:
            self._parse()

    def eof_received(self) -> bool:
        """Answer what was asked for whole, and then close; a client may say that it has nothing more to say."""
        self.flow.at_end = True
        self._close_if_answered()
        return not (self._is_over or self.transport.is_closing())

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
        if self._unparsed.position < len(self._unparsed.data) or self.flow.read_paused or self._unparsed.is_paused:
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
            start = unparsed.position
            if self._reader.has_body:
                self._take_body()
            elif self.cycle is None or self.cycle.response_complete:
                self._begin()
            if unparsed.position == start:
                return

    def _begin(self) -> None:
        """Begin the next request, if its head is there. Raises Malformed."""
        answerer = None if self.drain.begun else self._answerer
        if answerer is not None and self.flow.write_paused:
            self.flow.pause_reading()  # until the client has read the answers before
            return
        start = self._unparsed.position
        head = self._reader.head()
        if head is None:
            if not self._deadline.is_set:
                self._await_headers()
            return
        if self._deadline.at is not None:
            self._deadline.clear()
        if head.is_handshake and self.config.ws_protocol_class is not None:
            self._begin_socket(head)
            return
        body = self._reader.begin_body(head)
        if answerer is None or not body or not head.keep_alive or head.expects_continue:
            self._begin_cycle(head, body, {"head": head})
            return
        unparsed, request = self._unparsed, Whole(head, body)
        if self._answer(answerer, request) and start == 0 and unparsed.position == len(unparsed.data):
            self.known_requests.note(unparsed.data, request)

    def _is_ready(self) -> bool:
        """Whether nothing is under way, so that a request that is known can be answered without taking it apart."""
        cycle, reader, flow = self.cycle, self._reader, self.flow
        if (
            (cycle is not None and not cycle.response_complete)
            or self._is_answering
            or self._waits
            or flow.write_paused
            or flow.read_paused
            or reader.is_amid
            or self._unparsed.is_paused
        ):
            return False
        if self._deadline.at is not None:
            self._deadline.clear()
        return True

    def _answer(self, answerer: Answerer, request: Whole) -> bool:
        """Answer a request, or begin to, or leave it to the application; return whether it was answered at once."""
        state = self.server_state
        answer = answerer(request, self.client, state.default_headers)
        if answer is None or isinstance(answer, Left):
            self._is_at_rest = False
            self._begin_cycle(request.head, request.body, {"head": request.head, **(answer.state if answer else {})})
            return False
        state.total_requests += 1
        idle = self._idle
        idle.active_at = self.loop.time()
        if not idle.is_running:
            idle.start()
        if isinstance(answer, bytes):
            self.transport.write(answer)
            return True
        self._is_at_rest, self._is_answering = False, True
        answer.then(self._answer_late)
        return False

    def _answer_late(self, answer: bytes | None) -> None:
        self._is_answering = False
        if answer is None:
            self.transport.abort()  # nobody is left without an answer for ever
        elif not self.transport.is_closing():
            self.transport.write(answer)
            self._idle.touch()
            if self._is_closing:
                self.transport.close()
            elif self._unparsed or self.flow.at_end:
                self._parse()

    def _begin_cycle(self, head: Head, body: bytes | None, state: dict[str, Any]) -> None:
        """Have the application answer, which finds ``state`` in its scope. Raises Malformed."""
        cycle = Cycle(
            self._connection,
            self._make_scope(head, state),
            keep_alive=head.keep_alive,
            expects_continue=head.expects_continue,
        )
        self.cycle = cycle
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

    def _make_scope(self, head: Head, state: dict[str, Any]) -> Scope:
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
            # ``cut_off`` is for a client that does not read its answer.
            "state": {**self.app_state, **state, "cut_off": self._cut_off},
        }

    def _begin_socket(self, head: Head) -> None:
        """Hand the connection over to WebSocket."""
        self._is_over = True
        self.server_state.connections.discard(self)
        what_follows = self._unparsed.read(len(self._unparsed))
        self._unparsed.clear()
        self.flow.balance()
        is_paused = self.flow.write_paused
        self._let_go()
        hand_over(
            head,
            what_follows,
            self.transport,
            config=self.config,
            server_state=self.server_state,
            app_state=self.app_state,
            is_paused=is_paused,
        )

    def _on_response_complete(self) -> None:
        """Go on to the next request; the timer of the one before stays for it."""
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
        self._idle.touch()


def make_http_protocol(  # noqa: PLR0913 - each is a limit, or a part that the server is handed
    *,
    max_header_bytes: int,
    header_seconds: float,
    answerer: Answerer | None = None,
    refusal_body: RefusalBody = plain_body,
    refusal_lines: bytes = b"",
    drain: Drain | None = None,
    turns: Turns | None = None,
    head_cache: BytesCache[Head] | None = None,
    request_cache: BytesCache[Whole] | None = None,
) -> type[BoundedHTTPProtocol]:
    """Return the protocol class with these limits."""
    attributes: dict[str, Any] = {
        "max_header_bytes": max_header_bytes,
        "header_seconds": header_seconds,
        "answerer": answerer,
        "refusal_body": refusal_body,
        "refusal_lines": refusal_lines,
        "drain": drain or Drain(0),
        "known_heads": KnownHeads(max_header_bytes, head_cache),
        "known_requests": KnownRequests(request_cache),
        "held_heads": HeldHeads(),
        "turns": turns or Turns(),
    }
    return type("BoundedHTTPProtocol", (BoundedHTTPProtocol,), attributes)
