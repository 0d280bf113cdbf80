"""What one request goes through stays short: ``scripts/trace-calls`` counts the files, and has the marks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "trace-calls"


def test_a_write_and_a_held_read_go_through_few_files() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--files"], capture_output=True, text=True, timeout=120, check=False)
    assert not done.returncode, done.stdout + done.stderr
    assert "setUser: " in done.stdout
    assert "storage/sqlite/worker.py" in done.stdout  # it was followed to its end
