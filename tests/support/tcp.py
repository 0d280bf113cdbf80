"""Something that stands where a server should, and answers whatever comes with bytes of the test's own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def answering(answer: bytes, *, ends: bool = False) -> AsyncIterator[int]:
    """Listen, and answer each time that something is sent; with ``ends`` once a connection. The value is the port."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        task.add_done_callback(talks.discard)
        try:
            with suppress(OSError):
                while await reader.read(65536):
                    writer.write(answer)
                    await writer.drain()
                    if ends:
                        return
        except asyncio.CancelledError:
            return  # or asyncio would say that nobody has asked for it
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
