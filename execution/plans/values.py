"""Values of variables and arguments, read as GraphQL coerces them.

A plan takes what is as it should be. For everything else the general way finds the words.
"""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
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
    type_from_ast,
)
from pydantic_core import SchemaValidator
from pydantic_core import core_schema as core

from userline.execution.bounds import MAX_ENTRIES
from userline.execution.plans.selections import NotSimple
from userline.schema.coercion import parse_any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from graphql import GraphQLInputType, GraphQLScalarType, GraphQLSchema, ValueNode, VariableDefinitionNode
    from pydantic_core import CoreSchema

Values: TypeAlias = dict[str, Any]
"""The coerced values of the variables that were given or have a default."""

Reader: TypeAlias = "Callable[[dict[str, Any]], Values]"
"""Coerces the variables of a request. Raises ValidationError."""

MISSING: Final = object()
"""In place of a value that was left out."""

Source: TypeAlias = "Callable[[Values], Any]"
"""Returns the value of an argument, or MISSING."""

_STRING: Final = core.str_schema(strict=True)
_SCALARS: Final[dict[str, CoreSchema]] = {
    "ID": core.union_schema(
        [_STRING, core.no_info_after_validator_function(str, core.int_schema(strict=True))], mode="left_to_right"
    ),
    "String": _STRING,
    "Boolean": core.bool_schema(strict=True),
}
_ANY: Final = core.is_instance_schema((str, bool, int, float, list, dict))


def reader_of(definitions: Iterable[VariableDefinitionNode], schema: GraphQLSchema) -> Reader:
    """Return what reads the variables of an operation. Raises NotSimple.

    null in place of a default is left to the general way, so that where null is not allowed, there is none.
    """
    fields: dict[str, core.TypedDictField] = {}
    for definition in definitions:
        if definition.directives:
            raise NotSimple
        graphql_type = cast("GraphQLInputType", type_from_ast(schema, definition.type))
        if definition.default_value is None:
            field = core.typed_dict_field(_schema_of(graphql_type), required=isinstance(graphql_type, GraphQLNonNull))
        else:
            default = coerce_input_literal(definition.default_value, graphql_type)
            if not isinstance(default, str | bool | list | None):
                raise NotSimple
            with_default = core.with_default_schema(
                _schema_without_null(graphql_type), default_factory=lambda default=default: default
            )
            field = core.typed_dict_field(with_default, required=False)
        fields[definition.variable.name.value] = field
    return SchemaValidator(core.typed_dict_schema(fields)).validate_python


def _schema_of(graphql_type: GraphQLInputType) -> CoreSchema:
    """Return what pydantic-core is to hold JSON values of this type to. Raises NotSimple."""
    not_null = _schema_without_null(graphql_type)
    return not_null if isinstance(graphql_type, GraphQLNonNull) else core.nullable_schema(not_null)


def _schema_without_null(graphql_type: GraphQLInputType) -> CoreSchema:
    if isinstance(graphql_type, GraphQLNonNull):
        graphql_type = graphql_type.of_type
    if isinstance(graphql_type, GraphQLList):
        items = core.list_schema(_schema_of(graphql_type.of_type), max_length=MAX_ENTRIES, fail_fast=True, strict=True)
        item = _schema_without_null(graphql_type.of_type)
        only = core.no_info_after_validator_function(lambda value: [value], item)  # it stands for a list of one
        return core.union_schema([items, only], mode="left_to_right")
    if isinstance(graphql_type, GraphQLInputObjectType):
        return _schema_of_object(graphql_type)
    scalar = cast("GraphQLScalarType", graphql_type)
    if scalar.parse_value is parse_any:
        return _ANY
    try:
        return _SCALARS[scalar.name]
    except KeyError:
        raise NotSimple from None


@lru_cache(maxsize=8)
def _schema_of_object(graphql_type: GraphQLInputObjectType) -> CoreSchema:
    fields: dict[str, core.TypedDictField] = {}
    for name, field in graphql_type.fields.items():
        if field.default_value is not Undefined:
            raise NotSimple
        required = isinstance(field.type, GraphQLNonNull)
        fields[name] = core.typed_dict_field(_schema_of(field.type), required=required)
    return core.typed_dict_schema(fields, extra_behavior="forbid")


def source_of(node: ValueNode, graphql_type: GraphQLInputType) -> Source:
    """Return where the value of an argument comes from. Raises NotSimple."""
    if isinstance(node, VariableNode):
        name = node.name.value
        if isinstance(graphql_type, GraphQLNonNull):
            return itemgetter(name)  # which is required or has a default: validation has seen to that
        return lambda values: values.get(name, MISSING)
    inner = graphql_type.of_type if isinstance(graphql_type, GraphQLNonNull) else graphql_type
    if isinstance(inner, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
        return _source_of_object(node, inner)
    if (
        isinstance(inner, GraphQLList)
        and isinstance(inner.of_type, GraphQLNonNull)
        and isinstance(node, ListValueNode)
        and _has_variables(node)
    ):
        items = [source_of(item, inner.of_type) for item in node.values]
        return lambda values: [item(values) for item in items]
    if _has_variables(node):
        raise NotSimple
    value = None if isinstance(node, NullValueNode) else coerce_input_literal(node, inner)
    if value is Undefined:
        raise NotSimple
    return lambda _: value


def _source_of_object(node: ObjectValueNode, graphql_type: GraphQLInputObjectType) -> Source:
    given = {field.name.value: field.value for field in node.fields}
    sources = [
        (name, source_of(given[name], field.type)) for name, field in graphql_type.fields.items() if name in given
    ]

    def read(values: Values) -> Any:
        found = [(name, source(values)) for name, source in sources]
        return {name: value for name, value in found if value is not MISSING}

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
