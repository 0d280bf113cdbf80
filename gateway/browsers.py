"""The rules for web pages of other origins: they may do nothing, unless their origin is allowed.

Browsers send a page's requests with its origin, and with whatever name leads to the gateway. Four things follow:

- an answer may be read by pages of the allowed origins only (CORS);
- a WebSocket, which CORS does not cover, may be opened by pages of the gateway's own origin and of the allowed ones;
- an open gateway, which is for development, lets pages of this machine, of any port, do both at ``/graphql``;
- an open gateway answers under names of the loopback address only, so that a page whose own name was made to lead here
  (DNS rebinding) does not pass for one of its own origin. With tokens such a page has nothing to show.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from userline.gateway.header_fields import joined
from userline.gateway.refusals import JSON_TYPE, body_of
from userline.gateway.request_log import PROBES
from userline.settings.checks import is_loopback, normal_origin
from userline.users.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from userline.settings.settings import Settings

logger = logging.getLogger("userline")

_EXPOSED: Final = ("etag", "retry-after", "www-authenticate", "x-request-id")

READABLE_BY_ANY_PAGE: Final = b"access-control-allow-origin: *\r\naccess-control-expose-headers: *\r\n"
"""The lines of an answer that says nothing but what is wrong with a request, whose origin may not even be known."""

_ALLOWED_HEADERS: Final = (
    "authorization",
    "cache-control",
    "content-type",
    "if-match",
    "if-none-match",
    "last-event-id",
    "x-request-id",
    "x-requested-with",
    # Apollo's clients: which client it is, which operation, and that this is no form of another page.
    "apollo-require-preflight",
    "apollographql-client-name",
    "apollographql-client-version",
    "x-apollo-operation-id",
    "x-apollo-operation-name",
    # W3C Trace Context and Baggage, and Sentry's form of them.
    "baggage",
    "sentry-trace",
    "traceparent",
    "tracestate",
)
"""What pages may send beside what they may always send. USERLINE_CORS_HEADERS adds to it."""

_REMEMBERED_SECONDS: Final = 600
"""How long a browser may go by the answer to a preflight request."""

_MOST_TOLD: Final = 10


class BrowserRules:
    """Decides what a page may do, by the headers that browsers send."""

    def __init__(self, settings: Settings) -> None:
        self.use(settings)
        self._is_open = settings.is_open
        is_bound = settings.is_open and not settings.allow_open
        self._own_hosts = frozenset(host.lower() for host in settings.hosts) if is_bound else None
        self._told: set[str] = set()
        """The origins of which was logged that they are not allowed: the first ones, because anybody can send any."""

    def use(self, settings: Settings) -> None:
        """Go by these settings from now on."""
        self.allowed = frozenset(settings.origins_allowed)
        self.headers = (*_ALLOWED_HEADERS, *settings.headers_allowed)
        self.revision = object()
        """What was made of the rules before they had this is not to be used any more."""

    def refusal(self, scope: Scope) -> str | None:
        """Return why a request or socket is refused, or None."""
        host = joined(scope["headers"], b"host")
        if self._own_hosts is not None and host and not _is_local(host, self._own_hosts):
            return "The gateway is not served under this host name. Open it as localhost."
        origin = joined(scope["headers"], b"origin")
        if scope["type"] == "websocket" and origin is not None and not self._may_connect(origin, host):
            self._tell(origin)
            return "Web pages of this origin may not open sockets. USERLINE_CORS_ORIGINS lists the origins that may."
        return None

    def applies_cors(self, path: str) -> bool:
        """Whether there are pages of other origins that may read answers at this path."""
        return (bool(self.allowed) and path not in PROBES) or self.is_open_at(path)  # no page has to read those

    def may_read(self, origin: str, path: str) -> bool:
        """Whether pages of an origin may read answers at this path."""
        return origin in self.allowed or (self.is_open_at(path) and _is_of_this_machine(_normal(origin)))

    def cors_headers(self, scope: Scope) -> dict[str, str] | None:
        """Return the headers that let the page read an answer, as the middleware adds them; None if it may not."""
        path = scope["path"]
        if not self.applies_cors(path):
            return {}
        origin = joined(scope["headers"], b"origin")
        if origin is None:
            return {"vary": "Origin"}
        if not self.may_read(origin, path):
            return None
        return {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": ", ".join(_EXPOSED),
            "vary": "Origin",
        }

    def tell_if_unreadable(self, scope: Scope) -> None:
        """Log, once for an origin, that its pages cannot read an answer: browsers tell nobody why but the page."""
        origin = joined(scope["headers"], b"origin")
        if origin is None or len(self._told) >= _MOST_TOLD or self.may_read(origin, scope["path"]):
            return
        if not _is_same(_normal(origin), joined(scope["headers"], b"host")):
            self._tell(origin)

    def _tell(self, origin: str) -> None:
        if len(self._told) < _MOST_TOLD and origin not in self._told and _normal(origin):
            self._told.add(origin)
            logger.warning(
                "A web page of %s sent a request, but its browser does not let it read the answer. If the page is "
                "yours, add its origin to USERLINE_CORS_ORIGINS.",
                origin,
            )

    def is_open_at(self, path: str) -> bool:
        """Whether pages of this machine need no permission at this path."""
        return self._is_open and path.rstrip("/") == "/graphql"

    def _may_connect(self, origin: str, host: str | None) -> bool:
        asking = _normal(origin)
        if not asking:
            return False
        return asking in self.allowed or _is_same(asking, host) or (self._is_open and _is_of_this_machine(asking))


class _Readers:
    """The origins whose pages may read answers at a path, for Starlette's middleware."""

    def __init__(self, rules: BrowserRules, path: str) -> None:
        self._rules = rules
        self._path = path

    def __contains__(self, origin: object) -> bool:
        return isinstance(origin, str) and self._rules.may_read(origin, self._path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules.allowed)

    def __len__(self) -> int:
        return len(self._rules.allowed)


class BrowserMiddleware:
    """Refuses requests of pages of other origins, and tells browsers which origins may read responses."""

    def __init__(self, app: ASGIApp, *, rules: BrowserRules) -> None:
        self._app = app
        self._rules = rules
        self._made: dict[bool, CORSMiddleware] = {}
        self._revision: object = None

    def _cors(self, path: str) -> CORSMiddleware:
        """Return what does it at a path, by the rules as they are now."""
        rules = self._rules
        if self._revision is not rules.revision:
            self._revision = rules.revision
            self._made.clear()
        is_open = rules.is_open_at(path)
        if is_open not in self._made:
            self._made[is_open] = CORSMiddleware(
                self._app,
                allow_origins=_Readers(rules, path),
                allow_methods=("DELETE", "GET", "POST", "PUT"),
                allow_headers=rules.headers,
                expose_headers=_EXPOSED,
                max_age=_REMEMBERED_SECONDS,
            )
        return self._made[is_open]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._rules.refusal(scope)
        if refusal is not None:
            if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 1000})
                return
            response = Response(body_of(Forbidden(refusal)), 403, {"content-type": JSON_TYPE})
            await response(scope, receive, send)
            return
        self._rules.tell_if_unreadable(scope)
        if scope["type"] == "http" and self._rules.applies_cors(scope["path"]):
            await self._cors(scope["path"])(scope, receive, _varying(send))
        else:
            await self._app(scope, receive, send)


def _is_same(origin: str, host: str | None) -> bool:
    """Whether a page comes from where its request goes to.

    A proxy may pass on the name of the host without the port (nginx's ``$host``). Then the name alone is compared: a
    page of another port of it may open a socket, where it has to show a token as everybody has to.
    """
    parts = urlsplit(origin)
    if host is None or parts.scheme not in {"http", "https"}:
        return False
    try:
        own = normal_origin(f"{parts.scheme}://{host}")
    except ValueError:
        return False
    return origin == own or (_has_no_port(host) and parts.hostname == _host_name(own))


def _has_no_port(host: str) -> bool:
    return ":" not in host.rpartition("]")[2]


def _normal(origin: str) -> str:
    """Return an origin as browsers send it, or an empty text if it is none."""
    try:
        return normal_origin(origin)
    except ValueError:
        return ""


def _is_of_this_machine(origin: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in {"http", "https"} and is_loopback(parts.hostname or "")


def _varying(send: Send) -> Send:
    """Return a ``send`` whose answers all say that they depend on the origin, for caches in between."""

    async def send_varying(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            if "origin" not in headers.get("vary", "").lower():
                headers.add_vary_header("Origin")
        await send(message)

    return send_varying


@lru_cache(maxsize=64)
def _is_local(host: str, own_names: frozenset[str]) -> bool:
    """Whether a Host header names the loopback address, or what the gateway was told to listen on."""
    try:
        name = _host_name(normal_origin(f"http://{host}"))
    except ValueError:
        return False
    return is_loopback(name) or name in own_names


def _host_name(origin: str) -> str:
    return urlsplit(origin).hostname or ""
