"""Something that stands where Redis should, and answers whatever it is asked with bytes of the test's own."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.support.listening import stop_listening

if TYPE_CHECKING:
    from collections.abc import Callable

_COMMAND = re.compile(rb"\*\d+\r\n\$")


class ScriptedRedis:
    """Made by ``await ScriptedRedis.open(answer)``; with ``ends`` each connection ends after its first answers."""

    def __init__(self, answer: bytes | Callable[[], bytes], *, ends: bool) -> None:
        self._answer = answer
        self._ends = ends
        self._server: asyncio.Server | None = None
        self._talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.port = 0
        self.connections = 0

    @classmethod
    async def open(cls, answer: bytes | Callable[[], bytes], *, ends: bool = False) -> ScriptedRedis:
        scripted = cls(answer, ends=ends)
        scripted._server = await asyncio.start_server(scripted._accept, "127.0.0.1", 0)
        scripted.port = scripted._server.sockets[0].getsockname()[1]
        return scripted

    async def close(self) -> None:
        """Take no more connections, and end those there are."""
        assert self._server is not None
        await stop_listening(self._server)
        for talk, writer in self._talks.items():
            talk.cancel()
            writer.close()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        talk = asyncio.create_task(self._talk(reader, writer))
        self._talks[talk] = writer
        talk.add_done_callback(self._talks.pop)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    for _ in _COMMAND.findall(data):
                        writer.write(self._answer if isinstance(self._answer, bytes) else self._answer())
                    await writer.drain()
                    if self._ends:
                        return
        finally:
            writer.close()
