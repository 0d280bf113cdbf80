"""Heads of requests that can be answered the short way, each read once and kept by what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from userline.execution.weighed import WeighedCache, weight_of
from userline.gateway.auth.authenticator import digest_of
from userline.gateway.auth.bearer import token_of_request
from userline.gateway.body import BodyRefused, check_content_type
from userline.gateway.http import API_HEADERS
from userline.gateway.negotiation import EVENT_STREAM, GRAPHQL_RESPONSE, JSON, choose
from userline.gateway.request_ids import request_id_in
from userline.server.heads import NOT_PLAIN, OF_ONE_REQUEST, Headers, parse_head
from userline.server.refusals import Malformed
from userline.users.errors import Unauthenticated

if TYPE_CHECKING:
    from userline.gateway.browsers import BrowserRules
    from userline.settings.settings import Settings

_REQUEST_LINE: Final = b"POST /graphql HTTP/1.1\r\n"

_MOST_BYTES: Final = 4096
_MOST_HEADERS: Final = 64
_MOST_BODY_BYTES: Final = 65_536
_CAPACITY: Final = 1024
_CAPACITY_BYTES: Final = 4_194_304
"""How much memory the heads and what is known of them may take, at most."""

_HEAD_BYTES: Final = 500


Raw: TypeAlias = bytes | tuple[tuple[bytes, bytes], ...]
"""A head as it came, or its headers."""


@dataclass(frozen=True, slots=True)
class Head:
    """What has to be known of a request's head."""

    body_bytes: int
    token_digest: bytes | None
    request_id: str | None
    """The id that the request came with."""
    headers: Headers
    """The headers of the answer that follow from it."""
    lines: bytes
    """The same as they are sent."""


class Heads:
    """The heads that were seen last."""

    def __init__(self, settings: Settings, rules: BrowserRules) -> None:
        self._rules = rules
        self._most_bytes = min(_MOST_BYTES, settings.max_header_bytes)
        self._most_body_bytes = min(_MOST_BODY_BYTES, settings.max_body_bytes)
        self._known: WeighedCache[Raw, Head | None] = WeighedCache(_CAPACITY_BYTES, most=_CAPACITY)

    def of_bytes(self, head: bytes) -> Head | None:
        """Return what a head means, from its request line to its empty line, or None if it is not understood."""
        try:
            return self._known.look_up(head)
        except KeyError:
            if len(head) > self._most_bytes or not head.startswith(_REQUEST_LINE):
                return None
            try:
                parsed = parse_head(head)
            except Malformed:
                return None
            return self._learn(head, parsed.headers if parsed.keep_alive else [])

    def of_headers(self, headers: Headers) -> Head | None:
        """Return what the headers of a ``POST`` to ``/graphql`` mean, or None if they are not understood."""
        key = tuple(headers)
        try:
            return self._known.look_up(key)
        except KeyError:
            size = sum(len(name) + len(value) for name, value in headers)
            is_small = size <= self._most_bytes and len(headers) <= _MOST_HEADERS
            return self._learn(key, headers) if is_small else None

    def _learn(self, key: Raw, headers: Headers) -> Head | None:
        names = {name for name, _ in headers}
        meaning = self._read(headers) if headers and names.isdisjoint(NOT_PLAIN) else None
        if names.isdisjoint(OF_ONE_REQUEST):
            weight = weight_of(key)
            if meaning is not None:
                weight += _HEAD_BYTES + weight_of(meaning.headers) + len(meaning.lines)
            self._known.put(key, meaning, weight)
        return meaning

    def _read(self, headers: Headers) -> Head | None:
        scope = {"type": "http", "headers": headers, "path": "/graphql"}
        length = self._body_bytes(headers)
        cors_headers = self._rules.cors_headers(scope)
        media_type = choose(_first(headers, b"accept"), (JSON, GRAPHQL_RESPONSE, EVENT_STREAM))
        if (
            not length
            or cors_headers is None
            or media_type in (None, EVENT_STREAM)
            or self._rules.refusal(scope) is not None
        ):
            return None
        try:
            check_content_type(_first(headers, b"content-type"))
            token = token_of_request(scope)
        except (BodyRefused, Unauthenticated):
            return None
        answered = {**API_HEADERS, "content-type": f"{media_type}; charset=utf-8", **cors_headers}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answered.items()]
        return Head(
            length,
            None if token is None else digest_of(token),
            request_id_in(scope),
            raw,
            b"".join(b"%b: %b\r\n" % header for header in raw),
        )

    def _body_bytes(self, headers: Headers) -> int | None:
        """Return the length of the body, if it is said in the plainest way."""
        lengths = [value for name, value in headers if name == b"content-length"]
        if len(lengths) != 1 or not lengths[0].isdigit():
            return None
        length = int(lengths[0])
        return length if length <= self._most_body_bytes else None


def _first(headers: Headers, wanted: bytes) -> str | None:
    """Return the value that an application sees of a header, or None without one."""
    return next((value.decode("latin-1") for name, value in headers if name == wanted), None)
