"""The command: a short run, so that it goes on working. What it measures is asserted nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bench.results import read_results

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_short_run_prints_a_ratio_for_each_server(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    servers = "userline,strawberry-cached,ariadne,bare-uvicorn"
    outcome = run("--seconds", "0.3", "--rounds", "1", "--servers", servers, "--json", str(file), "read")
    assert outcome.returncode == 0, outcome.stderr
    for server in servers.split(","):
        assert re.search(rf"^\| read +\| {server} +\| +[\d,]+ /s \| +\d+\.\d\dx \|", outcome.stdout, re.MULTILINE), (
            server
        )
    assert list(read_results(file).outcomes[0].turns) == servers.split(",")
    again = run("--from", str(file))
    assert again.stdout == outcome.stdout


def test_what_does_not_exist_is_refused() -> None:
    scenario, server = run("reed"), run("--servers", "userline,apolo")
    assert scenario.returncode == server.returncode == 2
    assert "there is no scenario 'reed', only read, cold-read, cold-read-1ms" in scenario.stderr
    assert "there is no server 'apolo', only userline, userline-lane-off" in server.stderr
