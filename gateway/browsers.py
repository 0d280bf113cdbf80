"""What web pages of other origins may do: nothing, unless their origin is allowed.

Browsers send a page's requests with its origin, and with whatever name leads to the gateway. Three things follow:

- an answer may be read by pages of the allowed origins only (CORS);
- a WebSocket, which CORS does not cover, may be opened by pages of the gateway's own origin and of the allowed ones;
- an open gateway answers under names of the loopback address only, so that a page whose own name was made to lead here
  (DNS rebinding) does not pass for one of its own origin. With tokens such a page has nothing to show.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware

from userline.gateway.refusals import JSON_TYPE, body_of
from userline.settings.checks import is_loopback, normal_origin
from userline.users.errors import Forbidden

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from userline.settings.settings import Settings

_EXPOSED: Final = ("retry-after", "www-authenticate", "x-request-id")

_REMEMBERED_SECONDS: Final = 600
"""How long a browser may go by the answer to a preflight request."""


class BrowserRules:
    """What pages may do, by the headers that browsers send."""

    def __init__(self, settings: Settings) -> None:
        self.allowed = frozenset(settings.origins_allowed)
        self._is_open = settings.is_open
        self._own_host = settings.host.lower() if settings.is_open and not settings.allow_open else None

    def refusal(self, scope: Scope) -> str | None:
        """Return why a request or socket is refused, or None."""
        host = _header(scope, b"host")
        if self._own_host is not None and host and not _is_local(host, self._own_host):
            return "This host name is not one of the gateway's; open it as localhost."
        if scope["type"] == "websocket" and not self._may_connect(_header(scope, b"origin"), host):
            return "This origin may not open sockets. USERLINE_CORS_ORIGINS names those that may."
        return None

    def applies_cors(self, path: str) -> bool:
        """Whether pages of other origins may read answers at this path."""
        return bool(self.allowed) and (path == "/graphql" or path.startswith("/v1/"))

    def cors_headers(self, scope: Scope) -> dict[str, str] | None:
        """Return the headers that let the page read an answer, as the middleware adds them; None if it may not."""
        origin = _header(scope, b"origin")
        if origin is None or not self.applies_cors(scope["path"]):
            return {}
        if origin not in self.allowed:
            return None
        return {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": ", ".join(_EXPOSED),
            "vary": "Origin",
        }

    def _may_connect(self, origin: str | None, host: str | None) -> bool:
        if origin is None:
            return True
        try:
            asking = normal_origin(origin)
            own = normal_origin(f"{urlsplit(asking).scheme}://{host}")
        except ValueError:
            return False
        return asking == own or asking in self.allowed or (self._is_open and is_loopback(_host_name(asking)))


class BrowserMiddleware:
    """Refuses what a page of another origin may not do, and tells browsers which origins may read answers."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._rules = BrowserRules(settings)
        self._cors = CORSMiddleware(
            app,
            allow_origins=settings.origins_allowed,
            allow_methods=("GET", "POST", "PUT"),
            allow_headers=("authorization", "content-type", "x-request-id"),
            expose_headers=_EXPOSED,
            max_age=_REMEMBERED_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._rules.refusal(scope)
        if refusal is not None:
            await _refuse(scope, send, refusal)
        elif self._rules.applies_cors(scope["path"]):
            await self._cors(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@lru_cache(maxsize=64)
def _is_local(host: str, own_name: str) -> bool:
    """Whether a Host header names the loopback address, or what the gateway was told to listen on."""
    try:
        name = _host_name(normal_origin(f"http://{host}"))
    except ValueError:
        return False
    return is_loopback(name) or name == own_name


def _header(scope: Scope, wanted: bytes) -> str | None:
    """Return a header's value, or None; several of them are one that nobody knows."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
    return ", ".join(values) if values else None


def _host_name(origin: str) -> str:
    return urlsplit(origin).hostname or ""


async def _refuse(scope: Scope, send: Send, message: str) -> None:
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    if kind == "websocket.http.response" and kind not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1000})
        return
    body = body_of(Forbidden(message))
    headers = [(b"content-type", JSON_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": 403, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
