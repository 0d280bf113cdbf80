"""Keeps responses to introspection queries: they are always the same, and slow to make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, OperationType

from userline.execution.operation import AnswerBudget, AnswerTooLarge
from userline.execution.weighed import WeighedCache, weight_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import FragmentDefinitionNode, OperationDefinitionNode, SelectionSetNode

    from userline.execution.operation import Response

_BYTES: Final = 4_194_304
_FIELDS: Final = frozenset(("__schema", "__type", "__typename"))

Key: TypeAlias = tuple[str, str | None]
"""The text of a document, and the name of the operation in it that is asked for."""


@dataclass(frozen=True, slots=True)
class KnownExecution:
    """A query whose response is known. ``most`` is the limit of its bytes."""

    response: Response
    most: int
    type: OperationType = OperationType.QUERY

    def begin(self, budget: AnswerBudget | None = None) -> Response:
        """Return the answer. Without ``budget`` it has that of one."""
        try:
            (budget or AnswerBudget(self.most)).charge(len(self.response))
        except AnswerTooLarge as refusal:
            return refusal.response
        return self.response


class SchemaAnswers:
    """The last responses, up to 4 MiB. For one schema."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: WeighedCache[Key, Response] = WeighedCache(_BYTES)

    def find(self, key: Key) -> KnownExecution | None:
        """Return the execution of a query whose answer is known."""
        response = self._answers.get(key)
        if response is None:
            return None
        self._answers.touch(key)
        return KnownExecution(response, self._most)

    def keep(self, key: Key, response: Response) -> None:
        """Remember the answer to an operation that ``asks_for_schema_alone``, if nothing went wrong."""
        if response.startswith(b'{"data":{') and b'"errors":[' not in response:
            self._answers.put(key, response, weight_of(response) + weight_of(key))


def asks_for_schema_alone(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> bool:
    """Return whether a validated operation is a query without variables for nothing but the schema."""
    return (
        operation.operation is OperationType.QUERY
        and not operation.variable_definitions
        and all(name in _FIELDS for name in _root_fields(operation.selection_set, fragments, set()))
    )


def _root_fields(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], seen: set[str]
) -> Iterator[str]:
    for node in selections.selections:
        if isinstance(node, FieldNode):
            yield node.name.value
        elif isinstance(node, InlineFragmentNode):
            yield from _root_fields(node.selection_set, fragments, seen)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
            seen.add(node.name.value)
            yield from _root_fields(fragments[node.name.value].selection_set, fragments, seen)
