"""Limits of the size of a variable, checked before it is coerced.

graphql-core coerces every entry of a list and every field of an object, and makes an error of each that is wrong,
before anybody could say that there are too many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    get_nullable_type,
    type_from_ast,
)

from userline.execution.errors import format_request_error
from userline.users.errors import ErrorCode
from userline.users.rules import MAX_IDS

if TYPE_CHECKING:
    from graphql import GraphQLInputType, GraphQLSchema, OperationDefinitionNode

    from userline.execution.errors import FormattedError

MAX_ENTRIES: Final = MAX_IDS
"""How many entries a list may have: no argument and no field takes more."""

_LONGEST_NAME: Final = 100


def find_excess(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: dict[str, Any]
) -> list[FormattedError]:
    """Return an error for each variable that has too much in it."""
    errors = []
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        if name not in given:
            continue
        excess = _excess(given[name], cast("GraphQLInputType", type_from_ast(schema, definition.type)), "")
        if excess is not None:
            place, field, complaint = excess
            message = f"Variable '${name}' has a bad value{place and ' at ' + place}: {complaint}"
            errors.append(
                format_request_error(GraphQLError(message, definition), ErrorCode.BAD_USER_INPUT, field or name)
            )
    return errors


def _excess(value: Any, graphql_type: GraphQLInputType, place: str) -> tuple[str, str | None, str] | None:
    """Return where there is too much, the field that this is, and what to say of it."""
    nullable = get_nullable_type(graphql_type)
    if isinstance(nullable, GraphQLList):
        if isinstance(value, list) and len(value) > MAX_ENTRIES:
            return place, None, f"it must have at most {MAX_ENTRIES} entries, not {len(value)}."
        if isinstance(value, list) and isinstance(
            get_nullable_type(nullable.of_type), GraphQLList | GraphQLInputObjectType
        ):
            found = (_excess(item, nullable.of_type, f"{place}[{number}]") for number, item in enumerate(value))
            return next((excess for excess in found if excess is not None), None)
    elif isinstance(nullable, GraphQLInputObjectType) and isinstance(value, dict):
        known = len(nullable.fields)
        if len(value) > 2 * known:
            return place, None, f"{nullable.name} has {known} fields, not {len(value)}."
        for name, item in value.items():
            field = nullable.fields.get(name)
            if field is None and len(name) > _LONGEST_NAME:
                return place, None, f"{nullable.name} has no field with a name of {len(name)} characters."
            excess = None if field is None else _excess(item, field.type, f"{place}.{name}")
            if excess is not None:
                return excess[0], excess[1] or name, excess[2]
    return None
