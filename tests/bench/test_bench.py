"""The benchmark itself: a short run, so that it goes on working. What it measures is asserted nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_short_run_prints_a_ratio_for_each_peer() -> None:
    outcome = run("--seconds", "0.3", "--rounds", "1", "read")
    assert outcome.returncode == 0, outcome.stderr
    for peer in ("strawberry", "bare-uvicorn"):
        assert re.search(rf"^\| read +\| {peer} +\| +\d+\.\d\dx \|", outcome.stdout, re.MULTILINE), outcome.stdout


def test_a_scenario_that_does_not_exist_is_refused() -> None:
    outcome = run("reed")
    assert outcome.returncode == 2
    assert "there is no scenario 'reed', only read, cold-read, users-100, write, fan-out" in outcome.stderr
