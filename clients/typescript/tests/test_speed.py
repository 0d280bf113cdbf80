"""What the client costs in CPU time and memory: bench/clients measures it, alone and against others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node

pytestmark = pytest.mark.alone

MEASURE = Path(__file__).parents[3] / "bench" / "clients" / "measure.mjs"
ROUNDS = 10
"""How often it is tried: what else the machine does costs the client something, too."""


def measured(node: Node, watched: int) -> dict[str, float]:
    """Return the figures of a process of its own: microseconds, and bytes."""
    done = node.run("--expose-gc", MEASURE, "userline", str(watched))
    assert done.returncode == 0, done.stderr
    report: dict[str, float] = json.loads(done.stdout)
    return report


def test_what_it_costs(node: Node) -> None:
    seen = []
    for _ in range(ROUNDS):
        few, many = measured(node, 1000), measured(node, 10_000)
        missed = [
            f"{what}: {figure:.1f}, at most {most}"
            for what, figure, most in (
                ("an event with 1,000 watched", few["event"], 20),
                ("an event with 10,000, over that", many["event"] / few["event"], 1.5),
                ("a subscribe", few["subscribe"], 30),
                ("a warm get", few["get"], 3),
                ("the bytes of a watch", few["bytes"], 1536),
            )
            if figure > most
        ]
        if not missed:
            return
        seen.append(missed)
    pytest.fail(f"{seen}")
