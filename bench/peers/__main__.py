"""Runs one peer on Uvicorn with its defaults, uvloop and httptools among them, on a free port that it prints."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from bench.peers import STRAWBERRY

if TYPE_CHECKING:
    from starlette.types import ASGIApp


async def _serve(name: str, database: Path, listener: socket.socket) -> None:
    async with AsyncExitStack() as stack:
        app: ASGIApp
        if name == STRAWBERRY:
            from bench.peers.plain_strawberry import PlainGateway, PlainGraphQL  # noqa: PLC0415 - the other needs none

            app = PlainGraphQL(await stack.enter_async_context(PlainGateway(database)))
        else:
            from bench.peers.bare_uvicorn import answer  # noqa: PLC0415

            app = answer
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2)
        host, port = listener.getsockname()
        print(f"http://{host}:{port}", flush=True)
        await uvicorn.Server(config).serve([listener])


def main() -> None:
    name, database = sys.argv[1:]
    factory = uvicorn.Config("").get_loop_factory()
    with (
        socket.create_server(("127.0.0.1", 0), backlog=2048) as listener,
        asyncio.Runner(loop_factory=factory) as runner,
    ):
        runner.run(_serve(name, Path(database), listener))


main()
