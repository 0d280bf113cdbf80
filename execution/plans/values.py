"""Values of variables and arguments, read as GraphQL coerces them.

A plan takes what is as it should be. For everything else, ``UNFIT``, the general way finds the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    Undefined,
    VariableNode,
    coerce_input_literal,
)

from userline.execution.bounds import MAX_ENTRIES
from userline.execution.plans.selections import NotSimple
from userline.schema.coercion import parse_any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import GraphQLInputType, GraphQLScalarType, ValueNode


class _Unfit:
    pass


UNFIT: Final = _Unfit()
"""In place of a value that the general way has to look at."""

MISSING: Final = _Unfit()
"""In place of a value that was left out."""

Reader: TypeAlias = "Callable[[Any], Any]"
"""Returns the coerced form of a JSON value, or UNFIT."""

Values: TypeAlias = "Mapping[str, Any]"
"""The coerced values of the variables that were given or have a default."""

Source: TypeAlias = "Callable[[Values], Any]"
"""Returns the value of an argument, MISSING or UNFIT."""


def reader_of(graphql_type: GraphQLInputType) -> Reader:
    """Return what reads JSON values of this type. Raises NotSimple."""
    if isinstance(graphql_type, GraphQLNonNull):
        return _reader_of_nullable(graphql_type.of_type)
    read = _reader_of_nullable(graphql_type)
    return lambda value: None if value is None else read(value)


def _reader_of_nullable(graphql_type: GraphQLInputType) -> Reader:
    """Return what reads values that are not null; UNFIT for null."""
    if isinstance(graphql_type, GraphQLList):
        return _reader_of_list(reader_of(graphql_type.of_type))
    if isinstance(graphql_type, GraphQLInputObjectType):
        return _reader_of_object(graphql_type)
    scalar = cast("GraphQLScalarType", graphql_type)
    if scalar.parse_value is parse_any:
        return _read_any
    try:
        return _SCALARS[scalar.name]
    except KeyError:
        raise NotSimple from None


def _read_id(value: Any) -> Any:
    if type(value) is str:
        return value
    return str(value) if type(value) is int else UNFIT


def _read_string(value: Any) -> Any:
    return value if type(value) is str else UNFIT


def _read_boolean(value: Any) -> Any:
    return value if type(value) is bool else UNFIT


def _read_any(value: Any) -> Any:
    return UNFIT if value is None else value


_SCALARS: Final[dict[str, Reader]] = {
    "ID": _read_id,
    "String": _read_string,
    "Boolean": _read_boolean,
}


_LEAVES_STRINGS: Final = (_read_id, _read_string)
_STRINGS: Final = {str}


def _reader_of_list(read: Reader) -> Reader:
    def read_list(value: Any) -> Any:
        if type(value) is not list:  # one item stands for a list of one
            item = UNFIT if value is None else read(value)
            return UNFIT if item is UNFIT else [item]
        if len(value) > MAX_ENTRIES:
            return UNFIT
        if read in _LEAVES_STRINGS and set(map(type, value)) <= _STRINGS:
            return value
        items = [read(item) for item in value]
        return UNFIT if UNFIT in items else items

    return read_list


def _reader_of_object(graphql_type: GraphQLInputObjectType) -> Reader:
    fields: list[tuple[str, Reader, bool]] = []
    for name, field in graphql_type.fields.items():
        if field.default_value is not Undefined:
            raise NotSimple
        fields.append((name, reader_of(field.type), isinstance(field.type, GraphQLNonNull)))

    def read_object(value: Any) -> Any:
        if type(value) is not dict:
            return UNFIT
        given: dict[str, Any] = {}
        for name, read, required in fields:
            if name in value:
                item = given[name] = read(value[name])
                if item is UNFIT:
                    return UNFIT
            elif required:
                return UNFIT
        return given if len(given) == len(value) else UNFIT  # else there are fields that nobody knows

    return read_object


def source_of(node: ValueNode, graphql_type: GraphQLInputType) -> Source:
    """Return where the value of an argument comes from. Raises NotSimple."""
    if isinstance(node, VariableNode):
        return _source_of_variable(node.name.value, required=isinstance(graphql_type, GraphQLNonNull))
    inner = graphql_type.of_type if isinstance(graphql_type, GraphQLNonNull) else graphql_type
    if isinstance(inner, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
        return _source_of_object(node, inner)
    if isinstance(inner, GraphQLList) and isinstance(node, ListValueNode) and _has_variables(node):
        return _source_of_list([source_of(item, inner.of_type) for item in node.values])
    if _has_variables(node):
        raise NotSimple
    value = None if isinstance(node, NullValueNode) else coerce_input_literal(node, inner)
    if value is Undefined:
        raise NotSimple
    return lambda _: value


def _source_of_variable(name: str, *, required: bool) -> Source:
    if not required:
        return lambda values: values.get(name, MISSING)

    def given(values: Values) -> Any:
        value = values.get(name)
        return UNFIT if value is None else value

    return given


def _source_of_object(node: ObjectValueNode, graphql_type: GraphQLInputObjectType) -> Source:
    given = {field.name.value: field.value for field in node.fields}
    sources = [
        (name, source_of(given[name], field.type)) for name, field in graphql_type.fields.items() if name in given
    ]

    def read(values: Values) -> Any:
        result: dict[str, Any] = {}
        for name, source in sources:
            value = source(values)
            if value is UNFIT:
                return UNFIT
            if value is not MISSING:
                result[name] = value
        return result

    return read


def _source_of_list(sources: list[Source]) -> Source:
    def read(values: Values) -> Any:
        items = [source(values) for source in sources]
        return UNFIT if UNFIT in items or MISSING in items else items

    return read


def _has_variables(node: ValueNode) -> bool:
    match node:
        case VariableNode():
            return True
        case ListValueNode():
            return any(map(_has_variables, node.values))
        case ObjectValueNode():
            return any(_has_variables(field.value) for field in node.fields)
    return False
