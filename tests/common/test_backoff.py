"""Pauses grow, are never all the same, and never longer than they may be."""

from __future__ import annotations

import ast
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from userline import common
from userline.common.backoff import Backoff, spread

SECONDS = st.floats(0.001, 1000)
PARTS = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(SECONDS, PARTS)
def test_what_is_spread_stays_within_its_parts(seconds: float, parts: list[float]) -> None:
    least, most = parts
    assert least * seconds <= spread(seconds, least, most) <= most * seconds * (1 + 1e-9)


@given(SECONDS, SECONDS, PARTS, st.integers(1, 40))
def test_pauses_double_up_to_the_longest(first: float, longest: float, parts: list[float], pauses: int) -> None:
    least, most = parts
    backoff = Backoff(first, longest, least=least, most=most)
    for number in range(pauses):
        bound = min(first * 2**number, longest)
        assert backoff.pauses == number
        assert least * bound * (1 - 1e-9) <= backoff.next() <= most * bound * (1 + 1e-9)
    backoff.reset()
    assert backoff.pauses == 0
    assert backoff.next() <= most * min(first, longest) * (1 + 1e-9)


def test_those_who_lost_something_together_do_not_come_back_together() -> None:
    pauses = [Backoff(1.0, 10.0).next() for _ in range(1000)]
    assert len(set(pauses)) > 990
    assert min(pauses) < 0.05
    assert max(pauses) > 0.95


async def test_waiting_takes_as_long_as_it_says() -> None:
    backoff = Backoff(0.05, 0.1, least=1.0)
    started = time.monotonic()
    await backoff.wait()
    assert 0.045 <= time.monotonic() - started < 1
    assert backoff.pauses == 1


def test_nothing_else_of_the_server_makes_pauses_of_its_own() -> None:
    """Chance is for pauses, so whoever asks for it elsewhere should ask here."""
    root = Path(common.__file__).resolve().parents[1]
    rooms = [
        link.name for link in (root / "src" / "userline").iterdir() if link.is_dir() and not link.name.startswith("_")
    ]
    assert "changes" in rooms
    users = set()
    for room in rooms:
        for path in (root / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in {"random.uniform", "random.random"}:
                    users.add(path.relative_to(root).as_posix())
    assert users == {"common/backoff.py"}
