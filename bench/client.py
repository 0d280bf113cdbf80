"""How soon a session hears of what another one has set: ``python -m bench.client [CHANGES]``.

The client's own path included: two sessions of it, in this process, and a gateway of its own on the loopback address.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.support.gateway import RunningGateway

from userline_client import Session


async def measure(url: str, changes: int) -> list[float]:
    """Return the seconds from each ``set()`` to the callback of a ``subscribe()`` of another session."""
    heard: asyncio.Queue[float] = asyncio.Queue()
    took = []
    async with Session(url) as writer, Session(url) as reader:
        subscription = reader.user("bench").subscribe(lambda _: heard.put_nowait(time.perf_counter()))
        await subscription.connected
        await heard.get()
        for number in range(changes):
            started = time.perf_counter()
            writing = asyncio.create_task(writer.user("bench").set(name=f"Name {number}"))
            took.append(await heard.get() - started)
            await writing
    return took


async def main(changes: int) -> None:
    """Print the median and the 99th percentile."""
    with tempfile.TemporaryDirectory(prefix="userline-bench-") as directory:
        gateway = RunningGateway(Path(directory), "--no-access-log")
        try:
            took = await measure(gateway.websocket_url, changes)
        finally:
            gateway.stop()
    percentiles = [value * 1e3 for value in statistics.quantiles(took, n=100)]
    print(f"set() to subscribe(), {changes} changes: p50 {percentiles[49]:.1f} ms, p99 {percentiles[98]:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
