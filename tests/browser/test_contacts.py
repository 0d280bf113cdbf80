"""The contact list that people look at, in a real browser: two panes that see each other, on a desktop and a phone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from userline.gateway.graphiql import build

EXAMPLE = HERE.parents[1] / "examples" / "contacts"
CHECKS = {"desktop": 25, "dark": 12, "phone": 24}
SCREENSHOTS = 15


@pytest.fixture
def example(node: build.Node) -> Iterator[str]:
    """The example as ``make example`` starts it, on a free port; its address."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE / "serve.py"), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PATH": node.environment()["PATH"]},
    )
    patience = threading.Timer(240, process.kill)
    patience.start()
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(r"Open (http://127\.0\.0\.1:\d+)/", line):
                yield found[1]
                break
        else:
            pytest.fail(said)
    finally:
        patience.cancel()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stdout.close()


def test_two_panes_see_each_other(chromium: str, node: build.Node, example: str, tmp_path: Path) -> None:
    folder = Path(os.environ.get("USERLINE_TEST_SCREENSHOTS", tmp_path))
    command = [str(node.executable), str(HERE / "contacts.mjs"), example, chromium, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, env=node.environment(), timeout=300, check=False)
    assert result.stdout, result.stderr
    report = json.loads(result.stdout)
    assert [check for check in report["checks"] if not check["passed"]] == []
    assert report["problems"] == []
    sizes = [check["name"].partition(":")[0] for check in report["checks"]]
    assert {size: sizes.count(size) for size in CHECKS} == CHECKS
    assert len(list(folder.glob("*.png"))) == SCREENSHOTS


def test_the_pinned_packages_name_no_host() -> None:
    lock = (EXAMPLE / "package-lock.json").read_text()
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    assert all(package.get("integrity") for name, package in packages.items() if name)
