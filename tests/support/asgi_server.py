"""An ASGI application on a protocol class, in this process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn

from userline.gateway.refusals import body_of_bad_request
from userline.server.http import make_http_protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp


def our_protocol() -> type[asyncio.Protocol]:
    """Return the gateway's class, without a lane."""
    return make_http_protocol(max_header_bytes=1000, header_seconds=5, refusal_body=body_of_bad_request)


@asynccontextmanager
async def connected(
    app: ASGIApp, protocol: type[asyncio.Protocol] | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve the application, and open a connection to it."""
    http = protocol or our_protocol()
    config = uvicorn.Config(app, lifespan="off", log_config=None, http=http)
    config.load()
    state = uvicorn.Server(config).server_state
    listener = await asyncio.get_running_loop().create_server(
        lambda: http(config=config, server_state=state, app_state={}),  # type: ignore[call-arg]  # Uvicorn's signature
        "127.0.0.1",
    )
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        listener.close()
