"""Reads and writes the values of the scalars, for every form of the schema.

The custom scalars let any JSON value through: its shape is checked together with the rest of the input
(``userline.users``), so that all that is wrong with an input is reported at once, each with its field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, GraphQLID, Undefined
from graphql.utilities import value_from_ast_untyped

from userline.users.validation import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import ValueNode


def write_map(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a map as JSON has it."""
    return dict(value)


def parse_any(value: Any) -> Any:
    """Return the value of a scalar that is checked together with the rest of the input."""
    return value


def parse_any_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    """Return the value that a literal of such a scalar stands for."""
    value = value_from_ast_untyped(node, variables)
    if isinstance(value, dict):
        # A variable inside a literal that was not given stands for a key that was left out.
        return {key: item for key, item in value.items() if item is not Undefined}
    return value


def parse_id(value: Any) -> str:
    """Return an id that is given by a variable, exactly as it was written. Raises GraphQLError."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if isinstance(value, float):
        # JSON's numbers are whole only within 64 bits; what is beyond has lost digits, and so may have any other.
        raise GraphQLError(
            "ID cannot represent a number with a fraction or an exponent, -0, or one beyond 64 bits, because it would "
            "not be taken exactly as it was written: send it as a string."
        )
    raise GraphQLError(f"ID cannot represent {kind_of(value)}: it is a string or a whole number.")


def refuse(_: Any) -> Any:
    """Refuse the value of a scalar that is part of outputs alone."""
    raise GraphQLError("RoleSettings are part of the gateway's configuration; they cannot be an input.")


# graphql-core's own ID takes a float that is whole, such as what JSON's 18446744073709551617 becomes. In literals
# the digits stay text. A schema has the one ID that graphql-core knows, so it is that one which reads exactly.
GraphQLID.coerce_input_value = parse_id
GraphQLID.parse_value = parse_id  # type: ignore[method-assign]
