"""Messages between the process that starts workers and each worker: signs of life, and new settings.

A sign of life is a number in memory that both see, so that it costs nothing and waits for nobody.
"""

from __future__ import annotations

import asyncio
import faulthandler
import multiprocessing
import os
import signal
import threading
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Any, Final

from userline.common import tasks
from userline.common.apart import call_apart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

BEAT_SECONDS: Final = 0.5
"""How often a worker gives a sign of life."""

spawn = multiprocessing.get_context("spawn")

_BEATS, _TAKEN, _DIED, _HUNG = range(4)
_NUMBERS: Final = 4
_TRACE_SECONDS: Final = 0.5
_READING_SECONDS: Final = 1.0
"""How long reading what a worker has written may take: the disk may hang that has made the worker hang."""

_TRACE_SIGNAL: Final = getattr(signal, "SIGUSR2", None)


class WorkerProcess(SpawnProcess):
    """A process of a worker. Waiting for it means checking ``is_alive`` until a time limit."""

    def join(self, timeout: float | None = None) -> None:
        """Do not wait: multiprocessing calls this when this process ends, for whoever has not ended, without limit."""


@contextmanager
def staying() -> Iterator[None]:
    """Have processes that this thread starts meanwhile stay in the working directory that they inherit.

    multiprocessing tells them its path, to go there. But a directory that is gone has no path, and one that goes later
    cannot be gone to.
    """
    thread, path = threading.get_ident(), os.getcwd
    os.getcwd = lambda: os.curdir if threading.get_ident() == thread else path()
    try:
        yield
    finally:
        os.getcwd = path


class Board:
    """Numbers of all workers in shared memory. It can be passed to a new process."""

    def __init__(self, count: int) -> None:
        self._numbers: Any = spawn.RawArray("Q", count * _NUMBERS)

    def of(self, worker: int, which: int) -> int:
        """Return a number of a worker's."""
        return int(self._numbers[worker * _NUMBERS + which])

    def total(self, which: int) -> int:
        """Return the sum of a number of all workers."""
        return int(sum(self._numbers[which::_NUMBERS]))

    def set(self, worker: int, which: int, value: int) -> None:
        """Set a number of a worker's; each has one who sets it."""
        self._numbers[worker * _NUMBERS + which] = value


@dataclass(frozen=True, slots=True)
class WorkerLink:
    """The worker's end of the link. It is passed to the worker when it is started."""

    number: int
    board: Board
    news: Connection
    trace_path: Path
    """Where a worker that hangs writes what it is doing."""

    @property
    def replaced(self) -> dict[str, int]:
        """How often any of the workers was replaced, by the reason."""
        return {"died": self.board.total(_DIED), "hung": self.board.total(_HUNG)}

    def write_traces(self) -> None:
        """Write what this process is doing when the other one asks for it."""
        if _TRACE_SIGNAL is not None:
            self.trace_path.unlink(missing_ok=True)
            faulthandler.register(_TRACE_SIGNAL, self.trace_path.open("w"), all_threads=False)

    @asynccontextmanager
    async def kept(self, hear: Callable[[Any], None]) -> AsyncIterator[None]:
        """Give signs of life, and call ``hear`` with all news, in the event loop, until this is left."""
        beating = asyncio.create_task(self._beat(), name="userline-worker-beat")
        hearing = threading.Thread(
            target=self._hear, args=(asyncio.get_running_loop(), hear), name="userline-worker-news", daemon=True
        )
        hearing.start()
        try:
            yield
        finally:
            await tasks.end([beating])

    async def _beat(self) -> None:
        beats = 0
        while True:
            beats += 1
            self.board.set(self.number, _BEATS, beats)
            await asyncio.sleep(BEAT_SECONDS)

    def _hear(self, loop: asyncio.AbstractEventLoop, hear: Callable[[Any], None]) -> None:
        with suppress(EOFError, OSError, RuntimeError):  # the other process, or the event loop, is gone
            while True:
                serial, news = self.news.recv()
                loop.call_soon_threadsafe(self._take, serial, news, hear)

    def _take(self, serial: int, news: Any, hear: Callable[[Any], None]) -> None:
        try:
            hear(news)
        finally:
            self.board.set(self.number, _TAKEN, serial)


class ParentLink:
    """The parent's end of the link; made again for each process."""

    def __init__(self, number: int, board: Board, trace_path: Path) -> None:
        self._number = number
        self._board = board
        self._sender: Connection
        self._receiver, self._sender = spawn.Pipe(duplex=False)
        self._trace_path = trace_path
        self._beats = 0
        self._sent = 0
        self._news: Any = None
        self.silent_seconds = 0.0
        """How long there was no sign of life, in time that this process was awake."""
        for which in (_BEATS, _TAKEN):
            board.set(number, which, 0)

    @property
    def of_worker(self) -> WorkerLink:
        """The other end."""
        return WorkerLink(self._number, self._board, self._receiver, self._trace_path)

    @property
    def is_up(self) -> bool:
        """Whether there was any sign of life yet."""
        return self._beats > 0

    def started(self) -> None:
        """Take note that the worker has its end now."""
        self._receiver.close()

    def watch(self, seconds: float) -> None:
        """Look for a sign of life, after so many seconds, and send on what waits."""
        beats = self._board.of(self._number, _BEATS)
        self.silent_seconds = self.silent_seconds + seconds if beats == self._beats else 0.0
        self._beats = beats
        if self._news is not None and self._board.of(self._number, _TAKEN) == self._sent:
            news, self._news = self._news, None
            self._sent += 1
            # Not here, as a worker that does not read must hold up nobody; it is sent one at a time.
            threading.Thread(target=self._send, args=(self._sent, news), daemon=True).start()

    def tell(self, news: Any) -> None:
        """Send news when the worker has taken what it was sent before; the last is enough."""
        self._news = news

    def trace_of(self, pid: int) -> str:
        """Return what the worker is doing, if it can still be made to say so within a moment."""
        if _TRACE_SIGNAL is None:
            return ""
        try:
            os.kill(pid, _TRACE_SIGNAL)
            time.sleep(_TRACE_SECONDS)
            reading = call_apart(lambda: self._trace_path.read_text(errors="replace"), "userline-worker-trace")
            return reading.result(_READING_SECONDS).strip()
        except OSError:  # TimeoutError is one
            return ""

    def note_replacement(self, *, hung: bool) -> None:
        """Count that the worker with this number is replaced."""
        which = _HUNG if hung else _DIED
        self._board.set(self._number, which, self._board.of(self._number, which) + 1)

    def close(self) -> None:
        """Send nothing any more."""
        self._sender.close()

    def _send(self, serial: int, news: Any) -> None:
        with suppress(OSError, ValueError):
            self._sender.send((serial, news))
