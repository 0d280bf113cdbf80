"""Heads of requests that came in one piece, parsed once and known by their bytes from then on."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import unquote

import httptools

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Names in small letters, and values, in their order."""

_MOST_BYTES: Final = 4096
_CAPACITY: Final = 512

NOT_PLAIN: Final = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
"""Headers that ask more of the server than to read as many bytes as are said."""

OF_ONE_REQUEST: Final = frozenset((b"x-request-id", b"traceparent", b"tracestate"))
"""Headers that differ from request to request, so that there is nothing to remember."""


class PlainHead(NamedTuple):
    """The head of a request over HTTP/1.1 on a connection that stays, whose body is as long as it says, or empty."""

    method: str
    path: str
    raw_path: bytes
    query_string: bytes
    headers: Headers
    body_bytes: int


class PlainHeads:
    """The heads that were seen last."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = min(_MOST_BYTES, most_bytes)
        self._known: OrderedDict[bytes, PlainHead] = OrderedDict()

    def of_bytes(self, raw: bytes) -> PlainHead | None:
        """Return what a head says, from its request line to its empty line, or None if it is large, or not plain."""
        head = self._known.get(raw)
        if head is None and len(raw) <= self._most_bytes:
            head = parse_head(raw)
            if head is not None and OF_ONE_REQUEST.isdisjoint(name for name, _ in head.headers):
                self._known[raw] = head
                if len(self._known) > _CAPACITY:
                    self._known.popitem(last=False)
        return head


def parse_head(raw: bytes) -> PlainHead | None:
    """Return what a head says, or None if it is not plain, not whole, or more than one."""
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(raw)
        if (
            seen.begun != 1
            or seen.complete != 1
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
        ):
            return None
        url = httptools.parse_url(seen.url)
        path = url.path.decode("ascii")
    except (httptools.HttpParserError, httptools.HttpParserUpgrade, httptools.HttpParserInvalidURLError, ValueError):
        return None
    headers = [(name.lower(), value) for name, value in seen.headers]
    lengths = [value for name, value in headers if name == b"content-length"] or [b"0"]
    if (
        not all(value.lower() == b"keep-alive" for name, value in headers if name == b"connection")
        or not NOT_PLAIN.isdisjoint(name for name, _ in headers)
        or len(lengths) != 1
        or not lengths[0].isdigit()
    ):
        return None
    method = parser.get_method().decode("ascii")
    return PlainHead(method, unquote(path), url.path, url.query or b"", headers, int(lengths[0]))


class _Seen:
    """What the parser tells: the same parser as the connection's."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: Headers = []
        self.begun = 0
        self.complete = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete += 1
