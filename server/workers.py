"""Several processes that serve the same address: started, restarted when they die, and stopped as one."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from contextlib import contextmanager
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnProcess

logger = logging.getLogger("userline.workers")

_SHORTEST_LIFE_SECONDS: Final = 1.0
"""A worker that lived shorter is not replaced before this time has passed."""

_spawn = multiprocessing.get_context("spawn")


def run_workers(count: int, work: Callable[..., None], arguments: tuple[Any, ...], *, patience: float) -> None:
    """Run ``work(*arguments, number)`` in ``count`` processes until SIGINT or SIGTERM; all must be picklable.

    A worker that dies is replaced, under its number. When it is time to stop, each gets SIGTERM, and SIGKILL after
    ``patience`` seconds. After SIGINT, and after a second signal, each gets another SIGTERM: the sign to hurry.
    """
    workers = [_Worker(work, (*arguments, number)) for number in range(count)]
    with _signals() as (stop, hurry):
        for worker in workers:
            worker.start()
        while not stop.is_set():
            # A signal ends neither this wait nor a sleep, so neither may be long.
            connection.wait([worker.process.sentinel for worker in workers], timeout=0.2)
            for worker in workers:
                if not stop.is_set():
                    worker.replace_if_dead()
        for worker in workers:
            worker.stop()
        deadline = time.monotonic() + patience
        time.sleep(0.2)  # two signals at once would be one
        while time.monotonic() < deadline and any(worker.process.is_alive() for worker in workers):
            if hurry.wait(0.1):
                hurry.clear()
                for worker in workers:
                    worker.stop()
        for worker in workers:
            worker.end()


def follow_parent() -> None:
    """Stop this worker when the process that started it is gone. Called in the worker."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="userline-parent", daemon=True).start()


class _Worker:
    def __init__(self, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._work = work
        self._arguments = arguments
        self._started = 0.0
        self.process: SpawnProcess = self._new()

    def _new(self) -> SpawnProcess:
        return _spawn.Process(target=self._work, args=self._arguments, name="userline-worker")

    def start(self) -> None:
        self._started = time.monotonic()
        self.process.start()

    def replace_if_dead(self) -> None:
        if self.process.is_alive():
            return
        rest = self._started + _SHORTEST_LIFE_SECONDS - time.monotonic()
        if rest > 0:
            time.sleep(min(rest, 0.2))
            return
        logger.error(
            "Worker %s has ended with exit code %s; starting another.", self.process.pid, self.process.exitcode
        )
        self.process.close()
        self.process = self._new()
        self.start()

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.terminate()

    def end(self) -> None:
        if self.process.is_alive():
            logger.error("Worker %s does not end; killing it.", self.process.pid)
            self.process.kill()
        self.process.join()


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
