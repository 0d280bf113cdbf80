"""Metrics of all worker processes, available from each of them.

Each worker answers on a Unix socket of its own in a directory that they share. The one that a scraper reaches asks the
others, and adds to each line the number of the worker that it is of.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userline.telemetry.metrics.text import labelled, merged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

_SECONDS: Final = 1.0
"""How long a worker has to answer another; one that does not is left out."""


@dataclass(frozen=True, slots=True)
class WorkerMetrics:
    """The metrics of one worker, shared with the others."""

    directory: Path
    number: int
    replaced: Callable[[], Mapping[str, int]] = dict
    """Returns how often any of the workers was replaced, by the reason."""

    @asynccontextmanager
    async def answering_others(self, exposition: Callable[[], Awaitable[str]]) -> AsyncIterator[None]:
        """Answer the other workers with this one's metrics."""
        path = self._path
        path.unlink(missing_ok=True)  # of a worker that died

        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                writer.write((await exposition()).encode())
                await writer.drain()
            writer.close()

        server = await asyncio.start_unix_server(answer, path)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)

    async def of_all(self, own: bytes) -> bytes:
        """Return the metrics of all workers that answer."""
        others = {int(path.stem): path for path in self.directory.glob("*.sock") if path != self._path}
        answers = await asyncio.gather(*map(_ask, others.values()))
        texts = {worker: answer for worker, answer in zip(others, answers, strict=True) if answer is not None}
        told = []
        for worker, text in sorted({self.number: own.decode(), **texts}.items()):
            told.append(labelled(text, f'worker="{worker}"'))
            await asyncio.sleep(0)  # each is some thousand lines
        return merged(told).encode()

    @property
    def _path(self) -> Path:
        return self.directory / f"{self.number}.sock"


async def _ask(path: Path) -> str | None:
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return (await reader.read(-1)).decode()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
