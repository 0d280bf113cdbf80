"""Play the scenarios many times and print how long each took: ``python -m tests.chaos --help``."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.scenarios import RESUMED_WITHIN, SCENARIOS, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence


async def _play(name: str, store: str, bus: str, runs: int, side_by_side: int) -> tuple[list[Outcome], int]:
    """Return the outcomes of the runs that ended, and how many failed or were late."""
    scenario, left = SCENARIOS[name], iter(range(1, runs + 1))
    outcomes: list[Outcome] = []
    failures = 0

    async def play_on_one_deployment(run: int) -> None:
        """Play run after run on it, until one fails or leaves it in pieces."""
        nonlocal failures
        with tempfile.TemporaryDirectory(prefix="userline-chaos-") as directory:
            async with scenario.deployed(Path(directory), store, bus) as deployment:
                while True:
                    outcome = await scenario.play(deployment)
                    outcomes.append(outcome)
                    if (outcome.resumed or 0) > RESUMED_WITHIN or outcome.converged > scenario.within:
                        failures += 1
                        print(f"{name}, {store}, run {run}: too late: {outcome}", file=sys.stderr)
                    following = None if scenario.detour else next(left, None)
                    if following is None:
                        return
                    run = following

    async def play_in_turn() -> None:
        nonlocal failures
        for run in left:
            try:
                await play_on_one_deployment(run)
            except Exception:  # noqa: BLE001 - counted, and the other runs go on
                failures += 1
                print(f"{name}, {store}, run {run} or later:\n{traceback.format_exc()}", file=sys.stderr)

    await asyncio.gather(*(play_in_turn() for _ in range(side_by_side)))
    return outcomes, failures


def _figures(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} / {max(seconds):.2f}" if seconds else "none"


async def _main(options: argparse.Namespace) -> int:
    print("| what happens | store | runs | failed | s to resume, median / worst | s to converge, median / worst |")
    print("|---|---|---|---|---|---|", flush=True)
    failed = 0
    for name in options.only or [name for name in SCENARIOS if options.bus == "redis" or not SCENARIOS[name].replica]:
        for store in options.store or [SCENARIOS[name].store]:
            outcomes, failures = await _play(name, store, options.bus, options.runs, options.side_by_side)
            failed += failures
            resumed = _figures([outcome.resumed for outcome in outcomes if outcome.resumed is not None])
            converged = _figures([outcome.converged for outcome in outcomes])
            print(f"| {name} | {store} | {options.runs} | {failures} | {resumed} | {converged} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="how often to play each scenario (20)")
    parser.add_argument("--side-by-side", type=int, default=1, help="how many deployments at once (1)")
    parser.add_argument(
        "--store", action="append", help="sqlite (what most are for), nx-27017/motor, nx-27017/pymongo, …"
    )
    parser.add_argument("--bus", choices=["redis", "postgres"], default="redis", help="redis (default) or postgres")
    parser.add_argument("--only", action="append", choices=[*SCENARIOS], help="a scenario; all without it")
    sys.exit(asyncio.run(_main(parser.parse_args())))
