"""The hooks, with a document, a clock and a gateway of the tests, in the oldest React and the newest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from clients.react.tests.conftest import Node

TESTS = Path(__file__).parent


@pytest.mark.parametrize("react", ["18", "19"])
def test_behaviour(node: Node, react: str) -> None:
    scripts = sorted((TESTS / "node").glob("*.test.mjs"))
    done = node.run("--test", "--test-reporter=tap", *scripts, env={"REACT": react})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout
