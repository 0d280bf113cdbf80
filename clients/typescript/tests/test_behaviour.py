"""The client in Node, with a clock and a gateway of the tests, held to docs/client-behaviour.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node

PACKAGE = Path(__file__).parents[1]
BEHAVIOUR = PACKAGE.parents[1] / "docs" / "client-behaviour.md"


def test_behaviour_with_a_clock_and_a_gateway_of_the_tests(node: Node) -> None:
    done = node.run("--test", "--test-reporter=tap", *sorted((PACKAGE / "tests" / "node").glob("*.test.mjs")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout


def test_every_line_of_the_behaviour_has_a_test() -> None:
    lines = {int(number) for number in re.findall(r"^(\d+)\. ", BEHAVIOUR.read_text(), re.MULTILINE)}
    scripts = [path.read_text() for path in (PACKAGE / "tests" / "node").glob("*.test.mjs")]
    titles = [title for script in scripts for title in re.findall(r"test\(['`]([\d, ]+):", script)]
    assert {int(number) for title in titles for number in title.split(",")} == lines
