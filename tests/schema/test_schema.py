"""The schema as users see it."""

from __future__ import annotations

from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    build_schema,
    is_specified_scalar_type,
)

import userline.schema
from userline.schema.sdl import print_schema

PRIVATE = {"email", "phone", "pushTokens", "createdAt", "updatedAt"}


def test_the_exported_schema_is_the_one_that_is_served() -> None:
    exported = Path(userline.schema.__file__).parent / "schema.graphql"
    assert exported.read_text() == print_schema(), "run `make schema` and look at what changed"


def test_everything_is_described() -> None:
    schema = build_schema(print_schema())
    for name, graphql_type in schema.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(graphql_type):
            continue
        assert graphql_type.description, name
        if isinstance(graphql_type, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in graphql_type.fields.items():
                assert field.description, f"{name}.{field_name}"
                for argument_name, argument in getattr(field, "args", {}).items():
                    assert argument.description, f"{name}.{field_name}({argument_name}:)"
        assert not isinstance(graphql_type, GraphQLEnumType), "values need descriptions too: extend this test"


def test_no_output_has_a_private_field() -> None:
    schema = build_schema(print_schema())
    for name, graphql_type in schema.type_map.items():
        if isinstance(graphql_type, GraphQLObjectType) and not name.startswith("__"):
            assert not PRIVATE & set(graphql_type.fields), name
