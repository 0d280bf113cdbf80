"""The client in pages and tabs of a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser import conftest as browsers
from tests.browser.conftest import chromium
from tests.support.npm import find_node, install
from tests.support.tokens import SECRET

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node
    from tests.support.gateway import RunningGateway

__all__ = ["chromium"]
"""A fixture that is used as it is."""

pytestmark = pytest.mark.alone

SCRIPTS = Path(__file__).parent / "browser"


def test_pages_and_tabs(node: Node, chromium: str, guarded: RunningGateway) -> None:
    install(browsers.HERE, find_node())
    script = SCRIPTS / "all.test.mjs"
    places = {"CHROMIUM": chromium, "PLAYWRIGHT": str(browsers.HERE), "GATEWAY": guarded.url, "SECRET": SECRET}
    done = node.run("--test", "--test-reporter=tap", script, env=places)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout
