"""The client in pages and tabs of a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser import conftest as browsers
from tests.browser.conftest import chromium

from userline.gateway.graphiql import build

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node

__all__ = ["chromium"]
"""A fixture that is used as it is."""

pytestmark = pytest.mark.alone

SCRIPTS = Path(__file__).parent / "browser"


def test_pages_and_tabs(node: Node, chromium: str) -> None:  # noqa: F811
    found = build.find_node()
    assert found
    browsers.install(browsers.HERE, found)
    script = SCRIPTS / "all.test.mjs"
    done = node.run("--test", "--test-reporter=tap", script, CHROMIUM=chromium, PLAYWRIGHT=str(browsers.HERE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout
