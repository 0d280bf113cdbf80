"""Runs operations: Strawberry's resolvers on graphql-core, behind one door for every transport."""

from __future__ import annotations

import asyncio
import inspect
import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    OperationType,
    Undefined,
    is_non_null_type,
    type_from_ast,
    validate_input_value,
)
from graphql.execution import create_source_event_stream, execute_root_selection_set, map_source_to_response_event

from userline.execution.documents import DocumentCache
from userline.execution.errors import format_field_errors, format_refusal, format_request_error, mask
from userline.execution.pacer import Pacer
from userline.execution.trusted import PersistedDocuments, TrustedDocuments
from userline.users.errors import BadUserInput, ErrorCode, OperationTooComplex, Problem, StoreUnavailable, UserlineError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    import strawberry
    from graphql import DocumentNode, GraphQLInputType, GraphQLSchema, OperationDefinitionNode
    from graphql.execution import Executor

    from userline.execution.cost import OperationLimits
    from userline.execution.errors import FormattedError
    from userline.execution.request import GraphQLRequest
    from userline.execution.trusted import DocumentTexts
    from userline.resolvers.context import Context

_FIELD_IN_COMPLAINT = re.compile(r"(?:required|unknown) field '(\w+)'")
_WHAT_WAS_FOUND = re.compile(r",? found: .*", re.DOTALL | re.IGNORECASE)

_MAX_VARIABLE_ERRORS = 20
_TOO_DEEP = BadUserInput([Problem("variables", "variables are nested too deeply.")])

Payload: TypeAlias = "dict[str, Any]"
"""A GraphQL response: ``data`` (unless nothing was executed) and ``errors`` (if there are any)."""


class RequestRefused(Exception):
    """The request cannot be executed: a bad document, operation name or variable. Nothing was executed."""

    def __init__(self, errors: list[FormattedError]) -> None:
        super().__init__(errors)
        self.errors = errors

    @property
    def payload(self) -> Payload:
        """The response."""
        return {"errors": self.errors}


class _EnoughErrors(Exception):
    """There are as many errors as anybody wants to read."""


class SubscriptionFailed(Exception):
    """A subscription cannot start or go on."""

    def __init__(self, errors: list[FormattedError]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that is ready to be executed, once."""

    type: OperationType
    executor: Executor[Any]
    context: Context
    time_limit: float

    async def execute(self) -> Payload:
        """Execute a query or mutation. Raises nothing: what goes wrong is in the payload."""
        try:
            result = execute_root_selection_set(self.executor)
            if inspect.isawaitable(result):
                async with asyncio.timeout(self.time_limit):
                    result = await result
        except TimeoutError:
            refusal = StoreUnavailable(
                f"The operation took longer than {self.time_limit:g} s, which is the limit. A write may yet be done; "
                "all of them are safe to repeat."
            )
            return {"data": None, "errors": [format_refusal(refusal)]}
        except Exception as error:  # noqa: BLE001 - nothing may reach the transport
            return {"data": None, "errors": [mask(error, self.context.request_id)]}
        return self._payload(result)

    async def events(self) -> AsyncGenerator[Payload, None]:
        """Yield a subscription's events until closed. Raises SubscriptionFailed if it cannot start or go on."""
        request_id = self.context.request_id
        try:
            stream = create_source_event_stream(self.executor)
            if inspect.isawaitable(stream):
                stream = await stream
            if not isinstance(stream, ExecutionResult):
                async with aclosing(map_source_to_response_event(self.executor, stream)) as results:
                    async for result in results:
                        yield self._payload(result)
                return
        except UserlineError as error:
            raise SubscriptionFailed([format_refusal(error)]) from None
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it masked
            raise SubscriptionFailed([mask(error, request_id)]) from None
        raise SubscriptionFailed(format_field_errors(stream.errors or [], request_id))

    def _payload(self, result: ExecutionResult) -> Payload:
        if not result.errors:
            return {"data": result.data}
        return {"data": result.data, "errors": format_field_errors(result.errors, self.context.request_id)}


class Engine:
    """Prepares and executes operations of one schema."""

    def __init__(  # noqa: PLR0913 - each is a setting
        self,
        schema: strawberry.Schema,
        *,
        document_cache: int = 1000,
        max_document_characters: int = 15_000,
        max_document_tokens: int = 1000,
        time_limit: float = 10.0,
        introspection: bool = True,
        limits: OperationLimits | None = None,
        persisted_documents: int = 1000,
        trusted_documents: Path | None = None,
    ) -> None:
        self._time_limit = time_limit
        self._hide_suggestions = not introspection
        self._executor_class = schema.execution_context_class
        self._schema: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
        self.documents = DocumentCache(
            self._schema,
            capacity=document_cache,
            max_characters=max_document_characters,
            max_tokens=max_document_tokens,
            introspection=introspection,
            limits=limits,
        )
        self.texts: DocumentTexts = (
            TrustedDocuments.of(trusted_documents, self.documents)
            if trusted_documents
            else PersistedDocuments(persisted_documents)
        )
        self.pacer = Pacer()

    def prepare(self, request: GraphQLRequest, context: Context) -> Operation:
        """Return the operation that the request asks for. Raises RequestRefused."""
        try:
            text = self.texts.text_of(request)
        except UserlineError as error:
            raise RequestRefused([format_refusal(error)]) from None
        document = self.documents.get(text)
        if document.ast is None:
            raise RequestRefused(document.errors)
        self.texts.keep(request)
        operation = _choose(document.operations, request.operation_name)
        refusal = document.refusals.get(operation.name.value if operation.name else None)
        if refusal is not None:
            raise RequestRefused([format_refusal(OperationTooComplex(refusal))])
        try:
            executor = self._build(document.ast, operation, request, context)
        except RecursionError:
            raise RequestRefused([format_refusal(_TOO_DEEP)]) from None
        return Operation(operation.operation, executor, context, self._time_limit)

    def _build(
        self, ast: DocumentNode, operation: OperationDefinitionNode, request: GraphQLRequest, context: Context
    ) -> Executor[Any]:
        """Return what executes the operation with the variables of the request. Raises RequestRefused."""
        executor = self._executor_class.build(
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
            raise RequestRefused(errors or [format_request_error(e, ErrorCode.BAD_USER_INPUT) for e in executor])
        return executor


def _choose(operations: dict[str | None, OperationDefinitionNode], name: str | None) -> OperationDefinitionNode:
    """Return the operation to run. Source: https://spec.graphql.org/September2025/#GetOperation()."""
    if name:
        operation = operations.get(name)
        if operation is not None:
            return operation
        message = f"The document has no operation named '{name}'."
    elif len(operations) == 1:
        return next(iter(operations.values()))
    else:
        message = "The document has several operations: operationName must say which one to run."
    raise RequestRefused([format_request_error(GraphQLError(message), ErrorCode.GRAPHQL_VALIDATION_FAILED)])


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
        ) -> None:
            place = "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in path)
            # What was found is what the caller has sent, perhaps at length.
            complaint = _WHAT_WAS_FOUND.sub("", error.message)
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
