"""A way to a server that can be closed: what was sent then stays on the road."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.support.listening import stop_listening


class Detour:
    """A port of the loopback address that leads to another one, until it is held.

    Made by ``await Detour.open(port)``. ``port`` is where to connect instead.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @classmethod
    async def open(cls, target: int) -> Detour:
        detour = cls(target)
        detour._server = await asyncio.start_server(detour._accept, "127.0.0.1", 0)
        detour.port = detour._server.sockets[0].getsockname()[1]
        return detour

    def lead_to(self, target: int) -> None:
        """Lead to another port from now on, and leave the connections there are as they are."""
        self._target = target

    def hold(self) -> None:
        """Let nothing more through, either way, with every connection open."""
        self._passing.clear()

    def lose(self) -> None:
        """Let nothing more through on the connections there are, and nobody know of it; new ones are whole."""
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    def release(self) -> None:
        """Let everything through again, what was held first."""
        self._passing.set()

    async def close(self) -> None:
        """Drop every connection, with all that was held."""
        if self._server is not None:
            await stop_listening(self._server)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepting = asyncio.current_task()
        assert accepting is not None
        self._tasks.add(accepting)
        accepting.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._writers.discard(writer)
            writer.close()
            return
        self._writers.add(back)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink, self._passing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        try:
            while data := await source.read(65536):
                await passing.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(sink)
            with suppress(OSError):
                sink.close()
