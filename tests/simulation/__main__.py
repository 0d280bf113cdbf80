"""``python -m tests.simulation --seeds 2000 --from 0``: run many seeds, and tell of the first that finds something."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter

from tests.simulation.run import SimulationError
from tests.simulation.world import World

_PROGRESS_SECONDS = 10.0


def main() -> int:
    """Run it; return how the process ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds are run (default: 2000)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them (default: 0)")
    parser.add_argument("--step", type=int, default=1, help="2 for every second one: another process runs the others")
    parser.add_argument("--seconds", type=float, default=None, help="stop after so many seconds")
    parser.add_argument("--trace", action="store_true", help="print what happened, also if nothing was found")
    options = parser.parse_args()
    gc.freeze()  # what is there from the beginning is not looked at again and again
    began = told = time.monotonic()
    counts: Counter[str] = Counter()
    simulated, done = 0.0, 0
    for seed in range(options.first, options.first + options.seeds * options.step, options.step):
        world = World(seed)
        try:
            world.run()
        except SimulationError as found:
            print(found)
            print(f"To repeat it: python -m tests.simulation --from {seed} --seeds 1")
            return 1
        if options.trace:
            print("\n".join(world.trace))
        counts += world.counts
        simulated += world.seconds
        done += 1
        now = time.monotonic()
        if now - told >= _PROGRESS_SECONDS:
            told = now
            print(_summary(seed, done, simulated, now - began, counts), flush=True)
        if options.seconds is not None and now - began >= options.seconds:
            break
    print(_summary(seed, done, simulated, time.monotonic() - began, counts))
    for what, count in sorted(counts.items()):
        print(f"  {count:>10,}  {what}")
    return 0


def _summary(seed: int, done: int, simulated: float, seconds: float, counts: Counter[str]) -> str:
    return (
        f"{done:,} seeds, the last {seed}, in {seconds:,.0f} s ({1000 * seconds / done:.0f} ms each): "
        f"{simulated / 3600:,.1f} simulated hours, {counts['fault']:,} faults, nothing found"
    )


sys.exit(main())
