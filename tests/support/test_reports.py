"""What is told of a failed test comes over, whatever is in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAILURES = r"""
import sys

import pytest

HALF = "\ud83d"


@pytest.fixture
def broken():
    yield
    raise ValueError(HALF)


def test_message():
    assert HALF == "", HALF


def test_output():
    print(HALF, file=sys.stderr)
    assert not {HALF: [HALF]}


def test_teardown(broken):
    pass


@pytest.mark.skip(reason=HALF)
def test_skipped():
    pass


def test_last():
    pass
"""


def test_half_a_character_in_a_failure_ends_no_other_test(tmp_path: Path) -> None:
    (tmp_path / "test_failures.py").write_text(FAILURES)
    flags = ["-n", "1", "-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null"]
    command = [sys.executable, "-m", "pytest", "-ra", "-W", "ignore", *flags, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "2 failed, 2 passed, 1 skipped, 1 error" in done.stdout, done.stdout
    assert "\\ud83d" in done.stdout
