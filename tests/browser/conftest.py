"""A browser, and Node to drive it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.needed import unavailable
from tests.support.npm import find_node, install

if TYPE_CHECKING:
    from userline.gateway.graphiql import build

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


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
    found = find_node()
    install(HERE, found)
    return found
