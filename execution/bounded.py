"""graphql-core's executor, which stops when the response would be too large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
from graphql import GraphQLResolveInfoHelpers, OperationType
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from userline.execution.operation import AnswerBudget, AnswerTooLarge

if TYPE_CHECKING:
    from graphql import GraphQLOutputType
    from graphql.execution.collect_fields import FieldDetailsList
    from graphql.pyutils import Path

_OF_A_KEY = len('"":,')
_OF_AN_ERROR = 100
"""What an error takes at least, beside its message."""


class BoundedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Counts the bytes of the response, key by key and value by value, before they are joined.

    What is beyond the room that there is ends the whole execution: AnswerTooLarge is no error of one field.
    """

    budget: AnswerBudget
    counted: int = 0

    @property
    def async_helpers(self) -> GraphQLResolveInfoHelpers:
        """What resolvers may use. Kept, it would refer back to who keeps it, and need a collection to be freed."""
        return GraphQLResolveInfoHelpers(gather=self.gather_async_work, track=self.track_async_work)

    @async_helpers.setter
    def async_helpers(self, helpers: GraphQLResolveInfoHelpers) -> None:
        """Keep nothing."""

    @property
    def writes(self) -> bool:
        """Whether it executes a mutation."""
        return self.operation.operation is OperationType.MUTATION

    def count(self, number: int) -> None:
        """Count bytes that were made. Raises AnswerTooLarge."""
        self.counted += number
        self.budget.charge(number, writes=self.writes)

    def build_per_event_executor(self, payload: Any) -> BoundedExecutor:
        """Return the executor of an event, which has the room of an answer to itself."""
        executor = cast("BoundedExecutor", super().build_per_event_executor(payload))
        executor.budget = AnswerBudget(self.budget.most)
        executor.counted = 0
        return executor

    def execute_field(
        self,
        parent_type: Any,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """Count the key, and execute the field."""
        self.count(_OF_A_KEY + len(str(path.key)))
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def complete_leaf_value(self, return_type: Any, result: Any) -> Any:  # type: ignore[override]
        """Complete the value of a leaf, and count it."""
        value = super().complete_leaf_value(return_type, result)
        if isinstance(value, str | dict | list):
            self.count(len(orjson.dumps(value)))
        return value

    def handle_field_error(
        self, raw_error: Exception, return_type: GraphQLOutputType, field_details_list: FieldDetailsList, path: Path
    ) -> None:
        """Note an error of a field, and count it."""
        if isinstance(raw_error, AnswerTooLarge):
            raise raw_error
        self.count(_OF_AN_ERROR)
        super().handle_field_error(raw_error, return_type, field_details_list, path)
