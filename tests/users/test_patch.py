"""Patches: what an input asks for, and what becomes of a user under it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.strategies import new_users, patches
from tests.users.samples import DEFAULTS, FIELDS, FULL, RULES, change, content, create
from userline.users.codec import record_to_json
from userline.users.errors import BadUserInput, ErrorCode, NameRequired, Problem
from userline.users.patch import UserPatch, apply, parse_id, parse_new_user, parse_patch
from userline.users.rules import Limits, Rules


def problems_of(input_: dict[str, Any], rules: Rules = RULES) -> list[Problem]:
    with pytest.raises(BadUserInput) as caught:
        parse_patch(input_, rules)
    return list(caught.value.problems)


class TestParsing:
    def test_nothing_given_is_nothing_changed(self) -> None:
        assert parse_patch({}, RULES) == UserPatch()

    @pytest.mark.parametrize("name", [name for name in FIELDS if name != "name"])
    def test_left_out_null_and_a_value_are_three_things(self, name: str) -> None:
        assert parse_patch({}, RULES).given == {}
        ((attribute, value),) = parse_patch({name: None}, RULES).given.items()
        assert value is None
        assert parse_patch({name: FULL[name]}, RULES).given.keys() == {attribute}
        assert parse_patch({name: FULL[name]}, RULES).given[attribute] is not None

    def test_a_single_address_or_number_is_a_list_of_one(self) -> None:
        patch = parse_patch({"email": "a@example.com", "phone": "+14155552671"}, RULES)
        assert patch.given["email"] == ("a@example.com",)
        assert patch.given["phone"] == ("+14155552671",)

    @pytest.mark.parametrize(
        ("name", "bad", "message"),
        [
            ("name", None, "name is required and cannot be null."),
            ("name", "", "name must not be empty."),
            ("name", 5, "name must be a string, not a number."),
            ("custom", [], "custom must be an object, not a list."),
            ("custom", {"a.b": 1}, 'custom value of "a.b" must be a string, not a number.'),
            (
                "locale",
                "en_US",
                "locale must be an IETF language tag with hyphens between its parts, such as en-US.",
            ),
            ("photoUrl", "a.png", "photoUrl must be an http or https URL, such as https://example.com/alice.png."),
            ("role", "", "role must not be empty."),
            ("welcomeMessage", {}, "welcomeMessage must be a string, not an object."),
            ("email", ["a@b.co", "x"], "email entry 1 must be an e-mail address, such as alice@example.com."),
            ("email", [None], "email entry 0 must be a string, not null."),
            (
                "phone",
                "12",
                "phone entry 0 must be a possible phone number in international form, such as +14155552671.",
            ),
            ("pushTokens", {"a": True}, 'pushTokens keys must look like "fcm:TOKEN" or "apns:TOKEN".'),
            ("pushTokens", {"fcm:a": 1}, "pushTokens values must be true (register) or null (unregister)."),
            ("photo_url", "https://example.com", "photo_url is not a field of a user."),
            ("effectiveLocale", "en", "effectiveLocale is not a field of a user."),
        ],
    )
    def test_a_problem_names_its_field(self, name: str, bad: object, message: str) -> None:
        assert problems_of({name: bad}) == [Problem(name, message)]

    def test_all_problems_are_reported_at_once_in_the_order_of_the_contract(self) -> None:
        bad: dict[str, Any] = {
            "pushTokens": {"x": True},
            "phone": ["x"],
            "email": ["x"],
            "welcomeMessage": 1,
            "role": 1,
            "photoUrl": "x",
            "locale": "x",
            "custom": "x",
            "name": "",
        }
        assert [problem.field for problem in problems_of(bad)] == [name for name in FIELDS if name in bad]

    def test_unknown_fields_do_not_hide_the_others(self) -> None:
        assert [problem.field for problem in problems_of({"name": "", "x": 1})] == ["x", "name"]

    @pytest.mark.parametrize(("name", "good", "bad"), [("email", "a@b.co", 3), ("phone", "+14155552671", 3)])
    def test_lists_are_bounded(self, name: str, good: str, bad: int) -> None:
        rules = Rules(Limits(emails=2, phones=2))
        assert problems_of({name: [good] * bad}, rules) == [
            Problem(name, f"{name} must have at most 2 entries, not 3.")
        ]

    def test_the_roles_are_those_of_the_rules(self) -> None:
        rules = Rules(roles=frozenset({"default", "agent"}))
        assert parse_patch({"role": "agent"}, rules).given == {"role": "agent"}
        assert problems_of({"role": "admin"}, rules) == [
            Problem("role", "role must be one of the configured roles: agent, default.")
        ]

    def test_a_new_user_takes_null_for_left_out(self) -> None:
        nothing = {name: None for name in FIELDS if name != "name"}
        assert parse_new_user({"name": "Alice", **nothing}, RULES) == UserPatch(name="Alice")

    @pytest.mark.parametrize("missing", [{}, {"name": None}])
    def test_a_new_user_needs_a_name_and_hears_of_the_rest_too(self, missing: dict[str, object]) -> None:
        with pytest.raises(BadUserInput) as caught:
            parse_new_user({**missing, "locale": "x"}, RULES)
        assert [problem.field for problem in caught.value.problems] == ["name", "locale"]

    def test_an_id_names_the_field_it_came_in(self) -> None:
        assert parse_id("a/b") == "a/b"
        with pytest.raises(BadUserInput) as caught:
            parse_id("", "ids[3]")
        assert caught.value.problems == (Problem("ids[3]", "ids[3] must not be empty."),)


class TestApplying:
    def test_a_new_user_has_the_time_as_its_version(self) -> None:
        record = create({"name": "Alice"})
        assert content(record) == {"name": "Alice", **DEFAULTS}
        assert (record.snapshot.id, record.snapshot.version) == ("alice", 1000)
        assert record.created_at == record.updated_at == 1000

    def test_a_new_user_has_all_that_is_given(self) -> None:
        assert content(create(FULL)) == FULL

    @pytest.mark.parametrize("patch", [{}, {"custom": {"a": "b"}}, {"name": "x", "role": None}])
    def test_a_user_is_not_created_without_a_name(self, patch: dict[str, Any]) -> None:
        parsed = parse_patch({name: value for name, value in patch.items() if name != "name"}, RULES)
        with pytest.raises(NameRequired) as caught:
            apply(parsed, None, user_id="alice", now=1, rules=RULES)
        assert caught.value.code is ErrorCode.NAME_REQUIRED

    @pytest.mark.parametrize("name", FIELDS)
    def test_what_is_left_out_stays(self, name: str) -> None:
        before = create(FULL)
        other = "name" if name != "name" else "locale"
        after = change(before, {other: "de"})
        assert content(after)[name] == FULL[name]

    @pytest.mark.parametrize("name", list(DEFAULTS))
    def test_null_brings_back_the_default_and_touches_nothing_else(self, name: str) -> None:
        assert content(change(create(FULL), {name: None})) == {**FULL, name: DEFAULTS[name]}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("name", "Bob"),
            ("locale", "de"),
            ("photoUrl", "http://example.com/b"),
            ("role", "admin"),
            ("welcomeMessage", ""),
            ("email", ["b@example.com", "a@example.com"]),
            ("phone", []),
        ],
    )
    def test_a_value_replaces_and_touches_nothing_else(self, name: str, value: object) -> None:
        assert content(change(create(FULL), {name: value})) == {**FULL, name: value}

    @pytest.mark.parametrize("key", ["team", "a.b", "$set", "", "👩🏽‍🚀"])
    def test_a_custom_key_is_set_and_removed_alone(self, key: str) -> None:
        before = create(FULL)
        rest = {other: value for other, value in FULL["custom"].items() if other != key}
        assert change(before, {"custom": {key: "new"}}).snapshot.custom == {**rest, key: "new"}
        assert change(before, {"custom": {key: None}}).snapshot.custom == rest

    def test_a_dotted_custom_key_is_one_key(self) -> None:
        before = create({"name": "Alice", "custom": {"a": "1", "a.b": "2"}})
        assert change(before, {"custom": {"a.b": None}}).snapshot.custom == {"a": "1"}
        assert change(before, {"custom": {"a": None}}).snapshot.custom == {"a.b": "2"}

    def test_push_tokens_are_registered_and_unregistered_alone(self) -> None:
        after = change(create(FULL), {"pushTokens": {"fcm:a.b": None, "fcm:new": True, "apns:$": True, "fcm:no": None}})
        assert after.push_tokens == {"apns:$", "fcm:new"}

    def test_a_change_moves_the_version_and_the_time(self) -> None:
        before = create(FULL)
        after = change(before, {"name": "Bob"}, now=3000)
        assert after.snapshot.version == 3000
        assert (after.created_at, after.updated_at) == (1000, 3000)

    def test_a_private_change_counts_too_but_shows_nothing(self) -> None:
        before = create(FULL)
        after = change(before, {"email": []})
        assert after.snapshot.version == 2000
        assert after.snapshot.looks_like(before.snapshot)

    def test_time_does_not_go_back_with_the_clock(self) -> None:
        assert change(create(FULL), {"name": "Bob"}, now=1).updated_at == 1000

    @pytest.mark.parametrize(
        "patch",
        [
            {},
            FULL,
            {"custom": {}},
            {"custom": {"absent": None}},
            {"custom": {"team": "blue"}},
            {"pushTokens": {"fcm:a.b": True, "fcm:absent": None}},
            {"email": "a@example.com"},
        ],
    )
    def test_nothing_new_is_the_same_object(self, patch: dict[str, Any]) -> None:
        before = create(FULL)
        assert change(before, patch) is before

    @pytest.mark.parametrize("name", list(DEFAULTS))
    def test_the_default_of_what_has_its_default_is_the_same_object(self, name: str) -> None:
        before = create({"name": "Alice"})
        assert change(before, {name: None}) is before

    def test_what_comes_out_is_read_only(self) -> None:
        for record in (create({"name": "Alice"}), create(FULL), change(create(FULL), {"custom": None})):
            with pytest.raises(TypeError):
                record.snapshot.custom["a"] = "b"  # type: ignore[index]


class TestReadOnly:
    """What was read may be sent back: what nobody sets is ignored if it is as stored, and else refused."""

    @given(new=new_users, patched=patches)
    def test_a_whole_user_that_was_read_can_be_sent_back(self, new: UserPatch, patched: UserPatch) -> None:
        record = apply(new, None, user_id="alice", now=5, rules=RULES)
        record = apply(patched, record, user_id="alice", now=9, rules=RULES)
        read = record_to_json(record)
        assert change(record, read) is record
        assert change(record, {**read, "name": "Other"}).snapshot.name == "Other"

    @pytest.mark.parametrize("name", ["id", "createdAt", "updatedAt", "version"])
    @pytest.mark.parametrize("bad", [None, "", "bob", "1001", "01000", "+1000", 999, 1000.0, True, [], {"a": 1}])
    def test_what_is_not_as_stored_is_refused_and_named(self, name: str, bad: object) -> None:
        record = create({"name": "Alice"})
        with pytest.raises(BadUserInput) as caught:
            change(record, {"name": "Other", name: bad})
        message = f"{name} is read-only and differs from the stored value: leave it out, or read the user again."
        assert caught.value.problems == (Problem(name, message),)

    def test_the_version_that_was_read_is_a_condition(self) -> None:
        """Whoever sends the version back with a change overwrites nobody's change."""
        read = record_to_json(create({"name": "Alice"}))
        newer = change(create({"name": "Alice"}), {"role": "agent"})
        with pytest.raises(BadUserInput) as caught:
            change(newer, {**read, "name": "Other"})
        assert [problem.field for problem in caught.value.problems] == ["updatedAt", "version"]

    def test_a_user_who_is_gone_does_not_come_back_by_it(self) -> None:
        read = record_to_json(create({"name": "Alice"}))
        with pytest.raises(BadUserInput) as caught:
            apply(parse_patch(read, RULES), None, user_id="alice", now=5000, rules=RULES)
        assert [problem.field for problem in caught.value.problems] == ["createdAt", "updatedAt", "version"]
        assert "there is no user " in caught.value.problems[0].message
        new = apply(parse_patch({"id": "alice", "name": "A"}, RULES), None, user_id="alice", now=5000, rules=RULES)
        assert new.snapshot.name == "A"
