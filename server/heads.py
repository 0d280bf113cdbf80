"""Heads of requests: parsed strictly, and cached by their bytes.

Source: RFC 9112, sections 2 to 6. What a server in front could take for something else is refused, and not repaired:
lines that end by LF alone, folded lines, a space before the colon, two lengths, two ways to frame a body.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote

from userline.server.bytes_cache import know_nothing
from userline.server.refusals import Malformed

if TYPE_CHECKING:
    from userline.server.bytes_cache import BytesCache

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Names in small letters, and values, in their order."""

HEAD_END: Final = b"\r\n\r\n"

_MOST_BYTES: Final = 4096
_HEAD_BYTES: Final = 700
"""What a head weighs in memory beside its bytes and headers."""
_HEADER_BYTES: Final = 56
"""What a header weighs beside its name and value."""
_MEANING_BYTES: Final = 2500
"""What is made of a head by who answers weighs hardly more."""

_MOST_HEADERS: Final = 128
_LENGTH_DIGITS: Final = 18

_METHODS: Final = frozenset(
    b"GET HEAD POST PUT PATCH DELETE OPTIONS TRACE QUERY ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR "
    b"MKCOL MOVE PROPFIND PROPPATCH REBIND REPORT SEARCH UNBIND UNLINK UNLOCK".split()
)
"""Those that are registered for HTTP, and frame requests as all do. Which are allowed is said by the application."""

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb"{1,32}) ([^\x00-\x20\x7f]++) HTTP/(\d\.\d)\r\n")
_HEADER_LINES: Final = re.compile(rb"(?:" + _TOKEN + rb"++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*")
_TARGET: Final = re.compile(
    rb"(?:[Hh][Tt][Tt][Pp][Ss]?://([^/?#@\x80-\xff]+))?((?:/[^?#\x80-\xff]*+)?)(?:\?([^#\x80-\xff]*+))?"
)
_HOST: Final = re.compile(rb"[^\x00-\x20,/?#\\\x7f-\xff]++")
"""What could be a host: whether it is one of the gateway's is asked by who knows them."""
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")

_READ_HERE: Final = frozenset((b"host", b"connection", b"content-length", b"transfer-encoding", b"expect", b"upgrade"))
"""Headers of which follows how the connection goes on."""
_ONCE: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))

OF_ONE_REQUEST: Final = frozenset((b"x-request-id", b"traceparent", b"tracestate"))
"""Headers that differ from request to request, so that there is nothing to remember."""


@dataclass(slots=True)
class Head:
    """The parsed head of a request. It is parsed once, and passed on."""

    method: str
    path: str
    raw_path: bytes
    query_string: bytes
    version: str
    headers: Headers
    body_bytes: int | None
    """How long the body is, or None for one in chunks."""
    keep_alive: bool
    expects_continue: bool
    """Whether the client waits for a word before it sends the body."""
    is_handshake: bool
    """Whether the connection is to become a WebSocket."""
    meaning: Any = field(default=None, compare=False)
    """What it means to who answers, who sets it once."""


class KnownHeads:
    """The cache of heads. Without a cache each head is parsed."""

    def __init__(self, most_bytes: int, cache: BytesCache[Head] | None = None) -> None:
        self._most_bytes = min(_MOST_BYTES, most_bytes)
        self._known = cache
        self.get = know_nothing if cache is None else cache.get
        """Returns the head with these bytes if it is known, or None: the cache's own method, for speed."""

    def forget(self) -> None:
        """Read every head anew, as what heads mean has changed."""
        if self._known is not None:
            self._known.clear()

    def of_bytes(self, raw: bytes) -> Head:
        """Return what a head says, from its request line to its empty line. Raises Malformed."""
        head = self.get(raw)
        if head is None:
            head = parse_head(raw)
            if self._known is not None and len(raw) <= self._most_bytes and comes_again(head):
                self._known.put(raw, head, sys.getsizeof(raw) + weight_of_head(head))
        return head


def comes_again(head: Head) -> bool:
    """Whether a head may come again by the same bytes: it begins no socket, and has nothing of one request alone."""
    return not head.is_handshake and OF_ONE_REQUEST.isdisjoint(name for name, _ in head.headers)


def weight_of_head(head: Head) -> int:
    """Return how much memory a head takes, about, beside its bytes, with what it means."""
    of_headers = sum(sys.getsizeof(name) + sys.getsizeof(value) + _HEADER_BYTES + 8 for name, value in head.headers)
    return of_headers + _HEAD_BYTES + _MEANING_BYTES


def check_beginning(data: bytes, start: int) -> None:
    """Return if a head that is not there whole may still become one. Raises Malformed.

    It is for those who would wait for an answer: they speak another protocol, or end lines by LF alone.
    """
    if _BARE_LF.search(data, start):
        raise Malformed("request", "A line of the request ends with LF alone; lines end with CR LF.")
    end = data.find(b"\r\n", start)
    if end >= 0:
        _request_line(data, start)
    elif not re.match(_TOKEN + rb"|\r?$", data[start : start + 1]):
        raise Malformed("request", "This is not an HTTP request.")


def parse_head(raw: bytes) -> Head:
    """Return what a head says, from its request line to its empty line. Raises Malformed."""
    method, target, version, place = _request_line(raw, 0)
    headers = _headers(raw, place)
    if method not in _METHODS:
        raise Malformed("method", "The method is not a registered HTTP method, such as GET or POST.")
    authority, raw_path, query_string = _split(method, target)
    said: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ_HERE:
            if name in said:
                if name in _ONCE:
                    raise Malformed(name.decode(), f"The request has more than one {name.decode()}.")
                value = said[name] + b"," + value  # noqa: PLW2901 - RFC 9110, 5.3
            said[name] = value
    _check_host(said.get(b"host"), authority, version)
    if authority is not None:
        headers = [(name, authority if name == b"host" else value) for name, value in headers]
    body_bytes = _body_bytes(said, version)
    keep_alive, wants_upgrade = version == "1.1", False
    if b"connection" in said:
        tokens = _tokens(said[b"connection"])
        keep_alive, wants_upgrade = keep_alive and b"close" not in tokens, b"upgrade" in tokens
    is_handshake = (
        wants_upgrade and method == b"GET" and version == "1.1" and b"websocket" in _tokens(said.get(b"upgrade", b""))
    )
    if is_handshake and body_bytes != 0:
        raise Malformed("body", "The handshake of a WebSocket must not have a body.")
    return Head(
        method.decode(),
        unquote(raw_path.decode()) if b"%" in raw_path else raw_path.decode(),
        raw_path,
        query_string,
        version,
        headers,
        body_bytes,
        keep_alive,
        b"expect" in said and said[b"expect"].lower() == b"100-continue" and version == "1.1",
        is_handshake,
    )


def _request_line(data: bytes, start: int) -> tuple[bytes, bytes, str, int]:
    """Return method, target, version, and where the line ends."""
    line = _REQUEST_LINE.match(data, start)
    if line is None:
        raise Malformed("request", "The request does not begin with a line of 'METHOD target HTTP/1.1'.")
    method, target, version = line.groups()
    if version not in (b"1.1", b"1.0"):
        raise Malformed("version", "The version of HTTP is neither 1.1 nor 1.0.")
    return method, target, version.decode(), line.end()


def _headers(raw: bytes, start: int) -> Headers:
    lines = _HEADER_LINES.match(raw, start)
    end = lines.end() if lines else start
    if end != len(raw) - 2:
        number = raw.count(b"\r\n", start, end) + 1
        raise Malformed("headers", f"Line {number} of the headers is not 'name: value', or has control characters.")
    block = raw[start:end].split(b"\r\n")
    block.pop()
    if len(block) > _MOST_HEADERS:
        raise Malformed("headers", f"The request has more than {_MOST_HEADERS} headers, which is the limit.", 431)
    headers = []
    for line in block:
        name, _, value = line.partition(b":")
        headers.append((name.lower(), value.strip(b" \t")))
    if b"\t" in raw:
        for line in block:
            name = line.partition(b":")[0].lower()
            if name in _READ_HERE and b"\t" in line:  # which some take for a part of the value
                raise Malformed("headers", f"The header {name.decode()} has a tab in it.")
    return headers


def _split(method: bytes, target: bytes) -> tuple[bytes | None, bytes, bytes]:
    """Return the host that the target of a request names, if it does, its path and its query."""
    if target == b"*" and method == b"OPTIONS":
        return None, target, b""
    parts = _TARGET.fullmatch(target)
    if parts is None or (not parts[1] and not parts[2]):
        raise Malformed("target", "The target of the request is not a path of ASCII characters that begins with '/'.")
    return parts[1], parts[2] or b"/", parts[3] or b""


def _check_host(host: bytes | None, authority: bytes | None, version: str) -> None:
    if host is None and version == "1.1":
        raise Malformed("host", "The request has no Host header.")
    for named in (host, authority):
        if named is not None and not _HOST.fullmatch(named):
            raise Malformed("host", "The Host header is not a valid name or address.")


def _body_bytes(said: dict[bytes, bytes], version: str) -> int | None:
    """Return how long the body is, or None if it is in chunks. Raises Malformed for what contradicts itself."""
    length, encoding = said.get(b"content-length"), said.get(b"transfer-encoding")
    if encoding is None:
        if length is None:
            return 0
        if not length.isdigit() or len(length) > _LENGTH_DIGITS:
            raise Malformed("content-length", "The Content-Length is not a valid number.")
        return int(length)
    if length is not None:
        raise Malformed(
            "content-length", "The request has both Transfer-Encoding and Content-Length, which is not allowed."
        )
    if version == "1.0":
        raise Malformed("transfer-encoding", "Transfer-Encoding is not allowed in HTTP/1.0.")
    if encoding.lower() != b"chunked":
        raise Malformed("transfer-encoding", "The Transfer-Encoding is not 'chunked'.")
    return None


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip() for token in value.lower().split(b",")]
