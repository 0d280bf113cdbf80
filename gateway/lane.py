"""The fast lane: what the server has read whole is answered in its protocol class, without an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.gateway.answering.known import ReadBody
from userline.gateway.trusted_proxies import TrustedProxies
from userline.server.at_once import Left

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.execution.operation import Response
    from userline.execution.pending import Pending
    from userline.gateway.answering.answering import Answering
    from userline.gateway.answering.meaning import Meanings
    from userline.server.at_once import Awaited
    from userline.server.heads import Head, Headers
    from userline.settings.settings import Settings


class Lane:
    """Answers requests of one gateway, as the server's answerer. For one event loop."""

    def __init__(self, answering: Answering, meanings: Meanings, trusted_proxies: str | None = None) -> None:
        self._answering = answering
        self._proxies = None if trusted_proxies is None else TrustedProxies(trusted_proxies)
        self._meaning_of = meanings.of
        self._default_headers: Headers | None = None
        self._start = b""
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
        self, head: Head, body: bytes, client: tuple[str, int] | None, default_headers: Headers
    ) -> bytes | Awaited | Left | None:
        """Answer a request, or begin to, or leave it to the application with what was read of it."""
        meaning = head.meaning or self._meaning_of(head)
        if not meaning.is_understood:
            return None
        viewer = self._answering.viewer(meaning)
        if viewer is None:
            return None
        if self._proxies is not None and meaning.forwarded_for is not None:
            client = self._proxies.client(client, meaning.forwarded_for)
        begun = self._answering.begin(meaning, viewer, body, {"client": client})
        if begun is None:
            return None
        if isinstance(begun, ReadBody):
            return Left({"read_body": begun})
        self.requests += 1
        request_id, response = begun
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            self._start = b"".join([b"HTTP/1.1 200 OK\r\n", *(b"%b: %b\r\n" % header for header in default_headers)])
        before = b"%b%bx-request-id: %b\r\n" % (self._start, meaning.lines, request_id.encode())
        return _whole(before, response) if isinstance(response, bytes) else _Whole(before, response)


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
        tell(None if response is None else _whole(self._before, response))


def _whole(before: bytes, response: Response) -> bytes:
    """Return an answer, of whose head there is all but the length of the body."""
    return b"%bcontent-length: %d\r\n\r\n%b" % (before, len(response), response)
