"""The page at ``/graphql``, used in a real browser that cannot reach anything but this machine."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import HERE
from tests.support.needed import unavailable
from userline.gateway.graphiql import build

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.gateway import RunningGateway


@pytest.fixture(scope="module")
def assets() -> None:
    """GraphiQL's assets; they are built before the gateway starts, which looks for them then."""
    if not build.is_current():
        unavailable("GraphiQL's assets aren't built from what web/ holds now: make graphiql")


@pytest.mark.parametrize("directory", [build.WEB, HERE], ids=lambda directory: directory.name)
def test_the_pinned_packages_name_no_host(directory: Path) -> None:
    lock = (directory / "package-lock.json").read_text()
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    assert all(package.get("integrity") for name, package in packages.items() if name)


@pytest.mark.usefixtures("assets")
def test_the_page_works_without_internet_access(
    chromium: str, node: build.Node, gateway: RunningGateway, tmp_path: Path
) -> None:
    screenshot = tmp_path / "graphiql.png"
    command = [str(node.executable), str(HERE / "graphiql.mjs"), gateway.url, chromium, str(screenshot)]
    result = subprocess.run(command, capture_output=True, text=True, env=node.environment(), timeout=300, check=False)
    assert result.stdout, result.stderr
    report = json.loads(result.stdout)
    assert [check for check in report["checks"] if not check["passed"]] == []
    assert (result.returncode, report["ok"]) == (0, True), result.stderr
    assert screenshot.read_bytes().startswith(b"\x89PNG")
