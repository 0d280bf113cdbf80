"""Settings on a disk that hangs: a named pipe that nobody writes into stands in the place of the file of the secret."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.gateway.reloading.test_surprises import until_two_answer
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer
from tests.support.tokens import SECRET

from userline.common.apart import call_apart
from userline.server.worker_links import Board, ParentLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOW = "Reading the settings again takes longer than 5 s"
OVER = "Reading the settings again has ended, after"


class Hanging:
    """A gateway whose settings are on a disk that hangs at will."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self._file = directory / "secret"
        self._file.write_text(SECRET)
        self.gateway = RunningGateway(directory, "--secret-file", str(self._file), *flags)

    def hang(self) -> None:
        """Have the gateway read its settings again, and hang."""
        pipe = self._file.with_name("pipe")
        os.mkfifo(pipe)
        pipe.replace(self._file)
        self.hang_up()
        self.until(lambda: len(self.reading()) == 1)

    def answer(self, secret: str) -> None:
        """Have the disk answer."""
        pipe = os.open(self._file, os.O_WRONLY | os.O_NONBLOCK)
        new = self._file.with_name("new")
        new.write_text(secret)
        new.replace(self._file)
        os.write(pipe, secret.encode())
        os.close(pipe)

    def hang_up(self) -> None:
        self.gateway.process.send_signal(signal.SIGHUP)

    def reading(self) -> list[str]:
        """Return what the threads wait for in the kernel that open a named pipe."""
        names = []
        for task in Path(f"/proc/{self.gateway.process.pid}/task").iterdir():
            with suppress(OSError):
                names.append((task / "wchan").read_text())
        return [name for name in names if "fifo" in name or "wait_for_partner" in name]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.gateway.log
            time.sleep(0.05)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.remove()


def test_workers_are_replaced_while_reading_hangs(tmp_path: Path, redis: RedisServer) -> None:
    hanging = Hanging(tmp_path, "--workers", "2", "--bus-url", redis.url)
    gateway = hanging.gateway
    try:
        workers = until_two_answer(gateway)
        hanging.hang()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        assert workers.isdisjoint(until_two_answer(gateway, but=workers))
        assert len(hanging.reading()) == 1
        play_to_the_end(hanging)
    finally:
        gateway.kill()


def test_one_process_serves_on_while_reading_hangs(tmp_path: Path) -> None:
    hanging = Hanging(tmp_path)
    try:
        hanging.hang()
        assert hanging.gateway.http.get("/healthz").status_code == 200
        play_to_the_end(hanging)
    finally:
        hanging.gateway.kill()


def play_to_the_end(hanging: Hanging) -> None:
    """See that one reading hangs however many are asked for, that the log tells of it, and that it ends well."""
    gateway = hanging.gateway
    for _ in range(5):
        hanging.hang_up()
        time.sleep(0.3)
    assert len(hanging.reading()) == 1
    hanging.until(lambda: SLOW in gateway.log)
    hanging.hang_up()
    assert OVER not in gateway.log
    hanging.answer("another secret, which is long enough to be one")
    hanging.until(lambda: "The settings were reloaded" in gateway.log)
    hanging.until(lambda: "nothing has changed" in gateway.log)  # all that came meanwhile was one more reading
    assert (gateway.log.count(SLOW), gateway.log.count(OVER)) == (1, 1)
    assert gateway.log.count("nothing has changed") == 1
    assert not hanging.reading()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reading_that_hangs_holds_up_no_stop(tmp_path: Path, redis: RedisServer, workers: int) -> None:
    hanging = Hanging(tmp_path, "--workers", str(workers), "--bus-url", redis.url)
    try:
        hanging.hang()
        assert hanging.gateway.stop() == 0, hanging.gateway.log
        assert "Traceback" not in hanging.gateway.log
    finally:
        hanging.gateway.kill()


def test_what_a_worker_has_written_is_read_for_a_moment_only(tmp_path: Path) -> None:
    """The disk may hang that has made the worker hang."""
    trace = tmp_path / "0.trace"
    os.mkfifo(trace)
    link = ParentLink(0, Board(1), trace)
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        assert link.trace_of(os.getpid()) == ""
        os.close(os.open(trace, os.O_WRONLY | os.O_NONBLOCK))  # which fails if nobody reads it
    finally:
        signal.signal(signal.SIGUSR2, before)
        link.close()


def test_a_call_apart_gives_what_comes_of_it() -> None:
    name = call_apart(lambda: threading.current_thread().name, "apart").result(20)
    assert name == "apart"
    failing = call_apart(lambda: int("x"), "apart")
    with pytest.raises(ValueError, match="invalid literal"):
        failing.result(20)
    assert not failing.cancel()
