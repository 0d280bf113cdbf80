"""States of a user, merged by version: by cases, and by a model over any order of things."""

from __future__ import annotations

import pytest
from clients.python.tests.helpers import user
from hypothesis import given, settings
from hypothesis import strategies as st

from userline_client.errors import ProtocolError
from userline_client.snapshot import Seen, Snapshots
from userline_client.state import Remembered, UserState

_SNAPSHOTS = Snapshots()


def seen(version: int, name: str = "", news_from: int = -1, snapshots: Snapshots = _SNAPSHOTS) -> Seen:
    read = snapshots.read(user("a", name or f"name {version}", version), news_from)
    assert read is not None
    return read


def shown(state: UserState) -> str | None:
    assert state.is_known
    return None if state.snapshot is None else state.snapshot.name.removeprefix("name ")


NOTHING = "nothing"
FIRST_NOTHING = "first nothing"


@pytest.mark.behaviour(12, 13)
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([5], "5"),
        ([5, 4], "5"),
        ([5, 6], "6"),
        ([9, 10], "10"),  # by number, not by letter
        ([5, NOTHING], None),
        ([5, NOTHING, 5], None),
        ([5, NOTHING, 4], None),
        ([5, NOTHING, 6], "6"),
        ([5, FIRST_NOTHING, 4], None),
        ([5, FIRST_NOTHING, 5], "5"),
        ([5, FIRST_NOTHING, NOTHING, 5], "5"),
        ([5, FIRST_NOTHING, 5, NOTHING, 5], None),
        ([FIRST_NOTHING, 5], "5"),
        ([FIRST_NOTHING], None),
        ([5, NOTHING, 7, 6], "7"),
        ([2**63, 2**63 - 1], str(2**63)),
    ],
)
def test_events(told: list[int | str], expected: str | None) -> None:
    state = UserState()
    for each in told:
        if isinstance(each, str):
            assert not state.hear(None, is_first=each == FIRST_NOTHING)
        else:
            assert not state.hear(seen(each), is_first=False)
    assert shown(state) == expected


@pytest.mark.behaviour(3, 12)
def test_the_object_stays_while_only_the_version_grows() -> None:
    state = UserState()
    state.hear(seen(1, "same"), is_first=True)
    first = state.snapshot
    state.hear(seen(2, "same"), is_first=False)
    assert state.snapshot is first
    state.hear(seen(1, "old"), is_first=False)
    assert state.snapshot is first
    assert not state.take_answer(seen(2, "old"), state.write_started())
    assert state.snapshot is first


@pytest.mark.behaviour(14)
@pytest.mark.parametrize(("before", "answer", "expected"), [(5, 6, "6"), (5, 5, "5"), (5, 4, "5"), (None, 4, "4")])
def test_the_answer_to_a_write_counts_by_its_version(before: int | None, answer: int, expected: str) -> None:
    state = UserState()
    if before is not None:
        state.hear(seen(before), is_first=True)
    mark = state.write_started()
    assert not state.take_answer(seen(answer), mark)
    assert shown(state) == expected


@pytest.mark.behaviour(15)
def test_nothing_after_a_write_that_no_event_has_told_of_is_asked_about_once() -> None:
    state = UserState()
    state.hear(seen(5), is_first=True)
    mark = state.write_started()
    state.take_answer(seen(6), mark)
    assert state.hear(None, is_first=False), "it may be older than the write"
    assert shown(state) == "6"
    assert not state.hear(None, is_first=True), "the gateway was asked"
    assert shown(state) is None
    state.hear(seen(7), is_first=False)
    assert not state.hear(None, is_first=False)
    assert shown(state) is None


@pytest.mark.behaviour(15)
def test_nothing_after_a_write_that_an_event_has_told_of_counts_at_once() -> None:
    state = UserState()
    mark = state.write_started()
    state.take_answer(seen(6), mark)
    state.hear(seen(6), is_first=True)
    assert not state.hear(None, is_first=False)
    assert shown(state) is None


@pytest.mark.behaviour(15)
def test_nothing_that_comes_while_a_write_is_under_way_is_asked_about_when_it_is_answered() -> None:
    state = UserState()
    mark = state.write_started()
    assert not state.hear(None, is_first=True)
    assert shown(state) is None
    assert state.take_answer(seen(6), mark), "which of them came first?"
    assert shown(state) == "6"
    assert not state.hear(None, is_first=True)
    assert shown(state) is None
    assert not state.take_answer(seen(7), state.write_started()), "nothing was heard in this one"
    assert shown(state) == "7"


@pytest.mark.behaviour(16)
@pytest.mark.parametrize(
    ("meanwhile", "asks", "expected"),
    [([], False, None), ([NOTHING], False, None), ([6], True, "6"), ([6, NOTHING], False, None), ([4], False, None)],
)
def test_a_deletion_is_shown_unless_something_newer_came(
    meanwhile: list[int | str], asks: bool, expected: str | None
) -> None:
    state = UserState()
    state.hear(seen(5), is_first=True)
    mark = state.delete_started()
    for each in meanwhile:
        state.hear(None if isinstance(each, str) else seen(each), is_first=False)
    assert state.take_deletion(mark) is asks
    state.delete_ended()
    assert shown(state) == expected
    state.hear(seen(5), is_first=False)
    assert shown(state) == expected, "an old snapshot came back"
    state.hear(seen(8), is_first=False)
    assert shown(state) == "8"


@pytest.mark.behaviour(16)
def test_a_deletion_that_failed_changes_nothing() -> None:
    state = UserState()
    state.hear(seen(5), is_first=True)
    state.delete_started()
    state.delete_ended()
    assert shown(state) == "5"


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.integers(1, 6)),
        st.tuples(st.just("answer"), st.integers(1, 6)),
        st.tuples(st.just("nothing"), st.booleans()),
    ),
    max_size=30,
)


@pytest.mark.behaviour(12, 13)
@settings(max_examples=300, deadline=None)
@given(_STEPS, st.integers(1, 6))
def test_versions_never_go_back_whatever_comes(steps: list[tuple[str, int]], looks: int) -> None:
    """And what was live and is gone comes back only as something newer, if its operation had told of it.

    There are so many looks that a user may have: what was before may come back as a newer version.
    """
    state = UserState()
    greatest, gone_at, is_told = 0, 0, False
    snapshots = Snapshots()
    held: list[Seen] = []
    for kind, value in steps:
        before = state.snapshot
        if kind != "nothing":
            held.append(seen(value, f"look {value % looks}", state.news_from, snapshots))
        if kind == "nothing":
            snapshots.forget("a")
            is_told = is_told and not value
            if not state.hear(None, is_first=bool(value)):
                gone_at = greatest if is_told else 0
        elif kind == "event":
            is_told = is_told or value >= greatest
            state.hear(held[-1], is_first=False)
        else:
            is_told = is_told and value <= greatest
            state.take_answer(held[-1], state.write_started())
        if state.snapshot is not None:
            version = int(state.snapshot.version)
            assert version >= greatest, "it went back"
            if before is None:
                assert version > gone_at, "a deleted user's old snapshot came back"
            if state.snapshot is not before:
                assert version == value, "it is shown as an older one that looked the same"
                assert state.snapshot != before, "it was another object"
            greatest = version


@pytest.mark.behaviour(15)
def test_nothing_that_came_before_a_write_began_is_not_asked_about_though_others_are_under_way() -> None:
    state = UserState()
    state.hear(seen(5), is_first=True)
    first = state.write_started()
    state.hear(None, is_first=False)
    for version in (6, 7):
        assert not state.take_answer(seen(version), state.write_started())
    assert state.take_answer(seen(8), first)


@pytest.mark.behaviour(14)
def test_what_was_seen_of_those_not_watched_is_remembered_of_the_latest_only() -> None:
    remembered = Remembered()
    kept = remembered.state_of("kept")
    for number in range(999):
        remembered.state_of(str(number))
    assert remembered.state_of("kept") is kept
    remembered.state_of("one more")
    assert remembered.take("kept") is kept
    assert remembered.state_of("kept") is not kept
    for number in range(2000):
        remembered.keep(str(number), UserState())
    assert not remembered.take("one more").is_known


@pytest.mark.behaviour(32)
@pytest.mark.parametrize("version", [None, 5, "", "x", "-1", "1.5", " 1", True])
def test_a_user_without_a_version_is_none(version: object) -> None:
    with pytest.raises(ProtocolError, match="version"):
        _SNAPSHOTS.read(user("a", "A") | {"version": version}, -1)
    with pytest.raises(ProtocolError, match="version"):
        _SNAPSHOTS.read({name: value for name, value in user("a", "A").items() if name != "version"}, -1)
