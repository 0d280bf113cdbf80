"""A gateway under mixed load for as long as one likes: ``python -m tests.soak --seconds 600`` (``make soak``).

Reads, batches, edits, REST, mistakes, sockets that stay and sockets that come and go, all at once, on the loopback
address. What the gateway's process has in use is looked at without load, after a warm-up and at the end, and must be
the same: tasks, sockets, watchers and open files exactly, memory within two per cent.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.load import Load
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET
from tests.support.vitals import Vitals
from tests.support.waiting import until

MOST_DRIFT = 0.02


async def soak(gateway: RunningGateway, seconds: float) -> int:
    """Run it; print what happens every ten seconds, and what came of it. Return how many problems there are."""
    print(f"{'':>8}  {'requests':>9} {'events':>9} {'p99':>8}   tasks sockets watchers files  memory")
    load = Load(gateway)
    before = await _phase("warm-up", load, gateway, max(min(seconds / 3, 300), 10))
    after = await _phase("soak", load, gateway, seconds)
    drift = after.memory / before.memory - 1
    print(f"\n{load.requests:,} requests, {load.events:,} events, {load.sockets:,} sockets; memory {drift:+.2%}")
    problems = [*load.problems]
    if after[:4] != before[:4]:
        problems.append(f"{before} became {after}")
    if drift > MOST_DRIFT:
        problems.append(f"memory grew by {drift:.1%}")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    return len(problems)


async def _phase(name: str, load: Load, gateway: RunningGateway, seconds: float) -> Vitals:
    """Load the gateway for a while, and return what it has in use when all have gone."""
    started = time.monotonic()
    async with load.running():
        while (left := started + seconds - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 10))
            _show(f"{time.monotonic() - started:.0f} s", load, gateway)
    await until(lambda: gateway.metric("userline_sockets") == gateway.metric("userline_watchers") == 0)
    tasks = 0
    while tasks != (now := Vitals.of(gateway)).tasks:  # what was cut off is still being cleared away
        tasks = now.tasks
        await asyncio.sleep(6)  # connections that nobody uses are closed after five
    _show(name, load, gateway)
    return Vitals.of(gateway)


def _show(when: str, load: Load, gateway: RunningGateway) -> None:
    vitals = Vitals.of(gateway)
    delays = load.take_delays()
    p99 = f"{statistics.quantiles(delays, n=100)[98] * 1000:.1f} ms" if len(delays) > 1 else "-"
    print(
        f"{when:>8}  {load.requests:>9,} {load.events:>9,} {p99:>8}   {vitals.tasks:>5} {vitals.sockets:>7} "
        f"{vitals.watchers:>8} {vitals.files:>5}  {vitals.memory / 1024:.1f} MB",
        flush=True,
    )


def main() -> None:
    """Run the soak as the command line says; exit with 1 if something is not as it was."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long, after the warm-up (600)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        limits = ("--rate-limit-per-second", "100000", "--rate-limit-burst", "100000")
        gateway = RunningGateway(Path(name), "--no-access-log", *limits, env={"USERLINE_SECRET": SECRET})
        problems = asyncio.run(soak(gateway, options.seconds))
        code = gateway.stop()
        if code or "Traceback" in gateway.log:
            print(f"PROBLEM: the gateway ended with {code}\n{gateway.log}")
            problems += 1
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
