"""The ASGI application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from userline.gateway.browsers import BrowserMiddleware
from userline.gateway.entry import Entry
from userline.gateway.graphiql.page import static_directory
from userline.gateway.health import Health
from userline.gateway.http import GraphQLOverHTTP
from userline.gateway.metrics_listener import metrics_route
from userline.gateway.middleware import LastNet, RequestMiddleware
from userline.gateway.rest.api import RestApi, RestRoute
from userline.gateway.streaming.stream import Streams
from userline.gateway.websocket.admission import Admission
from userline.gateway.websocket.session import SocketParts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from userline.gateway.runtime import Runtime


def make_app(runtime: Runtime) -> ASGIApp:
    """Return the application of a gateway. Its lifespan, where the server runs it, opens and closes the runtime."""
    settings = runtime.settings
    health = Health(runtime)

    parts = SocketParts(settings, runtime.answering, runtime.authenticator, runtime.connections, runtime.deliveries)
    sockets = Admission(parts, runtime.unidentified)
    streams = Streams(
        runtime.answering,
        runtime.authenticator.live,
        runtime.connections,
        runtime.drain,
        ping_seconds=settings.ping_seconds,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's signature
        async with runtime.running():
            yield

    graphql = GraphQLOverHTTP(settings, runtime.answering, runtime.authenticator, streams)
    routes: list[BaseRoute] = [
        *(Route(path, graphql) for path in ("/graphql", "/graphql/")),
        *(WebSocketRoute(path, sockets.serve) for path in ("/graphql", "/graphql/")),
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
        *([] if settings.metrics_address else [metrics_route(runtime.exposition)]),
        RestRoute(RestApi(settings, runtime.users, runtime.authenticator, runtime.answering)),
        Route("/", _to_graphql),
    ]
    if settings.graphiql and static_directory().is_dir():
        routes.append(Mount("/graphiql", _Assets(directory=static_directory())))
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            *_tracing(runtime),
            Middleware(
                RequestMiddleware,
                metrics=runtime.metrics,
                access_log=runtime.logs_requests,
            ),
            Middleware(BrowserMiddleware, settings=settings),
            Middleware(LastNet),
        ],
    )
    app.router.redirect_slashes = False  # it would redirect to an address that proxies know nothing of
    if not runtime.answers_at_once:
        return app
    return Entry(app, runtime.answering, runtime.meanings, runtime.count_at_once)


def _tracing(runtime: Runtime) -> list[Middleware]:
    if runtime.tracer is None:
        return []
    from userline.telemetry.tracing.parts import TracingMiddleware  # noqa: PLC0415 - it needs userline[tracing]

    return [Middleware(TracingMiddleware, tracer=runtime.tracer)]


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
