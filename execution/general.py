"""The general way to run an operation: Strawberry's resolvers on graphql-core. It can run every operation."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    OperationType,
    Undefined,
    is_non_null_type,
    type_from_ast,
    validate_input_value,
)
from graphql.execution import execute_root_selection_set

from userline.execution.bounded import BoundedExecutor
from userline.execution.bounds import find_excess
from userline.execution.errors import format_field_errors, format_refusal, format_request_error, mask
from userline.execution.general_subscription import GeneralSubscription
from userline.execution.operation import (
    AnswerBudget,
    AnswerTooLarge,
    VariablesRefused,
    respond,
)
from userline.execution.pending import Executing
from userline.users.errors import BadUserInput, ErrorCode, Problem
from userline.users.validation import kind_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import strawberry
    from graphql import DocumentNode, GraphQLInputType, GraphQLSchema, OperationDefinitionNode

    from userline.execution.errors import FormattedError
    from userline.execution.operation import Response
    from userline.execution.pending import Pending, TimeLimit
    from userline.execution.request import GraphQLRequest
    from userline.resolvers.context import Context

_FIELD_IN_COMPLAINT = re.compile(r"(?:required|unknown) field '(\w+)'")
_WHAT_WAS_FOUND = re.compile(r",? found: .*", re.DOTALL | re.IGNORECASE)
_WHAT_IS_NOT = re.compile(r"( cannot represent [\w -]*value): .*", re.DOTALL)

_MAX_VARIABLE_ERRORS = 20
_TOO_DEEP = BadUserInput([Problem("variables", "variables are nested too deeply.")])


class _EnoughErrors(Exception):
    """There are enough errors; the rest is not collected."""


@dataclass(frozen=True, slots=True)
class GeneralExecution:
    """A query or mutation that graphql-core executes."""

    type: OperationType
    executor: BoundedExecutor
    context: Context
    limit: TimeLimit
    on_response: Callable[[Response], None] | None = None
    """Called with the answer, if it was made."""

    def begin(self, budget: AnswerBudget | None = None) -> Response | Pending:
        """Execute it: at once where nothing has to be waited for. What goes wrong is in the response.

        Without ``budget`` it has that of one answer.
        """
        if budget is not None:
            self.executor.budget = budget
        try:
            result = execute_root_selection_set(self.executor)
        except Exception as error:  # noqa: BLE001 - nothing may reach the transport
            return self._failed(error)
        if not inspect.isawaitable(result):
            return self._respond(result)
        return Executing(self._finish(result), self.limit)

    async def _finish(self, executing: Awaitable[ExecutionResult]) -> Response:
        try:
            return self._respond(await executing)
        except Exception as error:  # noqa: BLE001 - nothing may reach the transport
            return self._failed(error)

    def _respond(self, result: ExecutionResult) -> Response:
        response = respond(result.data, format_field_errors(result.errors or (), self.context.request_id))
        self.executor.count(len(response) - self.executor.counted)  # what was not counted while it was made
        if self.on_response is not None:
            self.on_response(response)
        return response

    def _failed(self, error: Exception) -> Response:
        if isinstance(error, AnswerTooLarge):
            return error.response
        return respond(None, [mask(error, self.context.request_id)])


class GeneralWay:
    """Prepares operations of one schema for graphql-core."""

    def __init__(self, schema: strawberry.Schema, *, limit: TimeLimit, most_bytes: int, hide_suggestions: bool) -> None:
        self._most_bytes = most_bytes
        self._schema: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
        self._limit = limit
        self._hide_suggestions = hide_suggestions

    def prepare(
        self, ast: DocumentNode, operation: OperationDefinitionNode, request: GraphQLRequest, context: Context
    ) -> GeneralExecution | GeneralSubscription:
        """Return the operation with the variables of the request. Raises VariablesRefused."""
        excess = find_excess(self._schema, operation, request.variables or {})
        if excess:
            raise VariablesRefused(excess)
        try:
            executor = self._build(ast, operation, request, context)
        except RecursionError:
            raise VariablesRefused([format_refusal(_TOO_DEEP)]) from None
        if operation.operation is OperationType.SUBSCRIPTION:
            return GeneralSubscription(executor, context)
        return GeneralExecution(operation.operation, executor, context, self._limit)

    def _build(
        self, ast: DocumentNode, operation: OperationDefinitionNode, request: GraphQLRequest, context: Context
    ) -> BoundedExecutor:
        executor = BoundedExecutor.build(
            self._schema,
            ast,
            context_value=context,
            raw_variable_values=request.variables,
            operation_name=request.operation_name,
            hide_suggestions=self._hide_suggestions,
        )
        if isinstance(executor, list):
            errors = _bad_variables(
                self._schema, operation, request.variables or {}, hide_suggestions=self._hide_suggestions
            )
            raise VariablesRefused(errors or [format_request_error(e, ErrorCode.BAD_USER_INPUT) for e in executor])
        bounded = cast("BoundedExecutor", executor)
        bounded.budget = AnswerBudget(self._most_bytes)
        return bounded


def _bad_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: dict[str, Any], *, hide_suggestions: bool
) -> list[FormattedError]:
    """Return an error for each bad place in the variables, with its field."""
    errors: list[FormattedError] = []
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        variable_type = cast("GraphQLInputType", type_from_ast(schema, definition.type))
        value = given.get(name, Undefined)
        if value is Undefined:
            if definition.default_value is None and is_non_null_type(variable_type):
                message = f"Variable '${name}' is required: its type is '{variable_type}'."
                errors.append(format_request_error(GraphQLError(message, definition), ErrorCode.BAD_USER_INPUT, name))
            continue

        def add(
            error: GraphQLError,
            path: list[str | int],
            name: str = name,
            definition: Any = definition,
            value: Any = value,
        ) -> None:
            place = "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in path)
            # What was found is what the caller has sent, perhaps at length, as Python would write it.
            complaint = _WHAT_WAS_FOUND.sub("", error.message)
            complaint = _WHAT_IS_NOT.sub(rf"\1: {kind_of(_value_at(value, path))}.", complaint)
            message = f"Variable '${name}' has a bad value{place and ' at ' + place}: {complaint}"
            named = _FIELD_IN_COMPLAINT.search(complaint)
            field = path[0] if path and isinstance(path[0], str) else named[1] if named else name
            errors.append(format_request_error(GraphQLError(message, definition), ErrorCode.BAD_USER_INPUT, field))
            if len(errors) >= _MAX_VARIABLE_ERRORS:
                raise _EnoughErrors

        try:
            validate_input_value(value, variable_type, add, hide_suggestions)
        except _EnoughErrors:
            break
    return errors


def _value_at(value: Any, path: list[str | int]) -> Any:
    for step in path:
        value = value[step]
    return value
