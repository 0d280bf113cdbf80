"""The form of the schema that documents are validated with, beside the one that executes them."""

from __future__ import annotations

from itertools import product

import pytest
from graphql import GraphQLError, GraphQLScalarType, Undefined, parse_value, print_schema

from userline.schema.sdl import make_schema
from userline.schema.served import served_schema

VALUES: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "text",
    [],
    [1],
    {},
    {"a": None},
    {"a": {"b": [1, "c"]}},
)
LITERALS = ("null", "true", "7", "1.5", '"text"', "WORD", "[]", '[1, "a"]', "{}", '{a: "b"}', "{a: $given}", "$given")
SCALARS = sorted(name for name, each in served_schema().core.type_map.items() if isinstance(each, GraphQLScalarType))


def outcome(read: object, *given: object) -> object:
    """What reading a value comes to, or what is said about it."""
    assert callable(read)
    try:
        return read(*given)
    except GraphQLError as error:
        return f"refused: {error.message}"


def test_both_forms_are_one_schema() -> None:
    served = served_schema()
    executable = served.make_executable()._schema
    assert set(served.core.type_map) == set(executable.type_map)
    assert {each.name for each in served.core.directives} == {each.name for each in executable.directives}
    assert print_schema(served.core) == make_schema().as_str()


@pytest.mark.parametrize("name", SCALARS)
def test_both_forms_read_values_alike(name: str) -> None:
    served = served_schema()
    forms = (served.core.type_map[name], served.make_executable()._schema.type_map[name])
    for value in VALUES:
        core, executable = (outcome(form.coerce_input_value, value) for form in forms)  # type: ignore[attr-defined]
        assert core == executable, value
    for literal, variables in product(LITERALS, ({}, {"given": "x"}, {"given": Undefined})):
        node = parse_value(literal)
        core, executable = (outcome(form.parse_literal, node, variables) for form in forms)  # type: ignore[attr-defined]
        assert core == executable, literal
