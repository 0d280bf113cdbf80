"""The command: ``python -m bench [--seconds S] [--rounds N] [--servers A,B] [SCENARIO…]``."""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from bench.docs import write_docs
from bench.machine import describe, versions
from bench.results import Outcome, Results, read_results
from bench.scenarios import SCENARIOS
from bench.servers import BenchError
from bench.site import SERVERS, STAND_INS, Site
from bench.table import conditions, render
from bench.wrk import find_wrk

if TYPE_CHECKING:
    from bench.cost import Cost
    from bench.rate import Contender, Rate

_HOW = """\
Every server is a process of its own on the loopback address, and so is the load. Servers take turns (A B A B …), so
that what else the machine does meets all of them. Figures are medians of the turns. "ratio" is the median, over the
rounds, of the gateway's advantage over the server of that line: above 1 the gateway is better; "lane off" is the same
for the gateway without its fast lane. "CPU" is what the server's process burns for each request, delivery or
subscription, in user and kernel mode; "CPU ratio" is what part of that the gateway needs. Latencies are those of a load
that keeps the server busy. docs/performance.md has more.
"""


def _arguments() -> argparse.Namespace:
    names = "\n".join(f"  {scenario.name:16} {scenario.about}" for scenario in SCENARIOS.values())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the gateway's speed against peers.",
        epilog=f"scenarios:\n{names}\n\nservers: {', '.join(SERVERS)}\n\n{_HOW}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=_seconds, default=1.0, help="how long a turn takes (default: 1)")
    parser.add_argument("--rounds", type=_rounds, default=3, help="how many turns each server has (default: 3)")
    parser.add_argument("--servers", type=_servers, default=SERVERS, help="whom to measure, with commas (default: all)")
    parser.add_argument(
        "--mongodb",
        type=_mongodb,
        default=STAND_INS[0],
        metavar="WHICH",
        help=f"what the scenarios on MongoDB run on: {' or '.join(STAND_INS)}, or the URL of a server that speaks its "
        f"protocol, where they make databases of their own and drop them (default: {STAND_INS[0]})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="file", help="measure nothing; take such a file")
    parser.add_argument("--write-docs", action="store_true", help="put the results into docs/performance.md")
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


def _mongodb(text: str) -> str:
    if text not in STAND_INS and not text.startswith(("mongodb://", "mongodb+srv://")):
        raise argparse.ArgumentTypeError(f"must be {', '.join(STAND_INS)} or begin with mongodb://")
    return text


def _servers(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in SERVERS:
            raise argparse.ArgumentTypeError(f"there is no server {name!r}, only {', '.join(SERVERS)}")
    return names


def _contenders(site: Site, scenario: Rate | Cost, asked: set[str], left_out: list[str]) -> list[Contender]:
    """Return those who were asked for and can run, and say once of each other one why it cannot."""
    found = []
    for each in scenario.contenders:
        if each.server not in asked:
            continue
        missing = site.missing(each.server, scenario.kind_of(each))
        if missing is None:
            found.append(each)
        elif (line := f"{each.label} is left out: there is {missing}.") not in left_out:
            left_out.append(line)
    return found


async def _measure(arguments: argparse.Namespace) -> tuple[Results, bool]:
    """Return the results, and whether every scenario that could be measured was."""
    task = asyncio.current_task()
    if task is not None:  # so that the servers end with this process
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    complete = True
    with tempfile.TemporaryDirectory(prefix="userline-bench-") as directory:
        async with Site(Path(directory), arguments.mongodb) as site:
            asked = set(arguments.servers)
            results = Results(describe(), versions(site, asked), arguments.rounds, arguments.seconds)
            if not find_wrk():
                results.left_out.append(
                    "There is no wrk: HTTP is loaded from Python, which is slower than some servers."
                )
            for scenario in (SCENARIOS[name] for name in dict.fromkeys(arguments.scenarios)):
                contenders = _contenders(site, scenario, asked, results.left_out)
                if not contenders:
                    continue
                try:
                    turns = await scenario.measure(site, contenders, seconds=arguments.seconds, rounds=arguments.rounds)
                except (BenchError, OSError) as error:
                    results.left_out.append(f"{scenario.name} could not be measured: {error}")
                    complete = False
                else:
                    shape = (scenario.name, scenario.about, scenario.unit, scenario.less_is_better)
                    kept = {each.label: kept for each in contenders if (kept := scenario.kept(each))}
                    results.outcomes.append(Outcome(*shape, turns, kept))
    return results, complete


def main() -> None:
    arguments = _arguments()
    complete = True
    if arguments.file:
        results = read_results(arguments.file)
    else:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                results, complete = runner.run(_measure(arguments))
        except (KeyboardInterrupt, asyncio.CancelledError):
            sys.exit(130)
    if arguments.json:
        results.write(arguments.json)
    if arguments.write_docs:
        write_docs(results)
    print(f"{conditions(results)}\n\n{render(results)}")
    sys.exit(0 if complete else 1)


main()
