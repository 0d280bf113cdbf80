"""Versions grow, whatever the clock does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import new_users, patches
from userline.users.patch import UserPatch, apply
from userline.users.replacement import put
from userline.users.rules import Rules
from userline.users.versions import LARGEST_VERSION, next_version

if TYPE_CHECKING:
    from userline.users.record import UserRecord

NOW = 1_700_000_000_000
clocks = st.integers(-5_000, 5_000).map(NOW.__add__)


@given(before=st.integers(0, LARGEST_VERSION - 1), now=st.integers(0, 2 * NOW))
def test_the_next_is_greater_and_not_before_the_clock(before: int, now: int) -> None:
    after = next_version(before, now)
    assert before < after <= LARGEST_VERSION
    assert after >= now
    assert after in (before + 1, now), "and no greater than it must be"


def test_the_largest_stays() -> None:
    assert next_version(LARGEST_VERSION, NOW) == LARGEST_VERSION == 2**53 - 1


@given(first=new_users, steps=st.lists(st.tuples(patches, clocks), max_size=8))
def test_a_user_of_an_old_store_goes_on_from_its_version(first: UserPatch, steps: list[tuple[UserPatch, int]]) -> None:
    """Versions of older stores are small: the next write brings them to the clock."""
    created = apply(first, None, user_id="a", now=NOW, rules=Rules())
    record = replace(created, snapshot=replace(created.snapshot, version=7))
    for patch, now in steps:
        after = apply(patch, record, user_id="a", now=now, rules=Rules())
        assert after is record or after.snapshot.version == max(record.snapshot.version + 1, now)
        record = after


@given(
    first=new_users,
    kinds=st.lists(st.sampled_from(["write", "delete", "create", "restore"]), max_size=12),
    data=st.data(),
)
def test_a_version_never_comes_back(first: UserPatch, kinds: list[str], data: st.DataObject) -> None:
    """Not after a deletion, a re-creation, or the restore of an old export, as the clock goes on."""
    now = NOW
    record: UserRecord | None = apply(first, None, user_id="a", now=now, rules=Rules())
    export, highest = record, now
    for kind in kinds:
        now += data.draw(st.integers(1, 1_000))
        before = record
        if kind == "delete":
            record = None
        elif kind == "restore":
            assert export is not None
            _, record = put(export, record, now=now, overwrite=True)
        elif kind == "create" or record is None:
            record = record or apply(first, None, user_id="a", now=now, rules=Rules())
        else:
            record = apply(data.draw(patches), record, user_id="a", now=now, rules=Rules())
        if record is not None and record is not before:
            assert record.snapshot.version > highest
            highest = record.snapshot.version
