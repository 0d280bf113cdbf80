"""Two gateways on one store and one Redis: ``python -m bench.deployment [--seconds S]``.

What it costs a gateway to be one of several: how long a change takes to watchers of the other gateway, what a change
that nobody watches costs it, and what a watching socket weighs. Needs ``redis-server``.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from bench import users
from bench.http_load import HTTPLoad
from bench.servers import GATEWAY, BenchError, Server, running
from bench.watch_load import WatchLoad

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_SOCKETS: Final = 1000


@asynccontextmanager
async def _redis(directory: Path) -> AsyncIterator[str]:
    command = shutil.which("redis-server")
    if command is None:
        raise BenchError("There is no redis-server on PATH.")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = subprocess.Popen(
        [command, "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        cwd=directory,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _writes(connection: int) -> Iterator[bytes]:
    return (users.write(connection * 31 + number, f"Name {number}") for number in count(1))


async def _measure(first: Server, second: Server, seconds: float) -> list[tuple[str, str]]:
    rows = []
    for name, writes_to in (("the same gateway", second.address), ("another gateway", first.address)):
        async with WatchLoad(second.address, sockets=1, each=1, writes_to=writes_to) as load:
            sample = await load.run(seconds)
        waits = sorted(sample.latencies)
        rows.append(
            (
                f"from a write to a watcher of {name}",
                f"p50 {waits[len(waits) // 2] * 1e3:.2f} ms, p99 {waits[len(waits) * 99 // 100] * 1e3:.2f} ms",
            )
        )
    before = second.cpu_seconds()
    async with HTTPLoad(first.address, 32, _writes) as writing:
        sample = await writing.run(seconds)
    after = second.cpu_seconds()
    if before is not None and after is not None:
        cost = (after - before) / sample.count * 1e6
        rows.append(("CPU of a gateway for a change elsewhere that nobody here watches", f"{cost:.1f} µs"))
        rows.append(("changes per second meanwhile", f"{sample.count / seconds:,.0f}"))
    idle = second.resident_bytes()
    async with WatchLoad(second.address, sockets=_SOCKETS, each=1):
        watched = second.resident_bytes()
    if idle is not None and watched is not None:
        rows.append(("memory of a socket that watches a user", f"{(watched - idle) / _SOCKETS / 1024:.0f} KiB"))
    return rows


async def _run(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        seeded, shared = directory / "seeded.db", directory / "shared.db"
        await users.seed(seeded)
        shutil.copy(seeded, shared)
        async with _redis(directory) as bus:
            flags = ("--bus-url", bus, "--store-url", f"sqlite:///{shared}")
            async with (
                running(GATEWAY, seeded, directory, *flags) as first,
                running(GATEWAY, seeded, directory, *flags) as second,
            ):
                for what, figure in await _measure(first, second, seconds):
                    print(f"{what:66} {figure}")


def main() -> int:
    """Measure, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.deployment", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each measurement takes (default: 5)")
    try:
        uvloop.run(_run(parser.parse_args().seconds))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
