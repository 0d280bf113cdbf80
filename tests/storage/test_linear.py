"""The check of histories itself: what it must take, and what it must not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.storage.search.calls import RULES, Done, Seen, State, Unknown, record_of
from tests.storage.search.linear import could_be_sequential
from userline.storage.protocol import WriteResult
from userline.users.errors import NameRequired
from userline.users.patch import parse_patch

A, B, C = (State(name, (), (), version) for name, version in (("A", 1), ("B", 2), ("C", 3)))


def get(began: int, ended: float, answer: State | None) -> Done:
    return Done("u", "get", began=began, ended=ended, answer=answer)


def patch(began: int, ended: float, before: State | None, after: State | None, **given: object) -> Done:
    """A patch that found one state and left another; without ``after``, one that changed nothing."""
    there = record_of("u", before) if before is not None else None
    left = record_of("u", after) if after is not None else there
    assert left is not None
    answer = WriteResult(there, left)
    return Done("u", "patch", parse_patch(given, RULES), began=began, ended=ended, answer=answer)


def without_answer(began: int, **given: object) -> Done:
    return Done("u", "patch", parse_patch(given, RULES), began=began, answer=Unknown.UNKNOWN)


def refused(began: int, ended: int, **given: object) -> Done:
    return Done("u", "patch", parse_patch(given, RULES), began=began, ended=ended, answer=NameRequired("u"))


def deleted(moment: int, before: State | None) -> Done:
    return Done("u", "delete", began=moment, ended=moment, answer=Seen(before, None))


GOOD: dict[str, list[Done]] = {
    "one after the other": [patch(1, 2, None, A, name="A"), patch(3, 4, A, B, name="B"), get(5, 6, B)],
    "at once, in either order": [patch(1, 9, A, B, name="B"), patch(2, 8, None, A, name="A"), get(10, 11, B)],
    "a read while it is written": [
        patch(1, 2, None, A, name="A"),
        patch(3, 9, A, B, name="B"),
        get(4, 5, A),
        get(6, 7, B),
    ],
    "nothing changed": [patch(1, 2, None, A, name="A"), patch(3, 4, A, None, name="A")],
    "no answer, and done": [patch(1, 2, None, A, name="A"), without_answer(3, name="B"), get(4, 5, A), get(6, 7, B)],
    "no answer, and never done": [patch(1, 2, None, A, name="A"), without_answer(3, name="B"), get(4, 5, A)],
    "deleted, and no name": [
        patch(1, 2, None, A, name="A"),
        deleted(3, A),
        refused(4, 5, locale="en"),
        get(6, 7, None),
    ],
}

BAD: dict[str, list[Done]] = {
    "a lost update": [patch(1, 2, None, A, name="A"), patch(3, 8, A, B, name="B"), patch(4, 7, A, C, name="C")],
    "an old read": [patch(1, 2, None, A, name="A"), patch(3, 4, A, B, name="B"), get(5, 6, A)],
    "back and forth": [
        patch(1, 2, None, A, name="A"), patch(3, 9, A, B, name="B"), get(4, 5, B), get(6, 7, A)
    ],
    "nothing changed, where something would have": [
        patch(1, 2, None, A, name="A"), patch(3, 4, A, B, name="B"), patch(5, 6, A, None, name="A")
    ],
    "who was deleted comes back": [patch(1, 2, None, A, name="A"), deleted(3, A), get(4, 5, A)],
    "refused, though there is somebody": [patch(1, 2, None, A, name="A"), refused(3, 4, locale="en")],
    "no answer, and done twice": [
        patch(1, 2, None, A, name="A"), without_answer(3, name="B"), get(4, 5, B),
        patch(6, 7, B, C, name="C"), get(8, 9, State("B", (), (), 4)),
    ],
    "a version that does not grow": [patch(1, 2, None, A, name="A"), patch(3, 4, A, State("B", (), (), 1), name="B")],
    "another outcome than the patch has": [patch(1, 2, None, A, name="A"), patch(3, 4, A, C, name="B")],
}  # fmt: skip


@pytest.mark.parametrize("calls", GOOD.values(), ids=GOOD)
def test_what_a_sequential_user_explains(calls: list[Any]) -> None:
    assert could_be_sequential(calls, None)
    assert could_be_sequential(calls[::-1], None), "whatever the order in which it was written down"


@pytest.mark.parametrize("calls", BAD.values(), ids=BAD)
def test_what_none_explains(calls: list[Any]) -> None:
    assert not could_be_sequential(calls, None)
