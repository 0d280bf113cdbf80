"""The ASGI application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from userline.gateway.browsers import BrowserMiddleware
from userline.gateway.graphiql.page import static_directory
from userline.gateway.metrics_listener import metrics_route
from userline.gateway.middleware import LastNet, Options, RequestMiddleware
from userline.gateway.rest.api import RestRoute
from userline.gateway.site import site_of, site_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from userline.gateway.browsers import BrowserRules
    from userline.gateway.health import Health
    from userline.gateway.http import GraphQLOverHTTP
    from userline.gateway.request_log import RequestLog
    from userline.gateway.rest.api import RestApi
    from userline.gateway.websocket.admission import Admission
    from userline.settings.settings import Settings
    from userline.telemetry.metrics.recorder import Metrics
    from userline.telemetry.tracing.tracer import Tracer


_GRAPHQL_PATHS = ("/graphql", "/graphql/")


class Doors(NamedTuple):
    """The parts that answer at the paths of a gateway."""

    graphql: GraphQLOverHTTP
    sockets: Admission
    rest: RestApi
    health: Health
    exposition: Callable[[], Awaitable[bytes]]
    """Returns the metrics as a text."""


def make_app(  # noqa: PLR0913 - each is needed by one part of it
    settings: Settings,
    doors: Doors,
    *,
    running: Callable[[], AbstractAsyncContextManager[None]],
    metrics: Metrics,
    tracer: Tracer | None,
    request_log: RequestLog,
    browser_rules: BrowserRules,
) -> ASGIApp:
    """Return the application of a gateway, which runs as long as its lifespan, where the server has one."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's signature
        async with running():
            yield

    routes: list[BaseRoute] = [
        *(Route(path, doors.graphql) for path in _GRAPHQL_PATHS),
        Route("/healthz", doors.health.healthz),
        Route("/readyz", doors.health.readyz),
        *([] if settings.metrics_address else [metrics_route(doors.exposition)]),
        RestRoute(doors.rest),
        Route("/", _to_graphql),
        *site_routes(site_of(settings)),
    ]
    if settings.graphiql and static_directory().is_dir():
        routes.append(Mount("/graphiql", _Assets(directory=static_directory())))
    around = [
        *_tracing(tracer),
        Middleware(RequestMiddleware, metrics=metrics, request_log=request_log),
        Middleware(BrowserMiddleware, rules=browser_rules),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, middleware=[*around, Middleware(Options), Middleware(LastNet)])
    app.router.redirect_slashes = False  # it would redirect to an address that proxies know nothing of
    return _SocketsApart(app, doors.sockets.serve, around)


class _SocketsApart:
    """Serves WebSockets at ``/graphql`` without Starlette, and everything else with it.

    Starlette has eight coroutines around a socket for as long as that is open: 5 KiB for each that is idle.
    """

    def __init__(
        self, app: ASGIApp, serve: Callable[[WebSocket], Awaitable[None]], around: Sequence[Middleware]
    ) -> None:
        async def serve_socket(scope: Scope, receive: Receive, send: Send) -> None:
            await serve(WebSocket(scope, receive, send))

        self._app = app
        self._sockets: ASGIApp = serve_socket
        for middleware in reversed(around):
            self._sockets = middleware.cls(self._sockets, *middleware.args, **middleware.kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket, or the lifespan."""
        is_socket = scope["type"] == "websocket" and (
            scope["path"].removeprefix(scope.get("root_path", "")) in _GRAPHQL_PATHS
        )
        await (self._sockets if is_socket else self._app)(scope, receive, send)


def _tracing(tracer: Tracer | None) -> list[Middleware]:
    if tracer is None:
        return []
    from userline.telemetry.tracing.parts import TracingMiddleware  # noqa: PLC0415 - it needs userline[tracing]

    return [Middleware(TracingMiddleware, tracer=tracer)]


class _Assets(StaticFiles):
    """GraphiQL's assets, whose names change with their content."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file that browsers may keep."""
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        response.headers["x-content-type-options"] = "nosniff"
        return response


async def _to_graphql(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    return RedirectResponse("graphql")
