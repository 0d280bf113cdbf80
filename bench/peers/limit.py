"""The least that a server in Python does: uvloop reads, and writes bytes made beforehand. Nothing is parsed."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final, cast

import orjson
import uvloop

from bench import users

if TYPE_CHECKING:
    from collections.abc import Callable

_BODY: Final = orjson.dumps({"data": {"user": users.user(0)}})
_ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)


class _Fixed(asyncio.Protocol):
    """Answers whatever comes in one read with one user: the load sends each request whole, and waits for the answer."""

    _write: Callable[[bytes], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - it is not looked at
        self._write(_ANSWER)


async def serve(listener: socket.socket) -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(_Fixed, sock=listener, backlog=2048)
    await server.serve_forever()


def main() -> None:
    """Serve on a free port that it prints."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print("http://{}:{}".format(*listener.getsockname()), flush=True)
        uvloop.run(serve(listener))
