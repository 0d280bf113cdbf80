"""The schema that a gateway serves, in two forms of one text.

``core`` is made of ``schema.graphql`` by graphql-core alone: documents are validated and plans compiled with it, which
is all that most operations need. ``executable`` is Strawberry's, with resolvers, for what graphql-core executes:
Strawberry takes longer to load than the rest of the gateway, and so it is made when it is first asked for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from graphql import GraphQLScalarType, build_ast_schema, is_specified_scalar_type, parse

from userline.schema.coercion import parse_any, parse_any_literal, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    import strawberry
    from graphql import GraphQLSchema

EXPORTED: Final = Path(__file__).with_name("schema.graphql")
"""What ``make schema`` exports: a test holds it equal to Strawberry's schema."""


_READERS: Final = {"Custom": parse_any, "PushTokens": parse_any, "RoleSettings": refuse}
"""What reads a value of a custom scalar, as in ``scalars.py``."""


class ServedSchema(NamedTuple):
    """A schema for validation, and a function that makes its executable form."""

    core: GraphQLSchema
    make_executable: Callable[[], strawberry.Schema]


def served_schema() -> ServedSchema:
    """Return the schema, of which Strawberry's part is still to be made."""
    return ServedSchema(_read_exported(), _make_schema)


def served_subgraph(prefix: str = "") -> ServedSchema:
    """Return the schema of a subgraph, all of it made: what it is called with is a setting."""
    from userline.schema.federation import make_subgraph  # noqa: PLC0415 - few gateways are subgraphs

    schema = make_subgraph(prefix)
    return ServedSchema(schema._schema, lambda: schema)  # noqa: SLF001 - Strawberry has no public name for it


def _make_schema() -> strawberry.Schema:
    from userline.schema.sdl import make_schema  # noqa: PLC0415 - Strawberry comes with it

    return make_schema()


@cache
def _read_exported() -> GraphQLSchema:
    ast = parse(EXPORTED.read_text(encoding="utf-8"), no_location=True)
    schema = build_ast_schema(ast, assume_valid=True, assume_valid_sdl=True)
    for name, graphql_type in schema.type_map.items():
        if isinstance(graphql_type, GraphQLScalarType) and not is_specified_scalar_type(graphql_type):
            graphql_type.parse_value = graphql_type.coerce_input_value = _READERS[name]  # type: ignore[method-assign,assignment]
            if _READERS[name] is parse_any:
                graphql_type.parse_literal = parse_any_literal  # type: ignore[method-assign]
    return schema
