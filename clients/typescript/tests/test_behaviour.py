"""What only this client has, in Node, with a clock and a gateway of the tests.

What every client does is tested by clients/conformance.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node

PACKAGE = Path(__file__).parents[1]


def test_it_with_a_clock_and_a_gateway_of_the_tests(node: Node) -> None:
    done = node.run("--test", "--test-reporter=tap", *sorted((PACKAGE / "tests" / "node").glob("*.test.mjs")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout
