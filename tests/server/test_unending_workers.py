"""A worker that waits for a disk that hangs is not ended by SIGKILL, and holds up nobody all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.disks import HungDisk, hung_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUND_SECONDS: Final = 60
"""Within which all of it is over: the limits of this test and of the product are some ten seconds."""

PROGRAM: Final = """
import logging, os, signal, sys
from pathlib import Path

from userline.server.workers import Supervision, UnendingWorkersError, run_workers


async def live(link, file):
    import asyncio

    async with link.kept(print):
        signal.signal(signal.SIGUSR1, lambda *_: os.stat(file))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        os.write(1, b"worker %d %d\\n" % (link.number, os.getpid()))
        await asyncio.sleep(3600)


def work(file, link):
    import asyncio

    try:
        asyncio.run(live(link, file))
    finally:
        os.write(1, b"ended %d\\n" % link.number)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    supervision = Supervision(patience=1, hang_seconds=float(sys.argv[2]), traces=Path(), news=lambda: None)
    try:
        run_workers(2, work, (sys.argv[1],), supervision)
    except UnendingWorkersError as error:
        print(error)
        sys.exit(1)
"""


class Program:
    """A process with two workers, of which one waits for a disk since a moment ago."""

    def __init__(self, directory: Path, disk: HungDisk, hang_seconds: float) -> None:
        script = directory / "program.py"
        script.write_text(PROGRAM)
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(disk.path), str(hang_seconds)], stdout=log, cwd=directory
            )
        self.until(lambda: len(self.pids()) == 2)
        self.stuck = self.pids()[0]
        os.kill(self.stuck, signal.SIGUSR1)
        self.until(lambda: Path(f"/proc/{self.stuck}/wchan").read_text() == "request_wait_answer")

    @property
    def log(self) -> str:
        return self._log.read_text()

    def pids(self) -> dict[int, int]:
        """Return the processes by the numbers of their workers."""
        told = [line.split() for line in self.log.splitlines() if line.startswith("worker ")]
        return {int(number): int(pid) for _, number, pid in told}

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + BOUND_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)


def state_of(pid: int) -> str:
    """Return the letter of what a process does: "D" if it waits in the kernel, whatever signal comes."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - of this kernel
        return file.read().rpartition(")")[2].split()[0]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[HungDisk]:
    with hung_disk(tmp_path / "hung") as disk:
        yield disk


def test_one_that_hangs_and_cannot_be_ended_ends_the_process(tmp_path: Path, disk: HungDisk) -> None:
    """It stops the other worker before, and says why."""
    program = Program(tmp_path, disk, hang_seconds=2)
    assert program.process.wait(BOUND_SECONDS) == 1
    assert f"(process {program.stuck}) has not responded for" in program.log
    assert f"Worker 0 (process {program.stuck}) has not ended of SIGKILL" in program.log
    assert "ended 1" in program.log
    assert f"maybe for a disk that hangs: {program.stuck} (process)" in program.log.splitlines()[-1]
    assert state_of(program.stuck) == "D"


def test_one_that_cannot_be_ended_holds_up_no_stop(tmp_path: Path, disk: HungDisk) -> None:
    program = Program(tmp_path, disk, hang_seconds=0)
    program.process.terminate()
    assert program.process.wait(BOUND_SECONDS) == 1
    assert f"Worker 0 (process {program.stuck}) does not end and is killed." in program.log
    assert "ended 1" in program.log
    assert f"maybe for a disk that hangs: {program.stuck} (process)" in program.log.splitlines()[-1]
    assert state_of(program.stuck) == "D"


def test_one_that_ends_late_is_replaced(tmp_path: Path) -> None:
    """Its disk answers again before the limit, and the other worker is looked after meanwhile."""
    with hung_disk(tmp_path / "hung") as disk:
        program = Program(tmp_path, disk, hang_seconds=2)
        program.until(lambda: "is killed. Starting another" in program.log)
        other = program.pids()[1]
        os.kill(other, signal.SIGKILL)
        program.until(lambda: program.pids()[1] != other)
        assert state_of(program.stuck) == "D"
    program.until(lambda: program.pids()[0] != program.stuck)
    program.process.terminate()
    assert program.process.wait(BOUND_SECONDS) == 0
    assert "ended 0" in program.log
