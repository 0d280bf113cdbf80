"""The fast lane: what the server has read whole is answered in its protocol class, without an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.gateway.answering.known import ReadBody
from userline.gateway.trusted_proxies import TrustedProxies
from userline.server.at_once import Left

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.execution.operation import Response
    from userline.execution.pending import Pending
    from userline.gateway.answering.answering import Answering
    from userline.gateway.answering.known import Known
    from userline.gateway.answering.meaning import Meanings
    from userline.server.at_once import Awaited
    from userline.server.heads import Headers
    from userline.server.repeated import Whole
    from userline.settings.settings import Settings


_MOST_STARTS: Final = 64
"""How many starts of answers are kept at most; they differ by what is accepted, and by origin."""

_MOST_LENGTHS: Final = 1024
_lengths: dict[int, bytes] = {}
"""The ends of heads by the length of the body; those of the first lengths that were met are kept."""


class Lane:
    """Answers requests of one gateway, as the server's answerer. For one event loop."""

    def __init__(self, answering: Answering, meanings: Meanings, trusted_proxies: str | None = None) -> None:
        self._answering = answering
        self._proxies = None if trusted_proxies is None else TrustedProxies(trusted_proxies)
        self._meaning_of = meanings.of
        self._viewer_of = answering.known_viewer
        self._known_body = answering.known_body
        self._begin = answering.begin
        self._default_headers: Headers | None = None
        self._starts: dict[bytes, bytes] = {}
        """Of answers, up to the id of the request, by the lines that follow from its head."""
        self.requests = 0
        """How many were answered here."""

    @staticmethod
    def is_wanted(settings: Settings) -> bool:
        """Whether a gateway is to have one."""
        if not settings.fast_lane:
            return False
        # Where a proxy tells the address that a rate limit goes by, the lane does not read it.
        return not (settings.is_open and settings.trusted_proxies is not None)

    def answer(
        self, request: Whole, client: tuple[str, int] | None, default_headers: Headers
    ) -> bytes | Awaited | Left | None:
        """Answer a request, or begin to, or leave it to the application with what was read of it.

        What it asks for is kept with it: who sends the same again has no need of a look-up by its body.
        """
        head = request.head
        meaning = head.meaning or self._meaning_of(head)
        if not meaning.is_understood:
            return None
        viewer = self._viewer_of(meaning.token_digest)
        if viewer is None:
            return None
        if self._proxies is not None and meaning.forwarded_for is not None:
            client = self._proxies.client(client, meaning.forwarded_for)
        known: Known | None = request.meaning
        if known is None or known.is_forgotten:
            known = request.meaning = self._known_body(request.body)
        begun = self._begin(meaning, viewer, request.body, client, known)
        if begun is None:
            return None
        if isinstance(begun, ReadBody):
            return Left({"read_body": begun})
        self.requests += 1
        request_id, response = begun
        start = self._starts.get(meaning.lines) if default_headers is self._default_headers else None
        if start is None:
            start = self._make_start(meaning.lines, default_headers)
        if isinstance(response, bytes):
            length = len(response)
            return b"".join((start, request_id.encode(), _lengths.get(length) or _length_line(length), response))
        return _Whole(start + request_id.encode(), response)

    def _make_start(self, lines: bytes, default_headers: Headers) -> bytes:
        """Return the start of answers, once for all of a second: there is a date in the headers of every answer."""
        if default_headers is not self._default_headers or len(self._starts) >= _MOST_STARTS:
            self._default_headers = default_headers
            self._starts.clear()
        every = b"".join(b"%b: %b\r\n" % header for header in default_headers)
        start = self._starts[lines] = b"HTTP/1.1 200 OK\r\n%b%bx-request-id: " % (every, lines)
        return start


class _Whole:
    """An answer that is still to come, with the head that goes before it."""

    __slots__ = ("_before", "_response", "_tell")

    def __init__(self, before: bytes, response: Pending) -> None:
        self._before = before
        self._response = response

    def then(self, tell: Callable[[bytes | None], None]) -> None:
        """Have the whole answer told."""
        self._tell = tell
        self._response.then(self._told)

    def _told(self, response: Response | None) -> None:
        tell = self._tell
        del self._tell, self._response  # which refer back to this: no collection has to find it
        tell(None if response is None else self._before + _length_line(len(response)) + response)


def _length_line(length: int) -> bytes:
    """Return the end of the head of an answer with a body of this length."""
    line = b"\r\ncontent-length: %d\r\n\r\n" % length
    if len(_lengths) < _MOST_LENGTHS:
        _lengths[length] = line
    return line
