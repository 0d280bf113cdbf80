"""Holds a client against docs/client-behaviour.md: ``python -m clients.conformance --driver 'node …'``."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from clients.conformance.chance.play import find
from clients.conformance.known import COMMANDS, environment, what_to_do_first
from clients.conformance.run import run
from clients.conformance.table import BEHAVIOUR, Case, cases, lines_of, problems
from tests.support.gateway import running

if TYPE_CHECKING:
    from clients.conformance.chance.play import Fault


def main(arguments: list[str]) -> int:
    """Run what was asked for; return 0 if the client passes."""
    parser = argparse.ArgumentParser(prog="python -m clients.conformance", description=__doc__)
    parser.add_argument("--driver", required=True, help=f"a command, or one of ours: {', '.join(COMMANDS)}")
    parser.add_argument("--line", type=int, action="append", help="cases of this line alone (may be given again)")
    parser.add_argument("--case", default="", help="cases alone whose name has this in it")
    parser.add_argument("--processes", type=int, default=3, help="how many processes of the driver (3)")
    parser.add_argument("--no-gateway", action="store_true", help="leave out what needs a real gateway")
    parser.add_argument(
        "--random", type=int, default=0, metavar="N", help="play N scripts by chance in place of the cases"
    )
    parser.add_argument(
        "--from", type=int, default=0, dest="seed", metavar="SEED", help="the seed of the first one (0)"
    )
    parser.add_argument("--beside", default="", help="the driver that has to do the same in those (one of ours)")
    parser.add_argument("--list", action="store_true", help="say which cases there are, and run none")
    given = parser.parse_args(arguments)

    table = cases()
    wrong = problems(lines_of(BEHAVIOUR.read_text()), table)
    wanted = [
        each for each in table if given.case in each.name and (not given.line or set(given.line) & set(each.lines))
    ]
    if given.list:
        for each in wanted:
            print(f"{', '.join(map(str, each.lines)):>12}  {each.name}")
        return 0
    beside = given.beside or ("typescript" if given.driver == "python" else "python")
    for driver in (given.driver, beside) if given.random else (given.driver,):
        if to_do := what_to_do_first(driver):
            print(to_do, file=sys.stderr)
            return 2
    if given.random:
        return _play(range(given.seed, given.seed + given.random), given.driver, beside)
    command = _command(given.driver)

    def tell(each: Case, result: str) -> None:
        print(f"{result:<8} {each.name} (line {', '.join(map(str, each.lines))})", flush=True)

    started = time.monotonic()
    with ExitStack() as stack:
        real = ""
        if not given.no_gateway and any("real" in each.needs for each in wanted):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            gateways = running(directory)
            real = next(gateways).websocket_url
            stack.callback(lambda: next(gateways, None))
        report = asyncio.run(
            run(
                command,
                wanted,
                environment=environment(os.environ),
                real=real,
                processes=given.processes,
                on_result=tell,
            )
        )
    for failed in report.failed:
        print(f"\n{failed}")
    seconds = time.monotonic() - started
    print(
        f"\n{report.client}: {len(report.passed)} passed, {len(report.failed)} failed, "
        f"{len(report.left_out)} left out in {seconds:.1f} s"
    )
    if report.lines_left_out:
        print("No case was run of the lines", *sorted(report.lines_left_out))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if report.failed or wrong else 0


def _command(driver: str) -> list[str]:
    return COMMANDS.get(driver) or shlex.split(driver)


def _play(seeds: range, *drivers: str) -> int:
    """Play scripts by chance with these drivers; return 0 if they do the same, and nothing is wrong."""

    def tell(seed: int, fault: Fault | None) -> None:
        print(f"seed {seed}: {'passed' if fault is None else fault}", flush=True)

    commands = {driver: _command(driver) for driver in drivers}
    environments = {driver: environment(os.environ) for driver in drivers}
    found = asyncio.run(find(seeds, commands, environments, tell, is_to_shrink=True))
    print(
        f"\n{len(seeds) - len(found)} passed, {len(found)} failed"
        + (f": {', '.join(map(str, found))}" if found else "")
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
