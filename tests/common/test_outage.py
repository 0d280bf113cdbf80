"""How long something was away."""

from __future__ import annotations

import pytest

from userline.common.outage import Outage, in_words


def test_an_outage_begins_once_and_ends_once() -> None:
    now = 100.0
    outage = Outage(lambda: now)
    assert (bool(outage), outage.end()) == (False, None)
    assert [outage.begin(), outage.begin(), bool(outage)] == [True, False, True]
    now = 115.24
    assert (outage.end(), bool(outage), outage.end()) == ("15.2 s", False, None)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (0.06, "0.1 s"), (59.97, "59.9 s"), (60, "1 min 0 s"), (200.4, "3 min 20 s"), (3599.7, "1 h 0 min")],
)
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
