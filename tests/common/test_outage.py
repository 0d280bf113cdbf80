"""How long something was away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userline.common.outage import Outage, in_words


def test_an_outage_begins_once_and_ends_once() -> None:
    now = 100.0
    outage = Outage(lambda: now)
    assert (bool(outage), outage.end()) == (False, None)
    assert [outage.begin(), outage.begin(), bool(outage)] == [True, False, True]
    now = 115.24
    assert (outage.end(), bool(outage), outage.end()) == ("15.2 s", False, None)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10))), st.integers(10, 30), st.integers(5, 20))
def test_what_was_tried_side_by_side_makes_one_outage_one(
    tries: list[tuple[int, int]], away_from: int, seconds: int
) -> None:
    """Whoever is asked between two times fails, and all others succeed, each after a while of its own."""
    now = 0.0
    outage = Outage(lambda: now)
    begun: list[float] = []
    ended: list[float] = []
    there_again = away_from + seconds
    answers = sorted((start + lasting, start) for start, lasting in [*tries, (away_from, 0), (60, 0)])
    for answered, tried in answers:
        now = answered
        if away_from <= tried < there_again:
            if outage.begin(tried):
                begun.append(now)
        elif outage.end(tried) is not None:
            ended.append(now)
    assert (len(begun), len(ended)) == (1, 1), "one line for its beginning, and one for its end"
    assert begun == [away_from]
    assert ended[0] >= there_again


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (0.06, "0.1 s"), (59.97, "59.9 s"), (60, "1 min 0 s"), (200.4, "3 min 20 s"), (3599.7, "1 h 0 min")],
)
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
