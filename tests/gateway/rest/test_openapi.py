"""The description of the REST API: that it is served, and true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.tokens import token_of

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

LONG = os.environ.get("USERLINE_TEST_LONG") == "1"
ROOT = Path(__file__).parents[3]


def explore(url: str, directory: Path, *flags: str) -> None:
    """Let Schemathesis ask whatever it can think of, and fail with its report if an answer is not as described."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/v1/openapi.json", "--checks=all"]
    command += ["--exclude-checks=positive_data_acceptance", "--continue-on-failure", "--no-color"]
    command += ["--suppress-health-check=all", f"--max-examples={2000 if LONG else 25}", *flags]
    command += [] if LONG else ["--seed=2"]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.gateway.rest.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=directory, env=os.environ | hooks, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-5000:]


def test_anybody_may_read_it(guarded: RunningGateway, gateway: RunningGateway) -> None:
    described = guarded.http.get("/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1.")
    assert described["security"] == [{"serverToken": []}]
    assert "security" not in gateway.http.get("/v1/openapi.json").json()


def test_it_is_true_with_tokens(guarded: RunningGateway, tmp_path: Path) -> None:
    explore(guarded.url, tmp_path, f"--header=Authorization: Bearer {token_of(None)}")


def test_it_is_true_without_tokens(gateway: RunningGateway, tmp_path: Path) -> None:
    explore(gateway.url, tmp_path)
