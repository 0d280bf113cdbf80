"""What holds for every user and every patch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import new_users, patch_inputs, patches, texts, user_ids
from tests.users.samples import FIELDS, RULES
from userline.users.codec import record_to_json
from userline.users.patch import UserPatch, apply, parse_patch

if TYPE_CHECKING:
    from userline.users.record import UserRecord


def without_version(record: UserRecord) -> UserRecord:
    return replace(record, snapshot=replace(record.snapshot, version=0), updated_at=0)


@given(user_ids, new_users, patches)
def test_applying_a_patch_again_changes_nothing(user_id: str, new: UserPatch, patch: UserPatch) -> None:
    before = apply(new, None, user_id=user_id, now=1, rules=RULES)
    once = apply(patch, before, user_id=user_id, now=2, rules=RULES)
    assert apply(patch, once, user_id=user_id, now=3, rules=RULES) is once
    assert once is before or once.snapshot.version == 2


@given(new_users, patches)
def test_a_patch_never_changes_what_it_is_applied_to(new: UserPatch, patch: UserPatch) -> None:
    before = apply(new, None, user_id="alice", now=1, rules=RULES)
    copy = record_to_json(before)
    after = apply(patch, before, user_id="alice", now=2, rules=RULES)
    assert record_to_json(before) == copy
    assert (after is before) == (record_to_json(after) | {"updatedAt": 1} == copy)


@given(new_users, patch_inputs, st.sets(st.sampled_from(FIELDS)))
def test_patches_of_different_fields_commute(new: UserPatch, given_: dict[str, object], mine: set[str]) -> None:
    one = parse_patch({name: value for name, value in given_.items() if name in mine}, RULES)
    two = parse_patch({name: value for name, value in given_.items() if name not in mine}, RULES)
    assert_they_commute(new, one, two)


@given(
    new_users,
    st.dictionaries(texts, st.none() | texts, max_size=6),
    st.dictionaries(texts.map("fcm:x{}".format), st.sampled_from([True, None]), max_size=6),
    st.integers(0, 6),
)
def test_patches_of_different_keys_commute(
    new: UserPatch, custom: dict[str, str | None], tokens: dict[str, bool | None], cut: int
) -> None:
    customs, pushes = list(custom.items()), list(tokens.items())
    one = parse_patch({"custom": dict(customs[:cut]), "pushTokens": dict(pushes[:cut])}, RULES)
    two = parse_patch({"custom": dict(customs[cut:]), "pushTokens": dict(pushes[cut:])}, RULES)
    assert_they_commute(new, one, two)


def assert_they_commute(new: UserPatch, one: UserPatch, two: UserPatch) -> None:
    before = apply(new, None, user_id="alice", now=1, rules=RULES)
    outcomes = []
    for first, second in ((one, two), (two, one)):
        middle = apply(first, before, user_id="alice", now=2, rules=RULES)
        outcomes.append(apply(second, middle, user_id="alice", now=3, rules=RULES))
    assert without_version(outcomes[0]) == without_version(outcomes[1])
