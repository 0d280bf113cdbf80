"""The README's snippets run, and the command does what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

CLIENT = Path(__file__).parents[1]
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", (CLIENT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
COMMAND = "import sys; from userline_client.cli import main; sys.exit(main())"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CLIENT / "src"), "PYTHONUNBUFFERED": "1"}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_of_the_readme(gateway: RunningGateway, number: int, tmp_path: Path) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(SNIPPETS[number].replace("ws://127.0.0.1:8000/graphql", gateway.websocket_url))
    done = run("-W", "error", script)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_first_snippet_prints_what_happens(gateway: RunningGateway, tmp_path: Path) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(SNIPPETS[0].replace("ws://127.0.0.1:8000/graphql", gateway.websocket_url))
    done = run(script)
    assert "UserSnapshot(id='alice', name='Alice B.'" in done.stdout
    assert "['Alice B.', " in done.stdout


def test_the_command_prints_users_as_they_change(gateway: RunningGateway) -> None:
    user_id = f"user-{uuid4()}"
    command = [sys.executable, "-c", COMMAND, gateway.websocket_url, user_id, "--json"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout is not None
            first = json.loads(watching.stdout.readline())
            gateway.set_user(user_id, name="Ann")
            second = json.loads(watching.stdout.readline())
            watching.send_signal(signal.SIGINT)
            assert watching.wait(20) in (0, 130)
        finally:
            watching.kill()
    assert user_id in json.dumps(first)
    assert "Ann" in json.dumps(second)


def test_the_command_says_what_is_wrong() -> None:
    done = run("-c", COMMAND, "http://127.0.0.1:1/graphql", "ann")
    assert done.returncode not in (0, 130)
    assert "ws://" in done.stderr
    assert "Traceback" not in done.stderr
