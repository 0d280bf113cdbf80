"""Server processes: what starts them, and what they cost."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

Address: TypeAlias = tuple[str, int]

_ADDRESS: Final = re.compile(r"http://(127\.0\.0\.1):(\d+)")
_PATIENCE: Final = 30.0
_POLL_SECONDS: Final = 0.005


class BenchError(Exception):
    """Something that leaves nothing to measure."""


class Server:
    """A process that serves ``/graphql`` at ``address``. ``started`` is on the clock of ``time.perf_counter``."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], address: Address, started: float) -> None:
        self.name = name
        self.address = address
        self.started = started
        self._process = process

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of the process so far, all threads, user and kernel; None where there is no /proc."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return None
        after_name = stat.rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Return the memory that the process has. Raises BenchError where there is no /proc."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        except OSError as error:
            raise BenchError(f"The memory of {self.name} cannot be read: {error}") from error
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], home: Path, environment: Mapping[str, str]
) -> AsyncIterator[Server]:
    """Start a server that prints its address; stop it on the way out. Raises BenchError."""
    log_path = home / "log"
    started = time.perf_counter()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield Server(name, process, await _address(name, process, log_path), started)
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, _PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _address(name: str, process: subprocess.Popen[bytes], log: Path) -> Address:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        match = _ADDRESS.search(log.read_text())
        if match:
            return match[1], int(match[2])
        await asyncio.sleep(_POLL_SECONDS)
    raise BenchError(f"{name} did not start:\n{log.read_text()}")
