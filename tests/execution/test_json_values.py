"""How much would have to be made of a JSON text is counted before any of it is made."""

from __future__ import annotations

import json
import os
import time
from random import Random

import pytest

from userline.execution.json_values import MOST_CONTAINERS, MOST_SEPARATORS, excess

SIZE = 1_040_000
TEXTS = int(os.environ.get("USERLINE_TEST_TEXTS", "50"))


def filled(before: str, part: str, after: str) -> str:
    return before + part * ((SIZE - len(before) - len(after)) // len(part)) + after


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (filled("[", "[],", "0]"), "of '[' and '{'"),
        (filled("[", "{},", "0]"), "of '[' and '{'"),
        (filled("[", "1,", "0]"), "of ',' and ':' outside of strings"),
        (filled("[", "1e-5,", "0]"), "of ',' and ':' outside of strings"),
        (filled("[", '"ab",', "0]"), "strings"),
        (filled("[", '"\\\\",', "0]"), "strings"),
        ("{" + ",".join(f'"{number}":1' for number in range(80_000)) + "}", "strings"),
        (filled('["', "a, b: c", '"]'), None),
        (filled('["', '\\"a\\":1,', '"]'), None),
        (filled('["', "\\\\", '"]'), None),
        (filled('["', "あ,", '"]'), None),
        (
            json.dumps(
                {f"user {n}": dict.fromkeys(map(str, range(200)), "a, b, c, d, e, f, g, h") for n in range(100)}
            )[:-2],
            None,
        ),
        (json.dumps([str(number).ljust(255, ",") for number in range(1000)]), None),
        # No JSON at all, and yet looked at once.
        (filled("", '\\"', ""), None),
        (filled("[", '\\",', ""), None),
        (filled('"', '\\",', "\\"), None),
        (filled("", '"', ""), None),
    ],
)
@pytest.mark.parametrize("encoded", [False, True])
def test_what_is_too_much(text: str, told: str | None, encoded: bool) -> None:
    data = text.encode() if encoded else text
    started = time.thread_time()
    found = excess(data)
    assert time.thread_time() - started < 0.2
    assert (found or "").endswith(told or "")
    assert (found is None) is (told is None)


def test_a_short_text_is_never_too_much() -> None:
    assert excess("[" * MOST_CONTAINERS) is None
    assert excess("[" * (MOST_CONTAINERS + 1)) is not None


def test_separators_are_those_outside_of_strings() -> None:
    """For texts made at random, near the limit, it is what reading them says."""
    chance = Random(1)
    for _ in range(TEXTS):
        items = MOST_SEPARATORS - chance.randrange(-3, 4)
        text = chance.choice((",,", "::", '\\"', "\\\\", ", :\\\\")) * chance.choice((1, 50_000))
        sound = f'["{text}",' + "1," * (items - 2) + f'"{text}"]'
        assert len(json.loads(sound)) == items
        assert (excess(sound) is not None) is (items - 1 > MOST_SEPARATORS), items
