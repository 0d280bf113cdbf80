"""Server processes: the gateway and its peers, each with its own copy of the users."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Address: TypeAlias = tuple[str, int]

GATEWAY: Final = "userline"

_ROOT: Final = Path(__file__).parent.parent
_ADDRESS: Final = re.compile(r"http://(127\.0\.0\.1):(\d+)")
_PATIENCE: Final = 30.0


class BenchError(Exception):
    """Something that leaves nothing to measure."""


class Server:
    """A process that serves ``/graphql`` at ``address``."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], address: Address) -> None:
        self.name = name
        self.address = address
        self._process = process

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of the process so far, all threads, user and kernel; None where there is no /proc."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return None
        after_name = stat.rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int | None:
        """Return the memory that the process has; None where there is no /proc."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        except OSError:
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def running(name: str, seeded: Path, directory: Path, *flags: str) -> AsyncIterator[Server]:
    """Start the gateway with ``flags``, or a peer by its name; stop it on the way out. Raises BenchError."""
    home = directory / f"{name}-{time.monotonic_ns()}"
    home.mkdir()
    database = Path(shutil.copy(seeded, home / "users.db"))
    if name == GATEWAY:
        arguments = ["userline", "serve", "--port", "0", "--no-access-log", "--store-url", f"sqlite:///{database}"]
    else:
        arguments = ["bench.peers", name, str(database)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("USERLINE_")}
    paths = [str(_ROOT), *filter(None, [clean.get("PYTHONPATH")])]
    log_path = home / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments, *flags],
            cwd=home,
            env=clean | {"PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Server(name, process, await _address(name, process, log_path))
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _address(name: str, process: subprocess.Popen[bytes], log: Path) -> Address:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        match = _ADDRESS.search(log.read_text())
        if match:
            return match[1], int(match[2])
        await asyncio.sleep(0.02)
    raise BenchError(f"{name} did not start:\n{log.read_text()}")
