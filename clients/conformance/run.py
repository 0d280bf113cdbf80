"""Runs cases with a driver: several processes of it, each with one case at a time, because each has one clock."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clients.conformance import driver as drivers
from clients.conformance.authority import Authority
from clients.conformance.gateway import scripted_gateway
from clients.conformance.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clients.conformance.driver import Driver
    from clients.conformance.table import Case

_CASE_SECONDS = 60.0
_TRANSCRIPT_LINES = 30
_BORING = re.compile(r'"do": "sync"|"ok": ?null}$|"ok": ?{"now"')
_LONGEST_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Failed:
    """A case that the client does not pass: why, and the last that was said between runner and driver."""

    case: Case
    error: str
    transcript: list[str]

    def __str__(self) -> str:
        lines = ", ".join(map(str, self.case.lines))
        said = "\n".join(f"    {line}" for line in self.transcript)
        return f"{self.case.name} (line {lines}, cases/{self.case.file}.py)\n{self.error}\n{said}"


@dataclass(slots=True)
class Report:
    """What has become of a run."""

    client: str = ""
    passed: list[Case] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    left_out: list[tuple[Case, str]] = field(default_factory=list)
    """Cases that were not run, and which ability of the driver is missing."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def lines_left_out(self) -> set[int]:
        """The lines of which no case was run."""
        run = {line for case in [*self.passed, *(failed.case for failed in self.failed)] for line in case.lines}
        return {line for case, _ in self.left_out for line in case.lines} - run


async def run(
    command: Sequence[str],
    cases: Sequence[Case],
    *,
    environment: Mapping[str, str] | None = None,
    real: str = "",
    processes: int = 3,
    stop_at_first: bool = False,
    on_result: Callable[[Case, str], None] = lambda _, __: None,
) -> Report:
    """Run cases. ``command`` starts a driver; ``real`` is the URL of a real gateway: without it, some are left out."""
    report = Report()
    queue = list(reversed(cases))
    with tempfile.TemporaryDirectory() as directory:
        authority = Authority(Path(directory))
        everything = {**os.environ, **(environment or {}), **authority.environment}

        async def work() -> None:
            while queue and not (stop_at_first and report.failed):
                async with drivers.running(command, everything) as driver:
                    report.client = driver.client
                    while queue and not (stop_at_first and report.failed):
                        is_usable = await _run_one(queue.pop(), driver, authority, real, report, on_result)
                        if not is_usable:
                            break

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(processes, len(cases))):
                    group.create_task(work())
        except* drivers.DriverGone as gone:
            raise gone.exceptions[0] from None
    return report


async def _run_one(  # noqa: PLR0917 - what a run has
    case: Case,
    driver: Driver,
    authority: Authority,
    real: str,
    report: Report,
    on_result: Callable[[Case, str], None],
) -> bool:
    """Run a case; return whether the driver can be used for another one."""
    missing = sorted(case.needs - driver.abilities - ({"real"} if real else set()))
    if missing:
        report.left_out.append((case, ", ".join(missing)))
        on_result(case, f"left out: {missing[0]}")
        return True
    transcript: list[str] = []
    driver.transcript = transcript.append
    started = time.monotonic()
    error = ""
    try:
        async with asyncio.timeout(_CASE_SECONDS), scripted_gateway() as gateway:
            world = World(driver, gateway, authority, real)
            await case.run(world)
            await world.close()
    except Exception:  # noqa: BLE001 - whatever a case runs into is its failure
        error = traceback.format_exc(limit=-4)
    report.seconds[case.name] = time.monotonic() - started
    if not error:
        report.passed.append(case)
        on_result(case, "passed")
        return True
    last = [line if len(line) < _LONGEST_SHOWN else line[:_LONGEST_SHOWN] + " …" for line in transcript]
    report.failed.append(Failed(case, error, [line for line in last if not _BORING.search(line)][-_TRANSCRIPT_LINES:]))
    on_result(case, "FAILED")
    return False
