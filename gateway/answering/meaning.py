"""What the head of a request means for answering it, cached for each head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userline.gateway.auth.authenticator import digest_of
from userline.gateway.auth.bearer import token_of_request
from userline.gateway.body import BodyRefused, check_content_type
from userline.gateway.header_fields import joined
from userline.gateway.negotiation import API_HEADERS, EVENT_STREAM, GRAPHQL_RESPONSE, JSON, choose
from userline.gateway.request_ids import request_id_in
from userline.gateway.request_log import trace_id_in
from userline.users.errors import Unauthenticated

if TYPE_CHECKING:
    from userline.gateway.browsers import BrowserRules
    from userline.server.heads import Head, Headers
    from userline.settings.settings import Settings

_MOST_BYTES: Final = 4096
_MOST_HEADERS: Final = 64
_MOST_BODY_BYTES: Final = 65_536

_NOT_PLAIN: Final = frozenset((b"content-encoding", b"expect", b"transfer-encoding"))
"""Headers that ask more of a server than to read as many bytes as are said."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The facts in the head of a ``POST`` to ``/graphql`` that are needed to answer it without the application."""

    is_understood: bool
    """Without that, the application has to look at the request, and the rest says nothing."""
    token_digest: bytes | None = None
    request_id: str | None = None
    """The id that the request came with."""
    headers: Headers = ()  # type: ignore[assignment]
    """The headers of the answer that follow from it."""
    lines: bytes = b""
    """The same as they are sent."""
    trace_id: str | None = None
    forwarded_for: str | None = None
    """What ``X-Forwarded-For`` says, whoever has said it."""


_NOT_UNDERSTOOD: Final = Meaning(False)


class Meanings:
    """Derives these facts by the settings of one gateway."""

    def __init__(self, settings: Settings, rules: BrowserRules) -> None:
        self._rules = rules
        self._most_bytes = min(_MOST_BYTES, settings.max_header_bytes)
        self._settings = settings

    def of(self, head: Head) -> Meaning:
        """Return what a head means, and keep it with the head."""
        meaning = head.meaning
        if meaning is None:
            is_ours = head.method == "POST" and head.raw_path == b"/graphql" and not head.query_string
            meaning = head.meaning = self.of_headers(head.headers) if is_ours else _NOT_UNDERSTOOD
        return meaning  # type: ignore[no-any-return]  # nobody else sets it

    def of_headers(self, headers: Headers) -> Meaning:
        """Return what the headers of a ``POST`` to ``/graphql`` mean."""
        if len(headers) > _MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > self._most_bytes:
            return _NOT_UNDERSTOOD
        if not _NOT_PLAIN.isdisjoint(name for name, _ in headers):
            return _NOT_UNDERSTOOD
        scope = {"type": "http", "headers": headers, "path": "/graphql"}
        cors_headers = self._rules.cors_headers(scope)
        media_type = choose(joined(headers, b"accept"), (JSON, GRAPHQL_RESPONSE, EVENT_STREAM))
        if (
            not self._has_small_body(headers)
            or cors_headers is None
            or media_type in (None, EVENT_STREAM)
            or self._rules.refusal(scope) is not None
        ):
            return _NOT_UNDERSTOOD
        try:
            check_content_type(headers)
            token = token_of_request(scope)
        except (BodyRefused, Unauthenticated):
            return _NOT_UNDERSTOOD
        answered = {**API_HEADERS, "content-type": f"{media_type}; charset=utf-8", **cors_headers}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answered.items()]
        lines = b"".join(b"%b: %b\r\n" % header for header in raw)
        return Meaning(
            True,
            None if token is None else digest_of(token),
            request_id_in(scope),
            raw,
            lines,
            trace_id_in(headers),
            joined(headers, b"x-forwarded-for"),
        )

    def _has_small_body(self, headers: Headers) -> bool:
        """Whether there is a body whose length is said in the plainest way, and not large."""
        most = min(_MOST_BODY_BYTES, self._settings.max_body_bytes)
        lengths = [value for name, value in headers if name == b"content-length"]
        return len(lengths) == 1 and lengths[0].isdigit() and 0 < int(lengths[0]) <= most
