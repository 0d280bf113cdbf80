"""Runs one peer on Uvicorn, on uvloop and httptools, on a free port that it prints."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import uvicorn

# Each peer imports what it needs itself, so that the others start without it.
if TYPE_CHECKING:
    from starlette.types import ASGIApp


async def _app(name: str, store: str, stack: AsyncExitStack) -> ASGIApp:
    match name:
        case "bare-uvicorn":
            from bench.peers.bare_uvicorn import BareApp  # noqa: PLC0415

            return BareApp()
        case "ariadne":
            from bench.peers.plain_ariadne import make_app  # noqa: PLC0415

            return make_app(store)
        case "strawberry" | "strawberry-cached":
            from bench.peers.plain_strawberry import PlainGraphQL  # noqa: PLC0415
            from bench.peers.stores import open_store  # noqa: PLC0415

            opened = await stack.enter_async_context(open_store(store))
            return PlainGraphQL(opened, caches=name == "strawberry-cached")
    raise SystemExit(f"There is no peer {name!r}.")


async def _serve(name: str, store: str, listener: socket.socket) -> None:
    async with AsyncExitStack() as stack:
        config = uvicorn.Config(
            await _app(name, store, stack),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
        )
        host, port = listener.getsockname()
        print(f"http://{host}:{port}", flush=True)
        await uvicorn.Server(config).serve([listener])


def main() -> None:
    name, store = sys.argv[1:]
    if name == "limit":
        from bench.peers.limit import main as serve_limit  # noqa: PLC0415

        serve_limit()
        return
    factory = uvicorn.Config("").get_loop_factory()
    with (
        socket.create_server(("127.0.0.1", 0), backlog=2048) as listener,
        asyncio.Runner(loop_factory=factory) as runner,
    ):
        runner.run(_serve(name, store, listener))


main()
