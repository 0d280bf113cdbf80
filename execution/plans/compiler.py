"""Compiles simple operations; the general way executes all others.

Simple is: the root fields of the contract (``app`` included), with arguments from variables and literals, and whatever
of a user, a payload or the app is selected below them, aliases, fragments, @include and @skip among it.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from graphql import OperationType, get_named_type

from userline.execution.plans.failures import Place
from userline.execution.plans.mutations import MutationSteps, PayloadField, TypenameStep, WriteStep
from userline.execution.plans.one_user import query_of
from userline.execution.plans.plan import Variants
from userline.execution.plans.projection import Projections
from userline.execution.plans.queries import Constant, UsersStep, UserStep
from userline.execution.plans.selections import NotSimple, collect_fields, find_conditions
from userline.execution.plans.subscriptions import ChangeProjection, WatchManyStep, WatchStep
from userline.execution.plans.values import reader_of, source_of
from userline.resolvers import queries
from userline.resolvers.mutations import RESOLVERS

if TYPE_CHECKING:
    from graphql import (
        GraphQLNamedOutputType,
        GraphQLObjectType,
        GraphQLSchema,
        OperationDefinitionNode,
    )

    from userline.execution.plans.plan import Plan
    from userline.execution.plans.projection import Projection
    from userline.execution.plans.selections import Conditions, Fragments, SelectedField
    from userline.execution.plans.subscriptions import Watching
    from userline.execution.plans.values import Reader, Source
    from userline.resolvers.context import AppInfo

_CONDITIONS: Final = 4
"""More variables than these in @include and @skip have too many combinations to compile."""

_CONSTANT_BYTES: Final = 65_536
"""What is known beforehand is kept with the plan, so that it is not to be large."""

_FLAGS: Final = {
    "setUser": ("created", "changed"),
    "createUserIfNotExists": ("created",),
    "deleteUser": ("deleted",),
}
_ARGUMENTS: Final = {"setUser": ("id", "input"), "createUserIfNotExists": ("id", "input"), "deleteUser": ("id",)}


class Compiler:
    """Compiles operations of one schema, which have passed validation."""

    def __init__(self, schema: GraphQLSchema, app: AppInfo, most_bytes: int) -> None:
        self._schema = schema
        self._most_bytes = most_bytes
        self._projections = Projections(app.default_locale, most_bytes)
        self._app = queries.app(app)

    def compile(self, operation: OperationDefinitionNode, fragments: Fragments) -> Plan | None:
        """Return the plan of an operation, or None if it is not simple."""
        try:
            if operation.directives:
                return None
            conditions = find_conditions(operation.selection_set, fragments)
            if len(conditions) > _CONDITIONS:
                return None
            definitions = operation.variable_definitions or ()
            plan = partial(self._plan, operation, fragments, reader_of(definitions, self._schema))
            if not conditions:
                return plan({})
            decisive = [definition for definition in definitions if definition.variable.name.value in conditions]
            return Variants(conditions, reader_of(decisive, self._schema), plan)
        except NotSimple:
            return None

    def _plan(
        self, operation: OperationDefinitionNode, fragments: Fragments, variables: Reader, conditions: Conditions
    ) -> Plan:
        root = collect_fields([operation.selection_set], fragments, conditions)
        match operation.operation:
            case OperationType.QUERY:
                return query_of(variables, self._query(root, fragments, conditions), self._most_bytes)
            case OperationType.MUTATION:
                steps = [self._write(field, fragments, conditions) for field in root]
                return MutationSteps(variables, steps, self._most_bytes)
            case OperationType.SUBSCRIPTION:
                return self._watch(variables, root, fragments, conditions)

    def _query(
        self, root: list[SelectedField], fragments: Fragments, conditions: Conditions
    ) -> list[Constant | UserStep | UsersStep]:
        steps: list[Constant | UserStep | UsersStep] = []
        for field in root:
            match field.name:
                case "user":
                    projection = self._projections.of(field, fragments, conditions)
                    steps.append(UserStep(field, self._argument("Query", field, "id"), projection))
                case "users":
                    projection = self._projections.of(field, fragments, conditions)
                    steps.append(UsersStep(field, self._argument("Query", field, "ids"), projection))
                case "app":
                    value = _pick(self._app, field, self._type_of("Query", field), fragments, conditions)
                    steps.append(Constant(field, orjson.dumps(value)))
                case "__typename":
                    steps.append(Constant(field, b'"Query"'))
                case _:
                    raise NotSimple
        if sum(len(step.value) for step in steps if isinstance(step, Constant)) > _CONSTANT_BYTES:
            raise NotSimple
        return steps

    def _write(self, field: SelectedField, fragments: Fragments, conditions: Conditions) -> WriteStep | TypenameStep:
        if field.name == "__typename":
            return TypenameStep(field)
        if field.name not in _FLAGS:
            raise NotSimple
        payload = [
            PayloadField(below.key_json, self._payload_value(below, field, fragments, conditions))
            for below in collect_fields(field.selection_sets, fragments, conditions)
        ]
        arguments = [self._argument("Mutation", field, name) for name in _ARGUMENTS[field.name]]
        return WriteStep(field, RESOLVERS[field.name], arguments, payload)

    def _payload_value(
        self, below: SelectedField, field: SelectedField, fragments: Fragments, conditions: Conditions
    ) -> Any:
        if below.name == "user" and field.name != "deleteUser":
            return self._projections.of(below, fragments, conditions)
        if below.name == "__typename":
            return orjson.dumps(f"{field.name[0].upper()}{field.name[1:]}Payload")
        if below.name not in _FLAGS[field.name]:
            raise NotSimple
        return below.name

    def _watch(
        self, variables: Reader, root: list[SelectedField], fragments: Fragments, conditions: Conditions
    ) -> Watching:
        if len(root) != 1:
            raise NotSimple
        field = root[0]
        place = Place.of(field.key, field.nodes)
        match field.name:
            case "userChanged":
                projection = self._projections.of(field, fragments, conditions)
                user_id = self._argument("Subscription", field, "id")
                return WatchStep(field.key_json, place, variables, user_id, projection, self._most_bytes)
            case "usersChanged":
                changes = self._changes(field, fragments, conditions)
                user_ids = self._argument("Subscription", field, "ids")
                return WatchManyStep(field.key_json, place, variables, user_ids, changes, self._most_bytes)
        raise NotSimple

    def _changes(self, field: SelectedField, fragments: Fragments, conditions: Conditions) -> ChangeProjection:
        """Return the projection of a field that is a list of UserChange."""
        fields: list[tuple[bytes, Projection | bytes | None]] = []
        for below in collect_fields(field.selection_sets, fragments, conditions):
            match below.name:
                case "id":
                    fields.append((below.key_json, None))
                case "user":
                    fields.append((below.key_json, self._projections.of(below, fragments, conditions)))
                case "__typename":
                    fields.append((below.key_json, b'"UserChange"'))
                case _:
                    raise NotSimple
        return ChangeProjection(fields)

    def _type_of(self, type_name: str, field: SelectedField) -> GraphQLNamedOutputType:
        """Return the type of a field, without what says that it is a list or not null."""
        parent = cast("GraphQLObjectType", self._schema.type_map[type_name])
        return cast("GraphQLNamedOutputType", get_named_type(parent.fields[field.name].type))

    def _argument(self, type_name: str, field: SelectedField, name: str) -> Source:
        """Return where a required argument comes from."""
        parent = cast("GraphQLObjectType", self._schema.type_map[type_name])
        given = {argument.name.value: argument.value for argument in field.nodes[0].arguments or ()}
        return source_of(given[name], parent.fields[field.name].args[name].type)


def _pick(
    value: Any, field: SelectedField, graphql_type: GraphQLNamedOutputType, fragments: Fragments, conditions: Conditions
) -> Any:
    """Return what is selected of a value that is known beforehand: a dataclass with the names of its type's fields."""
    if not field.selection_sets:
        return value
    if isinstance(value, list):
        return [_pick(item, field, graphql_type, fragments, conditions) for item in value]
    of_fields = cast("GraphQLObjectType", graphql_type).fields
    known = {"__typename": graphql_type.name}
    known |= {_in_graphql(each.name): getattr(value, each.name) for each in fields(value)}
    selected = collect_fields(field.selection_sets, fragments, conditions)
    picked = {}
    for below in selected:
        if below.name not in known:
            raise NotSimple
        below_type = get_named_type(of_fields[below.name].type) if below.name in of_fields else graphql_type
        picked[below.key] = _pick(known[below.name], below, below_type, fragments, conditions)
    return picked


def _in_graphql(name: str) -> str:
    """Return the name that an attribute has in the schema."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
