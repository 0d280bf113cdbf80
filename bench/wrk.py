"""HTTP/1.1 from many connections by wrk, which costs less than the servers that it loads."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from bench.sample import Sample
from bench.servers import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.servers import Address

_SCRIPT: Final = Path(__file__).with_name("wrk.lua")
_PATIENCE: Final = 30
_LAST_LINE: Final = re.compile(rb"\{.*\}\n\Z")


def find_wrk() -> str | None:
    """Return where wrk is, or None."""
    return shutil.which("wrk")


class WrkLoad:
    """One thread and ``connections`` connections. Every answer is of ``size`` bytes, head and all.

    Each run goes on where the last one has ended: what changed something would change nothing if it came again at once.
    """

    def __init__(self, address: Address, connections: int, bodies: Sequence[bytes], size: int, token: str) -> None:
        self._address = address
        self._connections = connections
        self._bodies = bodies
        self._size = size
        self._token = token
        self._last = 0

    async def run(self, seconds: float) -> Sample:
        """Load the server; wrk counts whole seconds."""
        return await asyncio.to_thread(self._run, max(1, round(seconds)))

    def _run(self, seconds: int) -> Sample:
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as file, tempfile.TemporaryFile() as output:
            file.write(b"\n".join(self._bodies))
            file.flush()
            host, port = self._address
            command = ["wrk", "-t1", f"-c{self._connections}", f"-d{seconds}s", f"--timeout={_PATIENCE}s", "--latency"]
            command += [
                "-s",
                str(_SCRIPT),
                f"http://{host}:{port}/graphql",
                "--",
                file.name,
                self._token,
                str(self._last),
            ]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            printed = output.read()
        found = _LAST_LINE.search(printed)
        if process.returncode or found is None:
            raise BenchError(f"wrk failed: {printed.decode(errors='replace')}")
        outcome = orjson.loads(found[0])
        self._check(outcome)
        # What wrk has sent and not waited for is under way: as many as there are connections, or fewer.
        self._last = (self._last + outcome["requests"] + self._connections) % len(self._bodies)
        return Sample(
            count=outcome["requests"],
            seconds=outcome["microseconds"] / 1e6,
            busy=used.ru_utime + used.ru_stime,
            p50=outcome["p50"] / 1e3,
            p99=outcome["p99"] / 1e3,
        )

    def _check(self, outcome: dict[str, int]) -> None:
        """An error that came with 200 has another length. What wrk has read of answers under way is no error."""
        if outcome["refused"] or outcome["broken"] or not outcome["requests"]:
            raise BenchError(f"The server refused requests: {outcome}")
        surplus = outcome["bytes"] - outcome["requests"] * self._size
        if not 0 <= surplus <= self._connections * self._size:
            raise BenchError(f"Not all answers have the {self._size} bytes of a right one: {outcome}")
