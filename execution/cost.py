"""The cost of an operation, counted before it is validated.

One walk over the document: each fragment is counted once, however often it is spread, so that the walk is linear in the
size of the document, whatever the document expands to. The numbers are those of the expanded operation: a fragment that
is spread twice counts twice. How many ids a list of them has is counted, too, where the document says it; where a
variable does, ``CostWithIds.refusal`` tells for each request. What is asked of the schema itself (``__schema`` and
``__type``) is deep and wide by its nature; it is counted apart and has limits of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    ListValueNode,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
)

from userline.users.rules import MAX_IDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import DocumentNode, SelectionSetNode, ValueNode

_INTROSPECTION: Final = ("__schema", "__type")

_WEIGHTS: Final = {
    "user": 5,
    "users": 100,
    "createUserIfNotExists": 10,
    "setUser": 10,
    "deleteUser": 10,
    "userChanged": 10,
    "usersChanged": 100,
    "_entities": 100,
    "userOnlineChanged": 10,
}
"""What a field of a root costs; every other field costs 1. With many ids it is more: see ``_cost_of_ids``."""

_LISTS: Final = {"users": "ids", "usersChanged": "ids", "_entities": "representations"}
"""The fields of a root that take many ids, with the argument that has them."""

_IDS_FOR_1: Final = 4
"""So many ids cost 1, where that is more than the weight of the field."""

_LENGTHS: Final = {
    "types": 30.0,
    "fields": 4.0,
    "directives": 5.0,
    "ofType": 0.5,
}
"""How many elements there are on average, where it is not about one. What is selected of them counts that often."""


@dataclass(frozen=True, slots=True)
class OperationLimits:
    """How large one operation may be."""

    depth: int = 10
    aliases: int = 30
    directives: int = 50
    root_fields: int = 50
    cost: int = 1000
    introspection_depth: int = 20
    introspection_cost: int = 8000


class Size(NamedTuple):
    """How large a selection is with all its fragments."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    root_fields: int = 0
    cost: int = 0
    introspection_depth: int = 0
    introspection_cost: float = 0.0
    lists: Mapping[str, int] = {}
    """How many lists of ids each variable gives, whose length is known only with a request."""


class CostWithIds(NamedTuple):
    """The cost of an operation whose lists of ids are in variables, so that it depends on the request."""

    cost: int
    """What it costs without many ids."""
    lists: Mapping[str, int]
    defaults: Mapping[str, int]
    """How many ids there are in the default of a variable."""

    def refusal(self, variables: Mapping[str, Any], most: int) -> str | None:
        """Return the sentence that says so if it costs too much with these variables."""
        cost = self.cost
        for name, lists in self.lists.items():
            value = variables.get(name, Undefined)
            given = len(value) if isinstance(value, list) else 1
            ids = self.defaults.get(name, 0) if value is Undefined else given
            cost += lists * _cost_of_ids(min(ids, MAX_IDS))  # a longer list is refused for its length
        return _too_much("costs", "", cost, most) if cost > most else None


Refusals: TypeAlias = "dict[str | None, str]"
"""For each operation past a limit, by name, the sentence that names the limit."""

_NOTHING = Size()


def find_refusals(
    document: DocumentNode, limits: OperationLimits
) -> tuple[Refusals, dict[str | None, CostWithIds], int]:
    """Return the operations that are past a limit, those that may be with many ids, and how many there are in all."""
    definitions = document.definitions
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
    operations = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
    walk = _Walk(fragments)
    refusals: Refusals = {}
    counted: dict[str | None, CostWithIds] = {}
    for operation in operations:
        size = walk.measure(operation)
        name = operation.name.value if operation.name else None
        refusal = _refusal(size, limits)
        if refusal is not None:
            refusals[name] = refusal
        elif size.cost + sum(size.lists.values()) * _cost_of_ids(MAX_IDS) > limits.cost:
            counted[name] = CostWithIds(size.cost, size.lists, _ids_in_defaults(operation))
    return refusals, counted, len(operations)


def _cost_of_ids(number: int) -> int:
    """Return what so many ids cost beside the weight of their field."""
    return max(0, number // _IDS_FOR_1 - _WEIGHTS["users"])


def _ids_in_defaults(operation: OperationDefinitionNode) -> dict[str, int]:
    return {
        definition.variable.name.value: _length(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }


def _length(value: ValueNode) -> int:
    return len(value.values) if isinstance(value, ListValueNode) else 1


def _refusal(size: Size, limits: OperationLimits) -> str | None:
    for what, unit, number, most in (
        ("is", " levels deep", size.depth, limits.depth),
        ("has", " aliases", size.aliases, limits.aliases),
        ("has", " directives", size.directives, limits.directives),
        ("has", " root fields", size.root_fields, limits.root_fields),
        ("costs", "", size.cost, limits.cost),
        ("asks for the schema", " levels deep", size.introspection_depth, limits.introspection_depth),
        ("asks for the schema at a cost of", "", int(size.introspection_cost), limits.introspection_cost),
    ):
        if number > most:
            return _too_much(what, unit, number, most)
    return None


def _too_much(what: str, unit: str, number: int, most: int) -> str:
    return f"The operation {what} {_shown(number)}{unit}; the limit is {most}."


def _shown(number: int) -> str:
    """Return a number that may have been doubled by each of many fragments."""
    return str(number) if number < 1_000_000_000 else "more than 1000000000"


@dataclass(slots=True)
class _Walk:
    fragments: dict[str, FragmentDefinitionNode]
    sizes: dict[tuple[str, bool, bool], Size] = field(default_factory=dict)

    def measure(self, operation: OperationDefinitionNode) -> Size:
        size = self._selections(operation.selection_set, root=True, introspection=False)
        directives = len(operation.directives or ()) + sum(
            len(definition.directives or ()) for definition in operation.variable_definitions or ()
        )
        return size._replace(directives=size.directives + directives)

    def _selections(self, selection_set: SelectionSetNode, *, root: bool, introspection: bool) -> Size:
        depth = aliases = directives = root_fields = cost = introspection_depth = 0
        introspection_cost = 0.0
        lists: dict[str, int] = {}
        for node in selection_set.selections:
            directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                part = self._field(node, root=root, introspection=introspection)
            elif isinstance(node, FragmentSpreadNode):
                part = self._fragment(node.name.value, root=root, introspection=introspection)
            else:  # an inline fragment
                part = self._selections(node.selection_set, root=root, introspection=introspection)  # type: ignore[attr-defined]
            depth = max(depth, part.depth)
            aliases += part.aliases
            directives += part.directives
            root_fields += part.root_fields
            cost += part.cost
            introspection_depth = max(introspection_depth, part.introspection_depth)
            introspection_cost += part.introspection_cost
            for name, number in part.lists.items():
                lists[name] = lists.get(name, 0) + number
        return Size(depth, aliases, directives, root_fields, cost, introspection_depth, introspection_cost, lists)

    def _field(self, node: FieldNode, *, root: bool, introspection: bool) -> Size:
        name = node.name.value
        inside = introspection or name in _INTROSPECTION
        below = _NOTHING
        if node.selection_set is not None:
            below = self._selections(node.selection_set, root=False, introspection=inside)
        aliases = below.aliases + (node.alias is not None)
        if inside:
            cost = 1.0 + _LENGTHS.get(name, 1.0) * below.introspection_cost
            return Size(0, aliases, below.directives, int(root), 0, 1 + below.introspection_depth, cost)
        cost = below.cost + (_WEIGHTS.get(name, 1) if root else 1)
        lists: dict[str, int] = {}
        if root and name in _LISTS:
            for argument in node.arguments or ():
                if argument.name.value != _LISTS[name]:
                    continue
                if isinstance(argument.value, VariableNode):
                    lists[argument.value.name.value] = 1
                else:
                    cost += _cost_of_ids(_length(argument.value))
        return Size(
            1 + below.depth,
            aliases,
            below.directives,
            int(root),
            cost,
            below.introspection_depth,
            below.introspection_cost,
            lists,
        )

    def _fragment(self, name: str, *, root: bool, introspection: bool) -> Size:
        key = (name, root, introspection)
        size = self.sizes.get(key)
        if size is None:
            self.sizes[key] = _NOTHING  # stays while the fragment is being counted: a cycle adds nothing to it
            fragment = self.fragments.get(name)
            if fragment is None:
                return _NOTHING
            size = self._selections(fragment.selection_set, root=root, introspection=introspection)
            self.sizes[key] = size = size._replace(directives=size.directives + len(fragment.directives or ()))
        return size
