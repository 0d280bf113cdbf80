"""Several processes that serve the same address: started, replaced when they end or hang, and stopped together."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Final

from userline.server.hang_ups import held_back
from userline.server.worker_links import Board, ParentLink, WorkerProcess, staying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

logger = logging.getLogger("userline.workers")

_SHORTEST_LIFE_SECONDS: Final = 1.0
"""A worker that lived shorter is not replaced before this time has passed."""

_LONGEST_TURN_SECONDS: Final = 1.0
"""What counts at most of the time between two looks: this process may have been stopped, or the machine asleep."""

_LONGEST_TRACE: Final = 4000
_SAYS_NOTHING: Final = "not known: the process may be stopped (SIGSTOP), or wait for a disk that hangs"
_START_SECONDS: Final = 60.0
"""How long a worker may take until its first sign of life, at least."""

_KILLED_SECONDS: Final = 10.0
"""How long a worker may take to end after SIGKILL. One that waits for a disk ends when that answers, maybe never."""

_UNENDING: Final = (
    "Worker %d (process %s) has not ended of SIGKILL: it waits in the kernel, maybe for a disk that hangs. Stopping "
    "the gateway."
)


class UnendingWorkersError(Exception):
    """Workers that SIGKILL does not end."""

    def __init__(self, pids: Sequence[int | None]) -> None:
        super().__init__(
            f"SIGKILL has not ended what waits in the kernel, maybe for a disk that hangs: {', '.join(map(str, pids))} "
            f"({'process' if len(pids) == 1 else 'processes'}). The gateway ends without waiting longer."
        )


@dataclass(frozen=True, slots=True)
class Supervision:
    """What is done while workers run."""

    patience: float
    """How many seconds they may take to stop."""
    hang_seconds: float
    """How long one may give no sign of life; 0 = any time."""
    traces: Path
    """A directory for what workers that hang write."""
    news: Callable[[], Any]
    """Called several times a second, so it must not wait; what it returns is told to all workers, unless it is None."""


def run_workers(count: int, work: Callable[..., None], arguments: tuple[Any, ...], supervision: Supervision) -> None:
    """Run ``work(*arguments, link)`` in ``count`` processes until SIGINT or SIGTERM; all must be picklable.

    ``link`` is a WorkerLink with the worker's number. A worker that dies is replaced, under its number, and so is one
    that hangs. ``arguments`` are those of the moment when a worker is started. When it is time to stop, each gets
    SIGTERM, and SIGKILL when patience is over. After SIGINT, and after a second signal, each gets another SIGTERM: the
    sign to hurry. Raises UnendingWorkersError when one does not end after SIGKILL: the others are stopped before.
    """
    board = Board(count)
    workers = [_Worker(work, arguments, number, board, supervision) for number in range(count)]
    with _signals() as (stop, hurry):
        try:
            for worker in workers:
                worker.start()
            _look_after(workers, supervision, stop)
        finally:
            _end(workers, supervision.patience, hurry)


def _look_after(workers: Sequence[_Worker], supervision: Supervision, stop: threading.Event) -> None:
    """Replace workers that end or hang until it is time to stop, or until one cannot be ended."""
    looked = time.monotonic()
    while not stop.is_set() and not any(worker.is_unending for worker in workers):
        # A signal ends neither this wait nor a sleep, so neither may be long. A process that cannot be ended may have
        # closed its sentinel nevertheless.
        connection.wait([worker.process.sentinel for worker in workers if not worker.is_killed], timeout=0.2)
        news = supervision.news()
        seconds, looked = time.monotonic() - looked, time.monotonic()
        for worker in workers:
            if not stop.is_set():
                worker.look(min(seconds, _LONGEST_TURN_SECONDS), news)
    for worker in workers:
        if worker.is_unending:
            logger.critical(_UNENDING, worker.number, worker.process.pid)


def _end(workers: Sequence[_Worker], patience: float, hurry: threading.Event) -> None:
    """Stop all workers, and kill those that take longer. Raises UnendingWorkersError if that does not end one."""
    for worker in workers:
        worker.stop()
    deadline = time.monotonic() + patience
    time.sleep(0.2)  # two signals at once would be one
    while time.monotonic() < deadline and any(worker.is_alive and not worker.is_killed for worker in workers):
        if hurry.wait(0.1):
            hurry.clear()
            for worker in workers:
                worker.stop()
    for worker in workers:
        worker.kill()
    deadline = time.monotonic() + _KILLED_SECONDS
    while time.monotonic() < deadline and any(worker.is_alive and not worker.is_unending for worker in workers):
        time.sleep(0.02)
    if left := [worker.process.pid for worker in workers if worker.is_alive]:
        raise UnendingWorkersError(left)


def follow_parent() -> None:
    """Stop this worker when the process that started it is gone. Called in the worker."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="userline-parent", daemon=True).start()


class _Worker:
    """One of the workers: a process, and after it those that replace it."""

    def __init__(
        self, work: Callable[..., None], arguments: tuple[Any, ...], number: int, board: Board, supervision: Supervision
    ) -> None:
        self._work = work
        self._arguments = arguments
        self.number = number
        self._board = board
        self._supervision = supervision
        self._started = 0.0
        self._killed_seconds: float | None = None
        self.process: WorkerProcess
        self._link: ParentLink

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended yet."""
        return self._started > 0 and self.process.is_alive()

    @property
    def is_killed(self) -> bool:
        """Whether the process was sent SIGKILL."""
        return self._killed_seconds is not None

    @property
    def is_unending(self) -> bool:
        """Whether the process has not ended for long after SIGKILL."""
        return self._killed_seconds is not None and self._killed_seconds >= _KILLED_SECONDS and self.is_alive

    def start(self) -> None:
        """Start a process. It gets no SIGHUP, as the one that starts it tells it what that means."""
        self._link = ParentLink(self.number, self._board, self._supervision.traces / f"{self.number}.trace")
        self.process = WorkerProcess(
            target=self._work, args=(*self._arguments, self._link.of_worker), name="userline-worker"
        )
        self._started = time.monotonic()
        self._killed_seconds = None
        with held_back(), staying():
            self.process.start()
        self._link.started()

    def look(self, seconds: float, news: Any) -> None:
        """See after so many seconds whether it lives and works, and tell it news, if there are any."""
        if news is not None:
            self._link.tell(news)
        self._link.watch(seconds)
        if self._killed_seconds is not None:
            self._killed_seconds += seconds
            if not self.is_alive:
                self._replace(hung=True)
        elif not self.is_alive:
            self._replace_dead()
        elif self._hangs():
            self._kill_hung()

    def _hangs(self) -> bool:
        most = self._supervision.hang_seconds
        return bool(most) and self._link.silent_seconds > (most if self._link.is_up else max(most, _START_SECONDS))

    def _replace_dead(self) -> None:
        rest = self._started + _SHORTEST_LIFE_SECONDS - time.monotonic()
        if rest > 0:
            time.sleep(min(rest, 0.2))
            return
        logger.error(
            "Worker %d (process %s) has ended with exit code %s; starting another.",
            self.number,
            self.process.pid,
            self.process.exitcode,
        )
        self._replace(hung=False)

    def _kill_hung(self) -> None:
        pid = self.process.pid
        trace = "" if pid is None else self._link.trace_of(pid)
        logger.error(
            "Worker %d (process %s) has not responded for %.0f s and is killed. Starting another.",
            self.number,
            pid,
            self._link.silent_seconds,
            extra={"fields": {"where": trace[-_LONGEST_TRACE:] or _SAYS_NOTHING}},
        )
        self.process.kill()
        self._killed_seconds = 0.0

    def _replace(self, *, hung: bool) -> None:
        self._link.note_replacement(hung=hung)
        self._link.close()
        self.process.close()
        self.start()

    def stop(self) -> None:
        """Send SIGTERM, if there is a process."""
        if self.is_alive:
            self.process.terminate()

    def kill(self) -> None:
        """Send SIGKILL, if there is a process that was not sent it yet."""
        if self.is_alive and not self.is_killed:
            logger.error("Worker %d (process %s) does not end and is killed.", self.number, self.process.pid)
            self.process.kill()
            self._killed_seconds = 0.0


@contextmanager
def _signals() -> Iterator[tuple[threading.Event, threading.Event]]:
    """Yield an event that the first of SIGINT and SIGTERM sets, and one that SIGINT and every later one sets."""
    stop, hurry = threading.Event(), threading.Event()

    def on_signal(number: int, _: object) -> None:
        if number == signal.SIGINT or stop.is_set():
            hurry.set()
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield stop, hurry
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
