"""Two gateways on one store and one Redis: ``python -m bench.deployment [--seconds S]``.

What it costs a gateway to be one of several: how long a change takes to watchers of the other gateway, and what a
change that nobody watches costs it. Needs ``redis-server``.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from bench.scenarios import WRITE
from bench.servers import BenchError, Server
from bench.site import GATEWAY, Site
from bench.watch_work import WatchLoad, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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


async def _measure(first: Server, second: Server, seconds: float) -> list[tuple[str, str]]:
    rows = []
    ways = (("the same gateway", second.address), ("another gateway", first.address))
    for number, (name, writes_to) in enumerate(ways):
        async with watching(second.address, writes_to) as watchers:
            await watchers.open(1, first=number)
            sample = await WatchLoad(watchers, "fan_out").run(seconds)
        rows.append((f"from a write to a watcher of {name}", f"p50 {sample.p50:.2f} ms, p99 {sample.p99:.2f} ms"))
    async with WRITE.begin(first) as load:
        before = second.cpu_seconds()
        sample = await load.run(seconds)
        after = second.cpu_seconds()
    if before is not None and after is not None:
        cost = (after - before) / sample.count * 1e6
        rows.append(("CPU of a gateway for a change elsewhere that nobody here watches", f"{cost:.1f} µs"))
    rows.append(("changes per second meanwhile", f"{sample.count / sample.seconds:,.0f}"))
    return rows


async def _run(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with Site(directory) as site, _redis(directory) as bus:
            # Both have one store: of two --store-url flags, the last one counts.
            shared = site.copy_users(directory / "shared.db")
            flags = ("--bus-url", bus, "--store-url", f"sqlite:///{shared}")
            async with (
                site.running(GATEWAY, "sqlite", flags) as first,
                site.running(GATEWAY, "sqlite", flags) as second,
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
