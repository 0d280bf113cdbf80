"""How a server of a test stops listening."""

from __future__ import annotations

import asyncio


async def stop_listening(server: asyncio.Server) -> None:
    """Take no more connections, and lose none that has just come in.

    ``Server.close`` alone does: asyncio takes a connection in one turn of the event loop and gives it to the server in
    the next. If that is closed by then, it fails without a word (seen with Python 3.11), and the socket is nobody's.
    """
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    await asyncio.sleep(0)
    server.close()
