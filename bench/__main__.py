"""The command: ``python -m bench [--seconds S] [--rounds N] [SCENARIO…]``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

import uvloop

from bench.rounds import compare
from bench.scenarios import SCENARIOS, Scenario
from bench.servers import BenchError
from bench.table import Row, render
from bench.users import seed

_HOW = """\
Every server is a process of its own on the loopback address, with a copy of one SQLite file of 1,000 users; the load
comes from this process. Servers take turns (A B A B …), so that what else the machine does meets all of them. A row has
the medians of the rounds, and the median of the ratios of turns that followed each other: 2.00x means twice as many a
second as the peer. Latencies are of the load that keeps a server busy, not of a lone request. "CPU" is what the server
process burns per request or delivery, in user and kernel mode (Linux only).

First, the answers of gateway and peers to one request are compared: they must be the same.
"""


def _arguments() -> argparse.Namespace:
    names = "\n".join(f"  {scenario.name:10} {scenario.about}" for scenario in SCENARIOS.values())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the gateway's speed against peers.",
        epilog=f"scenarios:\n{names}\n\n{_HOW}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=_seconds, default=3.0, help="how long a turn takes (default: 3)")
    parser.add_argument("--rounds", type=_rounds, default=5, help="how many turns each server has (default: 5)")
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", default=list(SCENARIOS), help="what to measure (default: all)"
    )
    arguments = parser.parse_args()
    for name in arguments.scenarios:
        if name not in SCENARIOS:
            parser.error(f"there is no scenario {name!r}, only {', '.join(SCENARIOS)}")
    return arguments


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 600")
    return value


def _rounds(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError("must be 1 to 1000")
    return value


async def _measure(scenarios: list[Scenario], seconds: float, rounds: int) -> bool:
    """Print the table, and return whether every scenario is in it."""
    task = asyncio.current_task()
    if task is not None:  # so that the servers end with this process
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    rows: list[Row] = []
    complete = True
    with tempfile.TemporaryDirectory(prefix="userline-bench-") as directory:
        seeded = Path(directory, "seeded.db")
        await seed(seeded)
        for scenario in scenarios:
            try:
                rows += await compare(scenario, seeded, Path(directory), seconds=seconds, rounds=rounds)
            except BenchError as error:
                print(error, file=sys.stderr)
                complete = False
    if rows:
        print(render(rows))
    return complete


def main() -> None:
    arguments = _arguments()
    scenarios = [SCENARIOS[name] for name in dict.fromkeys(arguments.scenarios)]
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            complete = runner.run(_measure(scenarios, arguments.seconds, arguments.rounds))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    sys.exit(0 if complete else 1)


main()
