"""Users as JSON values, there and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import new_users, patches, user_ids
from tests.users.samples import DEFAULTS, FIELDS, FULL
from userline.users.codec import encoded_size, is_whole_snapshot, record_to_json, snapshot_from_json, snapshot_to_json
from userline.users.fields import LOOKS
from userline.users.patch import UserPatch, apply, parse_new_user
from userline.users.rules import Rules

if TYPE_CHECKING:
    from userline.users.record import UserRecord

RULES = Rules()


def make(new: dict[str, object]) -> UserRecord:
    return apply(parse_new_user(new, RULES), None, user_id="alice", now=5, rules=RULES)


def test_a_new_user_has_the_defaults_of_the_contract() -> None:
    record = make({"name": "Alice"})
    times = {"createdAt": 5, "updatedAt": 5, "version": "5"}
    assert record_to_json(record) == {"id": "alice", "name": "Alice", **DEFAULTS, **times}


def test_a_full_user_has_the_names_of_the_contract() -> None:
    assert record_to_json(make(FULL)) == {"id": "alice", **FULL, "createdAt": 5, "updatedAt": 5, "version": "5"}
    assert list(record_to_json(make(FULL))) == ["id", *FIELDS, "createdAt", "updatedAt", "version"]


def test_the_public_half_has_nothing_private() -> None:
    public = snapshot_to_json(make(FULL).snapshot)
    assert set(public) == {"id", *(field.name for field in LOOKS)}
    assert not public.keys() & {"email", "phone", "pushTokens", "createdAt", "updatedAt", "version"}


@given(user_ids, new_users, patches)
def test_a_snapshot_comes_back_as_it_was(user_id: str, new: UserPatch, patch: UserPatch) -> None:
    record = apply(new, None, user_id=user_id, now=1, rules=RULES)
    snapshot = apply(patch, record, user_id=user_id, now=2, rules=RULES).snapshot
    text = orjson.dumps(snapshot_to_json(snapshot))
    assert snapshot_from_json(orjson.loads(text), snapshot.version) == snapshot
    assert json.loads(text) == orjson.loads(text)


def test_what_comes_back_is_read_only() -> None:
    snapshot = snapshot_from_json(snapshot_to_json(make({"name": "Alice", "custom": {"a": "b"}}).snapshot), 7)
    assert snapshot.version == 7
    with pytest.raises(TypeError):
        snapshot.custom["a"] = "c"  # type: ignore[index]


@pytest.mark.parametrize("name", ["id", "name"])
def test_a_snapshot_lacks_nothing_that_is_required(name: str) -> None:
    value = snapshot_to_json(make({"name": "Alice"}).snapshot)
    del value[name]
    with pytest.raises(KeyError, match=name):
        snapshot_from_json(value, 1)


@given(user_ids, new_users, st.sets(st.sampled_from([field.name for field in LOOKS if not field.is_required])))
def test_what_a_snapshot_lacks_has_its_default(user_id: str, new: UserPatch, missing: set[str]) -> None:
    snapshot = apply(new, None, user_id=user_id, now=1, rules=RULES).snapshot
    value = snapshot_to_json(snapshot)
    for name in missing:
        del value[name]
    defaults = {field.attribute: field.default for field in LOOKS if field.name in missing}
    assert snapshot_from_json(value, 1) == replace(snapshot, **defaults)
    assert is_whole_snapshot(value) is not bool(missing)


def test_what_a_snapshot_has_that_is_not_known_is_passed_over() -> None:
    snapshot = make({"name": "Alice"}).snapshot
    value = snapshot_to_json(snapshot) | {"mood": {"deep": [1, None]}, "": 1}
    assert snapshot_from_json(value, snapshot.version) == snapshot
    assert is_whole_snapshot(value)


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("id", 1, "id is not a string"),
        ("name", None, "name is not a string"),
        ("role", ["default"], "role is not a string"),
        ("locale", 1, "locale is neither a string nor null"),
        ("photoUrl", {}, "photoUrl is neither a string nor null"),
        ("welcomeMessage", False, "welcomeMessage is neither a string nor null"),
        ("custom", None, "custom is not a map of strings"),
        ("custom", [["a", "b"]], "custom is not a map of strings"),
        ("custom", {"a": None}, "custom is not a map of strings"),
        ("custom", {"a": 1}, "custom is not a map of strings"),
    ],
)
def test_a_snapshot_has_no_field_of_another_type(name: str, bad: Any, message: str) -> None:
    value = snapshot_to_json(make({"name": "Alice"}).snapshot)
    with pytest.raises(TypeError, match=message):
        snapshot_from_json({**value, name: bad}, 1)


def test_the_size_is_counted_in_bytes_of_utf8() -> None:
    small, large = make({"name": "Alice"}), make({"name": "Alice", "welcomeMessage": "é👩"})
    counted = {name: value for name, value in record_to_json(small).items() if name != "version"}
    assert encoded_size(small) == len(json.dumps(counted, separators=(",", ":")))
    assert encoded_size(large) - encoded_size(small) == len('"é👩"'.encode()) - len("null")
