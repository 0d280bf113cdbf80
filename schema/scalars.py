"""The custom scalars.

They let any JSON value through: its shape is checked together with the rest of the input (``userline.users``), so that
all that is wrong with an input is reported at once, each with its field.
"""

from collections.abc import Mapping
from typing import Any, NewType

import strawberry
from graphql import GraphQLError, GraphQLID, Undefined, ValueNode
from graphql.utilities import value_from_ast_untyped

from userline.users.kinds import TO_JSON, Kind
from userline.users.validation import kind_of

Custom = NewType("Custom", dict[str, Any])
PushTokens = NewType("PushTokens", dict[str, Any])
RoleSettings = NewType("RoleSettings", dict[str, Any])


def _serialize(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(value)


def parse_any(value: Any) -> Any:
    """Return the value of a scalar that is checked together with the rest of the input."""
    return value


def _parse_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
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


def _refuse(_: Any) -> Any:
    raise GraphQLError("RoleSettings are part of the gateway's configuration; they cannot be an input.")


# graphql-core's own ID takes a float that is whole, such as what JSON's 18446744073709551617 becomes. In literals
# the digits stay text. A schema has the one ID that graphql-core knows, so it is that one which reads exactly.
GraphQLID.coerce_input_value = parse_id
GraphQLID.parse_value = parse_id  # type: ignore[method-assign]


def make_scalars(prefix: str = "") -> dict[object, Any]:
    """Return the custom scalars by what stands for them in Python, with a prefix before their names."""
    return {
        Custom: strawberry.scalar(
            name=f"{prefix}Custom",
            description=(
                "Custom attributes of a user: a map of strings to strings, without nesting. Keys may hold any "
                "character, dots and dollar signs included; keys that are not GraphQL names are given through a "
                "variable. In an input it is a patch: a key's string sets that key, a key's null removes it, keys left "
                "out stay as they are, and null in place of the whole map removes all."
            ),
            serialize=_serialize,
            parse_value=parse_any,
            parse_literal=_parse_literal,
        ),
        PushTokens: strawberry.scalar(
            name=f"{prefix}PushTokens",
            description=(
                "Push tokens of a user: a map of `fcm:TOKEN` or `apns:TOKEN` to true. It is a patch: true registers a "
                "token, null unregisters it, tokens left out stay as they are, and null in place of the whole map "
                "unregisters all. Push tokens are private: they are never part of an output."
            ),
            serialize=TO_JSON[Kind.KEYS],
            parse_value=parse_any,
            parse_literal=_parse_literal,
        ),
        RoleSettings: strawberry.scalar(
            name=f"{prefix}RoleSettings",
            description="The settings of a role: a JSON object, as the gateway's configuration has it.",
            serialize=_serialize,
            parse_value=_refuse,
        ),
    }
