"""The page at ``/graphql``, used in a real browser that cannot reach anything but this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from userline.gateway.graphiql import build

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything has to be tested (USERLINE_TEST_REQUIRE_ALL=1)."""
    if os.environ.get("USERLINE_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def chromium() -> str:
    """The path of an installed Chromium; none is ever downloaded."""
    given = os.environ.get("USERLINE_TEST_CHROMIUM")
    if given:
        return given
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        unavailable(f"none of {', '.join(BROWSERS)} is on PATH, and USERLINE_TEST_CHROMIUM is not set")
    return found


@pytest.fixture(scope="module")
def node() -> build.Node:
    """Node, with the pinned playwright-core installed beside the script."""
    found = build.find_node()
    if found is None:
        unavailable(f"there is no Node on PATH, and no {build.NODE_REQUIREMENT}")
    lock = HERE / "package-lock.json"
    installed = HERE / "node_modules" / ".package-lock.json"  # written by npm when it is done
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        build.install_packages(HERE, found)
    return found


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
