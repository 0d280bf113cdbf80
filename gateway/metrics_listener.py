"""``/metrics`` at a separate address, which clients of the API cannot reach."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from userline.gateway.refusals import body_of_bad_request
from userline.server.http import make_http_protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request

_HEADER_BYTES = 8192
_HEADER_SECONDS = 10.0


def metrics_route(exposition: Callable[[], Awaitable[bytes]]) -> Route:
    """Return the route that tells the metrics."""

    async def metrics(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        text = await exposition()
        from prometheus_client import CONTENT_TYPE_LATEST  # noqa: PLC0415 - the text is what has loaded it

        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"})

    return Route("/metrics", metrics)


@asynccontextmanager
async def serving_metrics(
    exposition: Callable[[], Awaitable[bytes]], listener: socket.socket | None
) -> AsyncIterator[None]:
    """Serve ``/metrics`` and nothing else where ``listener`` listens, until this is left; without one do nothing."""
    if listener is None:
        yield
        return
    protocol = make_http_protocol(
        max_header_bytes=_HEADER_BYTES, header_seconds=_HEADER_SECONDS, refusal_body=body_of_bad_request
    )
    config = uvicorn.Config(
        Starlette(routes=[metrics_route(exposition)]),
        http=protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    config.load()
    state = uvicorn.server.ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}),
        sock=listener,
    )
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
