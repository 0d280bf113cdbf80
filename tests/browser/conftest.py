"""A browser, and Node to drive it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from userline.gateway.graphiql import build

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything has to be tested (USERLINE_TEST_REQUIRE_ALL=1)."""
    if os.environ.get("USERLINE_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def install(directory: Path, node: build.Node) -> None:
    """Install what package-lock.json pins beside the scripts in a directory, unless that is done."""
    lock = directory / "package-lock.json"
    installed = directory / "node_modules" / ".package-lock.json"  # written by npm when it is done
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        build.install_packages(directory, node)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium; none is ever downloaded."""
    given = os.environ.get("USERLINE_TEST_CHROMIUM")
    if given:
        return given
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        unavailable(f"none of {', '.join(BROWSERS)} is on PATH, and USERLINE_TEST_CHROMIUM is not set")
    return found


@pytest.fixture(scope="session")
def node() -> build.Node:
    """Node, with the pinned playwright-core installed beside the scripts."""
    found = build.find_node()
    if found is None:
        unavailable(f"there is no Node on PATH, and no {build.NODE_REQUIREMENT}")
    install(HERE, found)
    return found
