"""Something that stands where Redis should, and answers every command with the same bytes."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

_COMMAND = re.compile(rb"\*\d+\r\n\$")


class ScriptedRedis:
    """Made by ``await ScriptedRedis.open(answer)``; ``ends`` closes each connection after the first answer."""

    def __init__(self, answer: bytes, *, ends: bool) -> None:
        self._answer = answer
        self._ends = ends
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.connections = 0

    @classmethod
    async def open(cls, answer: bytes, *, ends: bool = False) -> ScriptedRedis:
        scripted = cls(answer, ends=ends)
        scripted._server = await asyncio.start_server(scripted._talk, "127.0.0.1", 0)
        scripted.port = scripted._server.sockets[0].getsockname()[1]
        return scripted

    async def close(self) -> None:
        """Close every connection, and take no more."""
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        with suppress(OSError):
            while data := await reader.read(65536):
                for _ in _COMMAND.findall(data):
                    writer.write(self._answer)
                await writer.drain()
                if self._ends:
                    break
        self._open.discard(writer)
        writer.close()
