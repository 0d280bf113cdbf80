"""The limits of a user: what is past them is refused whole, and what already is may shrink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.users.samples import change, create
from userline.users.codec import encoded_size
from userline.users.errors import BadUserInput, Problem
from userline.users.patch import apply, parse_patch
from userline.users.rules import Limits, Rules

if TYPE_CHECKING:
    from userline.users.record import UserRecord


def problems_of(before: UserRecord | None, patch: dict[str, Any], rules: Rules) -> list[Problem]:
    with pytest.raises(BadUserInput) as caught:
        apply(parse_patch(patch, rules), before, user_id="alice", now=2000, rules=rules)
    return list(caught.value.problems)


def test_custom_keys() -> None:
    rules = Rules(Limits(custom_keys=2))
    full = create({"name": "Alice", "custom": {"a": "1", "b": "2"}}, rules)
    assert problems_of(full, {"custom": {"c": "3"}}, rules) == [
        Problem("custom", "custom would have 3 keys; the limit is 2.")
    ]
    assert change(full, {"custom": {"a": None, "c": "3"}}, rules=rules).snapshot.custom == {"b": "2", "c": "3"}


def test_push_tokens() -> None:
    rules = Rules(Limits(push_tokens=1))
    full = create({"name": "Alice", "pushTokens": {"fcm:a": True}}, rules)
    assert problems_of(full, {"pushTokens": {"fcm:b": True}}, rules) == [
        Problem("pushTokens", "pushTokens would have 2 tokens; the limit is 1.")
    ]
    assert change(full, {"pushTokens": {"fcm:a": None, "fcm:b": True}}, rules=rules).push_tokens == {"fcm:b"}


def test_the_defaults_are_those_of_the_contract() -> None:
    assert Limits() == Limits(record_bytes=65_536, custom_keys=100, push_tokens=100, emails=20, phones=20)


def test_the_whole_record_to_the_byte() -> None:
    record = create({"name": "Alice", "welcomeMessage": "x" * 100})
    size = encoded_size(record)
    assert create({"name": "Alice", "welcomeMessage": "x" * 100}, Rules(Limits(record_bytes=size))) == record
    patch = {"name": "Alice", "welcomeMessage": "x" * 101}
    assert problems_of(None, patch, Rules(Limits(record_bytes=size))) == [
        Problem(
            "welcomeMessage",
            f"welcomeMessage makes the user {size + 1} bytes large; the limit is {size} bytes.",
        )
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("name", "Ann"), ("role", "agent"), ("locale", "zh-Hant"), ("custom", {"": "é"})]
)
def test_the_record_limit_names_a_field_of_the_patch(name: str, value: object) -> None:
    before = create({"name": "A", "role": "r"})
    rules = Rules(Limits(record_bytes=encoded_size(before)))
    assert [problem.field for problem in problems_of(before, {name: value}, rules)] == [name]


def test_the_record_limit_names_the_largest_field_of_the_patch() -> None:
    rules = Rules(Limits(record_bytes=300))
    patch = {"name": "Alice", "custom": {"a": "x" * 200}, "welcomeMessage": "x" * 150, "email": "a@example.com"}
    assert [problem.field for problem in problems_of(None, patch, rules)] == ["custom"]


def test_all_limits_are_reported_at_once() -> None:
    rules = Rules(Limits(custom_keys=0, push_tokens=0, record_bytes=1))
    patch = {"name": "Alice", "custom": {"a": "1"}, "pushTokens": {"fcm:a": True}}
    assert [problem.field for problem in problems_of(None, patch, rules)] == [
        "custom",
        "pushTokens",
        "pushTokens",
    ]


def test_a_user_past_a_lowered_limit_may_shrink_or_change_elsewhere_but_not_grow() -> None:
    before = create(
        {
            "name": "Alice",
            "custom": {"a": "1", "b": "2", "c": "3"},
            "pushTokens": {"fcm:a": True, "fcm:b": True, "fcm:c": True},
            "welcomeMessage": "x" * 100,
        }
    )
    rules = Rules(Limits(custom_keys=1, push_tokens=1, record_bytes=10))
    assert len(change(before, {"custom": {"a": None}}, rules=rules).snapshot.custom) == 2
    assert len(change(before, {"pushTokens": {"fcm:a": None}}, rules=rules).push_tokens) == 2
    assert change(before, {"welcomeMessage": None}, rules=rules).snapshot.welcome_message is None
    assert change(before, {"name": "Ecila"}, rules=rules).snapshot.name == "Ecila"
    assert [problem.field for problem in problems_of(before, {"custom": {"d": "4"}}, rules)] == [
        "custom",
        "custom",
    ]
    assert [problem.field for problem in problems_of(before, {"name": "Alice B."}, rules)] == ["name"]


@pytest.mark.parametrize(
    ("name", "small", "large"),
    [
        ("welcomeMessage", "x" * 60_000, "x" * 140_000),
        ("custom", {"k": "é" * 30_000}, {f"{key:03}": "é" * 1400 for key in range(100)}),
        ("custom", {f"{key:07}": None for key in range(900)} | {"a": "b"}, {"a": "x" * 1_000_000, "b": None}),
        ("pushTokens", {f"fcm:{key:0200}": None for key in range(900)}, {"fcm:" + "x" * 140_000: True}),
    ],
)
def test_what_is_far_too_large_is_refused_without_a_look_at_the_user(name: str, small: object, large: object) -> None:
    """It is not held until the store has looked. What only removes is never too large."""
    parse_patch({name: small}, Rules())
    with pytest.raises(BadUserInput, match=f"^{name} .*65536 bytes, which is the limit") as caught:
        parse_patch({"name": "A", "locale": "en", name: large}, Rules())
    assert caught.value.field == name
    assert "If the user is larger already, send only the fields that change" in str(caught.value)


@pytest.mark.parametrize("before", [None, {"name": "Alice", "custom": {"a": "x" * 1000}}], ids=["new", "small"])
def test_whoever_may_send_any_size_may_still_make_nobody_too_large(before: dict[str, Any] | None) -> None:
    patch = parse_patch({"name": "Alice", "welcomeMessage": "x" * 140_000}, Rules(), any_size=True)
    record = None if before is None else create(before)
    with pytest.raises(BadUserInput, match=r"^welcomeMessage makes the user \d+ bytes large; the limit is 65536 bytes"):
        apply(patch, record, user_id="alice", now=2000, rules=Rules())


ADDRESSES = [f"a{number}@example.com" for number in range(20)]


@pytest.mark.parametrize(
    "kept", [ADDRESSES, ADDRESSES[3:], ADDRESSES[::-1], [*ADDRESSES[:6], ADDRESSES[0]], tuple(ADDRESSES)]
)
def test_a_list_past_a_lowered_limit_may_stay_or_become_shorter(kept: list[str]) -> None:
    before = create({"name": "Alice", "email": ADDRESSES})
    rules = Rules(Limits(emails=5))
    after = apply(parse_patch({"email": kept}, rules, any_size=True), before, user_id="alice", now=2, rules=rules)
    assert after.email == tuple(dict.fromkeys(kept))


@pytest.mark.parametrize("stored", [None, ADDRESSES[:4], ADDRESSES[1:]])
@pytest.mark.parametrize("sent", [ADDRESSES, [*ADDRESSES[:5], "nobody has looked at this"]])
def test_a_list_past_its_limit_gets_no_entry_that_is_not_stored(stored: list[str] | None, sent: list[str]) -> None:
    before = None if stored is None else create({"name": "Alice", "email": stored})
    rules = Rules(Limits(emails=5))
    patch = parse_patch({"name": "Alice", "email": sent}, rules, any_size=True)
    with pytest.raises(BadUserInput) as caught:
        apply(patch, before, user_id="alice", now=2, rules=rules)
    assert caught.value.problems == (Problem("email", f"email must have at most 5 entries, not {len(sent)}."),)


@pytest.mark.parametrize("sent", [["no address"], ["a@example.com", 1, 2, 3, 4, 5], [{}] * 9])
def test_what_is_no_list_of_texts_past_its_limit_is_checked_as_ever(sent: list[object]) -> None:
    with pytest.raises(BadUserInput, match=r"^email entry "):
        parse_patch({"email": sent}, Rules(Limits(emails=5)), any_size=True)


@pytest.mark.parametrize(("name", "key", "value"), [("custom", "key", "x"), ("pushTokens", "fcm:", True)])
def test_any_number_of_keys_is_taken_from_whoever_may_send_any_size(name: str, key: str, value: object) -> None:
    roomy, rules = Rules(Limits(1 << 20, 5000, 5000)), Rules()
    keys = {f"{key}{number}": value for number in range(5000)}
    before = create({"name": "Alice", name: keys}, roomy)
    whole = parse_patch({name: keys}, rules, any_size=True)
    assert apply(whole, before, user_id="alice", now=2, rules=rules) is before
    more = parse_patch({name: keys | {f"{key}more": value}}, rules, any_size=True)
    with pytest.raises(BadUserInput, match=f"^{name} would have 5001"):
        apply(more, before, user_id="alice", now=2, rules=rules)
    with pytest.raises(BadUserInput, match=f"^{name} must have at most 1000 keys at a time, not 5000"):
        parse_patch({name: keys}, rules)


def test_entries_that_were_not_checked_are_not_stored_after_the_limit_was_raised() -> None:
    entries = ["not an address", "nor this", "\0"]
    patch = parse_patch({"name": "Alice", "email": entries}, Rules(Limits(emails=2)), any_size=True)
    for before in (None, create({"name": "Alice", "email": ["a@example.com"]})):
        with pytest.raises(BadUserInput) as caught:
            apply(patch.under(None), before, user_id="alice", now=2, rules=Rules())
        assert [problem.field for problem in caught.value.problems] == ["email"]
