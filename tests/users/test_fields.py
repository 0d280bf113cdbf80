"""The table of fields: it is the contract's, and the snapshot and the record have an attribute for each row."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from tests.support.trees import ROOT
from tests.users.samples import FULL, RULES
from userline.storage.sqlite.rows import column_of
from userline.users import record as record_module
from userline.users.errors import BadUserInput
from userline.users.fields import FIELDS, GIVEN, Audience, Field
from userline.users.kinds import TO_JSON, Kind
from userline.users.patch import parse_patch
from userline.users.record import UserRecord, UserSnapshot
from userline.users.rules import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

CONTRACT = {
    "id": Audience.EVERYBODY,
    "name": Audience.EVERYBODY,
    "custom": Audience.EVERYBODY,
    "locale": Audience.EVERYBODY,
    "photoUrl": Audience.EVERYBODY,
    "role": Audience.EVERYBODY,
    "welcomeMessage": Audience.EVERYBODY,
    "email": Audience.SERVERS,
    "phone": Audience.SERVERS,
    "pushTokens": Audience.SERVERS,
    "createdAt": Audience.SERVERS,
    "updatedAt": Audience.SERVERS,
    "version": Audience.EVERYBODY,
}

TYPES = {
    Kind.ID: "str",
    Kind.LIST: "tuple[str, ...]",
    Kind.MAP: "Mapping[str, str]",
    Kind.KEYS: "frozenset[str]",
    Kind.TIME: "int",
    Kind.VERSION: "int",
}


def test_the_fields_are_those_of_the_contract() -> None:
    seen_by = {field.name: field.seen_by for field in FIELDS if field.name in CONTRACT}
    assert seen_by == CONTRACT
    assert list(seen_by) == list(CONTRACT)


@pytest.mark.parametrize(("holder", "is_snapshot"), [(UserSnapshot, True), (UserRecord, False)])
def test_the_snapshot_and_the_record_have_an_attribute_for_each_row(holder: Any, is_snapshot: bool) -> None:
    there = {field.name: field.type for field in fields(holder) if field.name not in {"encodings", "snapshot"}}
    assert there == {
        field.attribute: TYPES.get(field.kind, "str | None" if field.is_nullable else "str")
        for field in FIELDS
        if field.is_of_snapshot is is_snapshot
    }
    assert get_type_hints(holder, vars(record_module) | {"Mapping": dict})


@pytest.mark.parametrize("field", FIELDS, ids=[field.name for field in FIELDS])
def test_a_row_says_what_is_needed_of_it(field: Field) -> None:
    assert field.output.endswith(".")
    assert field.is_given is bool(field.input)
    assert not field.input or field.input.endswith(".")
    assert field.limit is None or hasattr(Limits(), field.limit)
    assert field.attribute.isidentifier()


@pytest.mark.parametrize("field", GIVEN, ids=[field.name for field in GIVEN])
def test_a_default_is_what_the_check_allows(field: Field) -> None:
    if not field.is_required and field.default is not None:
        value = TO_JSON.get(field.kind, str)(field.default)
        assert field.check(value, RULES) is not None


@pytest.mark.parametrize("field", GIVEN, ids=[field.name for field in GIVEN])
@pytest.mark.parametrize("bad", [1, True, 1.5, [1], {"a": 1}, "\ud800", ["\ud800"], {"\ud800": "a"}, {"\ud800": True}])
def test_a_value_of_another_type_is_refused_and_named(field: Field, bad: object) -> None:
    with pytest.raises(BadUserInput) as caught:
        parse_patch({field.name: bad}, RULES)
    assert [problem.field for problem in caught.value.problems] == [field.name]


@pytest.mark.parametrize("field", [field for field in GIVEN if field.most_characters], ids=lambda field: field.name)
def test_a_text_that_is_too_long_is_refused_with_the_number_that_the_row_has(field: Field) -> None:
    assert field.most_characters is not None
    text = "x" * (field.most_characters + 1)
    bad = [text] if field.kind is Kind.LIST else text
    with pytest.raises(BadUserInput, match=f"at most {field.most_characters} characters long"):
        parse_patch({field.name: bad}, RULES)


@pytest.mark.parametrize("field", GIVEN, ids=lambda field: field.name)
def test_a_value_may_be_as_full_as_the_examples(field: Field) -> None:
    assert parse_patch({field.name: FULL[field.name]}, RULES).given.keys() == {field.attribute}


def _is_settable(field: Field) -> bool:
    return field.is_given and field.name != "name"


PYTHON = "clients/python/src/userline_client"
TYPESCRIPT = "clients/typescript/src"
BY_HAND: list[tuple[str, Callable[[Field], bool], Callable[[Field], str]]] = [
    ("docs/api.md", lambda field: field.kind is not Kind.TIME, lambda field: f"\n| `{field.name}` | "),
    (f"{PYTHON}/fields.py", _is_settable, lambda field: f"\n    {field.attribute}: "),
    (f"{PYTHON}/snapshot.py", lambda field: field.is_public, lambda field: f"\n    {field.attribute}: "),
    (f"{TYPESCRIPT}/types.ts", _is_settable, lambda field: f"\n  {field.name}?: "),
    (f"{TYPESCRIPT}/types.ts", lambda field: field.is_public, lambda field: f"\n  readonly {field.name}: "),
    (f"{TYPESCRIPT}/snapshot.ts", lambda field: field.is_public, lambda field: f"\n  '{field.name}',\n"),
]
"""What has a line for some fields and is not made from the table: the file, which fields, how the line begins."""


@pytest.mark.parametrize("field", FIELDS, ids=[field.name for field in FIELDS])
def test_what_is_written_by_hand_has_each_field(field: Field) -> None:
    missing = [
        f"{name} has no line {line(field).strip()!r}"
        for name, has_line, line in BY_HAND
        if has_line(field) and line(field) not in (ROOT / name).read_text()
    ]
    assert not missing, f"{missing}. Add what docs/contributing.md says under 'Adding a field to users'."


@pytest.mark.parametrize("field", FIELDS, ids=[field.name for field in FIELDS])
def test_a_field_has_a_column(field: Field) -> None:
    assert column_of(field).endswith(f".{field.attribute}")


def test_a_field_without_a_column_is_told_with_what_to_do() -> None:
    forgotten = Field(name="shoeSize", attribute="shoe_size", kind=Kind.TEXT, output="X.", input="X.")
    with pytest.raises(LookupError, match=r"^The field shoeSize has no column\. Add 'shoe_size' .* to ADDED_COLUMNS"):
        column_of(forgotten)


KINDS: dict[Kind, tuple[list[tuple[object, object]], list[object]]] = {
    Kind.TEXT: ([("ab", "ab"), ("", "")], ["abc", 1]),
    Kind.LIST: ([(["ab"], ("ab",)), ("ab", ("ab",)), ([], ())], [["abc"], ["a"] * 101, [None], {}]),
    Kind.MAP: ([({"a": "b", "c": None}, {"a": "b", "c": None})], ["a", [], {"a": 1}]),
    Kind.KEYS: ([({"a": True, "b": None}, {"a": True, "b": None})], ["a", ["a"], {"a": False}, {"a": "b"}]),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_row_without_a_check_of_its_own_is_held_to_its_kind(kind: Kind) -> None:
    field = Field(name="x", attribute="x", kind=kind, output="X.", input="X.", most_characters=2)
    good, bad = KINDS[kind]
    for given, checked in good:
        assert field.check(given, RULES) == checked
    for value in bad:
        with pytest.raises(ValueError, match="must"):
            field.check(value, RULES)


def test_a_text_that_may_not_be_blank_is_not() -> None:
    field = Field(name="x", attribute="x", kind=Kind.TEXT, output="X.", input="X.", is_blank_allowed=False)
    with pytest.raises(ValueError, match="at least one visible character"):
        field.check(" \t", RULES)
