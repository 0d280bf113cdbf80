"""Selections in their final form: fields in order, fragments spread, equal keys merged, conditions applied.

Source: https://spec.graphql.org/September2025/#CollectFields()
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import orjson
from graphql import BooleanValueNode, FieldNode, FragmentSpreadNode, InlineFragmentNode, VariableNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graphql import DirectiveNode, FragmentDefinitionNode, SelectionSetNode

Fragments: TypeAlias = "Mapping[str, FragmentDefinitionNode]"
Conditions: TypeAlias = "Mapping[str, bool]"
"""The values of the variables that decide, by @include and @skip, what is selected."""


class NotSimple(Exception):
    """The operation is not simple enough for a plan; the general way executes it."""


@dataclass(slots=True)
class SelectedField:
    """A field of a selection: its key in the response, its name, and every place where it is selected."""

    key: str
    name: str
    nodes: list[FieldNode] = field(default_factory=list)

    @property
    def key_json(self) -> bytes:
        """How the field begins in a JSON object."""
        return orjson.dumps(self.key) + b":"

    @property
    def selection_sets(self) -> list[SelectionSetNode]:
        """What is selected below it."""
        return [node.selection_set for node in self.nodes if node.selection_set is not None]


def collect_fields(
    selection_sets: Iterable[SelectionSetNode], fragments: Fragments, conditions: Conditions
) -> list[SelectedField]:
    """Return the fields that are selected. Every type is an object type, so that fragments always apply."""
    fields: dict[str, SelectedField] = {}
    spread: set[str] = set()

    def walk(selection_set: SelectionSetNode) -> None:
        for node in selection_set.selections:
            if not _is_selected(node.directives or (), conditions):
                continue
            match node:
                case FieldNode():
                    key = (node.alias or node.name).value
                    fields.setdefault(key, SelectedField(key, node.name.value)).nodes.append(node)
                case InlineFragmentNode():
                    walk(node.selection_set)
                case FragmentSpreadNode():
                    if node.name.value not in spread:
                        spread.add(node.name.value)
                        walk(fragments[node.name.value].selection_set)
                case _:
                    raise NotSimple

    for selection_set in selection_sets:
        walk(selection_set)
    return list(fields.values())


def find_conditions(selection_set: SelectionSetNode, fragments: Fragments) -> tuple[str, ...]:
    """Return the names of the variables that decide what is selected."""
    names: dict[str, None] = {}
    seen: set[str] = set()

    def walk(selection_set: SelectionSetNode) -> None:
        for node in selection_set.selections:
            for directive in node.directives or ():
                value = _condition(directive)
                if isinstance(value, VariableNode):
                    names[value.name.value] = None
            if isinstance(node, FragmentSpreadNode):
                if node.name.value not in seen:
                    seen.add(node.name.value)
                    walk(fragments[node.name.value].selection_set)
            elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None:
                walk(node.selection_set)

    walk(selection_set)
    return tuple(names)


def _is_selected(directives: Iterable[DirectiveNode], conditions: Conditions) -> bool:
    for directive in directives:
        value = _condition(directive)
        if isinstance(value, VariableNode):
            given = conditions[value.name.value]
        elif isinstance(value, BooleanValueNode):
            given = value.value
        else:
            raise NotSimple
        if given is (directive.name.value == "skip"):
            return False
    return True


def _condition(directive: DirectiveNode) -> object:
    """Return the value of the one argument of @include or @skip."""
    if directive.name.value not in ("include", "skip") or not directive.arguments:
        raise NotSimple
    return directive.arguments[0].value
