"""Heads of requests that the lane understands, each parsed once by the server's own parser and kept by its bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httptools

from userline.gateway.auth.authenticator import digest_of
from userline.gateway.auth.bearer import token_of_request
from userline.gateway.body import BodyRefused, check_content_type
from userline.gateway.http import API_HEADERS
from userline.gateway.negotiation import GRAPHQL_RESPONSE, JSON, choose
from userline.gateway.request_ids import request_id_in
from userline.users.errors import Unauthenticated

if TYPE_CHECKING:
    from userline.gateway.browsers import BrowserRules
    from userline.gateway.settings import Settings

REQUEST_LINE: Final = b"POST /graphql HTTP/1.1\r\n"

_MOST_BYTES: Final = 4096
_MOST_BODY_BYTES: Final = 65_536
_CAPACITY: Final = 1024

_NOT_UNDERSTOOD: Final = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
"""Headers that ask the server for more than the lane knows."""

_OF_ONE_REQUEST: Final = frozenset((b"x-request-id", b"traceparent", b"tracestate"))
"""Headers that differ from request to request, so that there is nothing to remember."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the lane has to know of a request's head."""

    body_bytes: int
    token_digest: bytes | None
    request_id: str | None
    """The id that the request came with."""
    headers: bytes
    """The headers of the answer that follow from it."""


class Heads:
    """The heads that were seen last."""

    def __init__(self, settings: Settings, rules: BrowserRules) -> None:
        self._settings = settings
        self._rules = rules
        self._most_bytes = min(_MOST_BYTES, settings.max_header_bytes)
        self._most_body_bytes = min(_MOST_BODY_BYTES, settings.max_body_bytes)
        self._known: OrderedDict[bytes, Head | None] = OrderedDict()

    def get(self, head: bytes) -> Head | None:
        """Return what a head means, from its request line to its empty line, or None if the lane leaves it alone."""
        try:
            return self._known[head]
        except KeyError:
            if len(head) > self._most_bytes:
                return None
        seen = _Headers(head)
        meaning = self._read(seen)
        if seen.names.isdisjoint(_OF_ONE_REQUEST):
            self._known[head] = meaning
            if len(self._known) > _CAPACITY:
                self._known.popitem(last=False)
        return meaning

    def _read(self, seen: _Headers) -> Head | None:
        scope = {"type": "http", "headers": seen.headers, "path": "/graphql"}
        length = self._body_bytes(seen)
        cors_headers = self._rules.cors_headers(scope)
        media_type = choose(seen.only(b"accept"), (JSON, GRAPHQL_RESPONSE))
        if not length or cors_headers is None or media_type is None or self._rules.refusal(scope) is not None:
            return None
        try:
            check_content_type(seen.only(b"content-type"))
            token = token_of_request(scope)
        except (BodyRefused, Unauthenticated):
            return None
        headers = {**API_HEADERS, "content-type": f"{media_type}; charset=utf-8", **cors_headers}
        return Head(
            length,
            None if token is None else digest_of(token),
            request_id_in(scope),
            "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1"),
        )

    def _body_bytes(self, seen: _Headers) -> int | None:
        """Return the length of the body, if it is said in the plainest way."""
        lengths = seen.values(b"content-length")
        if not seen.is_plain or len(lengths) != 1 or not lengths[0].isdigit():
            return None
        length = int(lengths[0])
        return length if length <= self._most_body_bytes else None


class _Headers:
    """The parser's view of a head, the same that the server has."""

    def __init__(self, raw: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self._complete = False
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(raw)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._complete = False
        self.names = {name for name, _ in self.headers}
        self.is_plain = (
            self._complete
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and all(value.lower() == b"keep-alive" for value in self.values(b"connection"))
            and self.names.isdisjoint(_NOT_UNDERSTOOD)
        )

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._complete = True

    def values(self, wanted: bytes) -> list[bytes]:
        """Return the values of a header."""
        return [value for name, value in self.headers if name == wanted]

    def only(self, wanted: bytes) -> str | None:
        """Return the value that an application sees of a header, or None without one."""
        values = self.values(wanted)
        return values[0].decode("latin-1") if values else None
