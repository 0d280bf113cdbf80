"""What holds for every user and every patch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import new_user_inputs, new_users, patch_inputs, patches, texts, user_ids
from tests.users.samples import FIELDS, RULES, content, create
from userline.users.codec import encoded_size, record_to_json
from userline.users.errors import BadUserInput
from userline.users.patch import UserPatch, apply, parse_patch
from userline.users.rules import Limits, Rules

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


_characters = st.integers(0, 100_000)


@given(new_user_inputs, *(st.integers(0, 3) for _ in range(4)))
def test_a_whole_user_past_every_lowered_limit_is_taken_back(
    new: dict[str, object], custom_keys: int, push_tokens: int, emails: int, phones: int
) -> None:
    before = create(new)
    lowered = Rules(Limits(1, custom_keys, push_tokens, emails, phones))
    patch = parse_patch(record_to_json(before), lowered, any_size=True)
    assert apply(patch, before, user_id="alice", now=2, rules=lowered) is before


@given(new_user_inputs, st.lists(st.tuples(_characters, st.none() | _characters), max_size=8), st.integers(1, 65_536))
def test_whoever_is_past_a_lowered_limit_may_become_smaller(
    new: dict[str, object], lengths: list[tuple[int, int | None]], limit: int
) -> None:
    """Whole users that were read are taken back, and what is refused for its size says what is taken in its place."""
    large = {f"large {number}": "x" * length for number, (length, _) in enumerate(lengths)}
    custom = new.get("custom")
    before = create(new | {"custom": (custom if isinstance(custom, dict) else {}) | large}, Rules(Limits(10_000_000)))
    lowered = Rules(Limits(limit))
    whole = record_to_json(before)
    assert apply(parse_patch(whole, lowered, any_size=True), before, user_id="alice", now=2, rules=lowered) is before

    less = {
        f"large {number}": None if shorter is None else "x" * min(shorter, length)
        for number, (length, shorter) in enumerate(lengths)
    }
    patch = {**content(before), "custom": {**whole["custom"], **less}}
    after = apply(parse_patch(patch, lowered, any_size=True), before, user_id="alice", now=2, rules=lowered)
    assert encoded_size(after) <= encoded_size(before)
    refusal = refusal_of(patch, lowered)
    if refusal is not None:
        assert "send only the fields that change, and null for those to remove" in refusal
        nulls = parse_patch({"custom": dict.fromkeys(large)}, lowered)
        rest = apply(nulls, before, user_id="alice", now=2, rules=lowered)
        assert large.keys().isdisjoint(rest.snapshot.custom)


def refusal_of(patch: dict[str, object], rules: Rules) -> str | None:
    """Return why a patch is refused to who may not send any size, None if it is not."""
    try:
        parse_patch(patch, rules)
    except BadUserInput as error:
        return str(error)
    return None
