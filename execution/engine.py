"""Runs operations for every transport: by a compiled plan if there is one, else the general way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from graphql import GraphQLError

from userline.directory.pacer import Pacer
from userline.execution.documents import DocumentCache
from userline.execution.errors import format_refusal, format_request_error
from userline.execution.general_subscription import GeneralSubscription
from userline.execution.operation import RequestRefused
from userline.execution.pending import TimeLimit
from userline.execution.plans.compiler import Compiler
from userline.execution.plans.plan import UNFIT, Bound
from userline.execution.plans.planned import PlannedExecution, PlannedSubscription
from userline.execution.schema_answers import KnownExecution, SchemaAnswers, asks_for_schema_alone
from userline.execution.trusted import PersistedDocuments, TrustedDocuments
from userline.users.errors import ErrorCode, OperationTooComplex, UserlineError

if TYPE_CHECKING:
    from pathlib import Path

    from graphql import DocumentNode, OperationDefinitionNode

    from userline.execution.cost import OperationLimits
    from userline.execution.documents import Document
    from userline.execution.general import GeneralExecution, GeneralWay
    from userline.execution.plans.plan import Plan
    from userline.execution.request import GraphQLRequest
    from userline.execution.trusted import DocumentTexts
    from userline.resolvers.context import AppInfo, Context
    from userline.schema.served import ServedSchema

Execution: TypeAlias = "PlannedExecution | KnownExecution | GeneralExecution"
"""A query or mutation that is ready to be executed, once."""

Subscription: TypeAlias = PlannedSubscription | GeneralSubscription
"""A subscription that is ready to be executed, once."""


class GeneralWayNotLoaded(Exception):
    """The operation has no plan, and the code that executes it is not loaded yet: ``Engine.load`` loads it."""


class Engine:
    """Prepares operations of one schema.

    What executes those without a plan takes long to load, and is loaded when it is first needed.
    """

    def __init__(  # noqa: PLR0913 - each is a setting
        self,
        schema: ServedSchema,
        app: AppInfo,
        *,
        document_cache: int = 1000,
        document_cache_bytes: int = 33_554_432,
        max_document_characters: int = 15_000,
        max_document_tokens: int = 1000,
        time_limit: float = 10.0,
        introspection: bool = True,
        limits: OperationLimits | None = None,
        persisted_documents: int = 1000,
        trusted_documents: Path | None = None,
        plans: bool = True,
        max_answer_bytes: int = 8_388_608,
    ) -> None:
        self.time_limit = TimeLimit(time_limit)
        self.documents = DocumentCache(
            schema.core,
            capacity=document_cache,
            capacity_bytes=document_cache_bytes,
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
        self._make_executable = schema.make_executable
        self._max_answer_bytes = max_answer_bytes
        self._hide_suggestions = not introspection
        self._general: GeneralWay | None = None
        self._loading: asyncio.Future[None] | None = None
        self._compiler = Compiler(schema.core, app, max_answer_bytes) if plans else None
        self._schema_answers = SchemaAnswers(max_answer_bytes)

    def limit(self, limits: OperationLimits, *, max_characters: int, max_tokens: int, seconds: float) -> None:
        """Hold operations to these limits from now on."""
        self.time_limit.seconds = seconds
        self.documents.limit(limits, max_characters=max_characters, max_tokens=max_tokens)

    async def load(self) -> None:
        """Load what executes operations that have no plan, beside the event loop: nobody else waits for it."""
        if self._loading is None or (self._loading.done() and self._general is None):
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._load))
        await asyncio.shield(self._loading)

    def _load(self) -> None:
        from userline.execution.general import GeneralWay  # noqa: PLC0415 - Strawberry comes with it

        self._general = GeneralWay(
            self._make_executable(),
            limit=self.time_limit,
            most_bytes=self._max_answer_bytes,
            hide_suggestions=self._hide_suggestions,
        )

    def prepare(self, request: GraphQLRequest, context: Context, *, loads: bool = True) -> Execution | Subscription:
        """Return the operation that the request asks for. Raises RequestRefused.

        Unless it ``loads``, raises GeneralWayNotLoaded where it would have to.
        """
        try:
            text = self.texts.text_of(request)
        except UserlineError as error:
            raise RequestRefused([format_refusal(error)]) from None
        document = self.documents.get(text)
        if document.ast is None:
            raise RequestRefused(document.errors)
        self.texts.keep(request)
        operation = _choose(document.operations, request.operation_name)
        name = operation.name.value if operation.name else None
        refusal = self.documents.refusal(document, name, request.variables)
        if refusal is not None:
            raise RequestRefused([format_refusal(OperationTooComplex(refusal))])
        plan = self._plan(document, operation, request.operation_name)
        if plan is not None:
            with suppress(*UNFIT):
                bound = plan.bind(request.variables)
                if isinstance(bound, Bound):
                    return PlannedExecution(bound, context, self.time_limit)
                return PlannedSubscription(bound, context)
        if asks_for_schema_alone(operation, document.fragments):
            key = (text, request.operation_name)
            known = self._schema_answers.find(key)
            if known is not None:
                return known
            return self._ask_for_schema(key, document.ast, operation, request, context, loads=loads)
        return self._general_way(loads=loads).prepare(document.ast, operation, request, context)

    def _general_way(self, *, loads: bool) -> GeneralWay:
        if self._general is None:
            if not loads:
                raise GeneralWayNotLoaded
            self._load()
        assert self._general is not None  # noqa: S101 - it was loaded
        return self._general

    def _ask_for_schema(  # noqa: PLR0913 - what an operation is
        self,
        key: tuple[str, str | None],
        ast: DocumentNode,
        operation: OperationDefinitionNode,
        request: GraphQLRequest,
        context: Context,
        *,
        loads: bool,
    ) -> Execution | Subscription:
        execution = self._general_way(loads=loads).prepare(ast, operation, request, context)
        if isinstance(execution, GeneralSubscription):
            return execution
        return replace(execution, on_response=partial(self._schema_answers.keep, key))

    def name_of(self, request: GraphQLRequest) -> str | None:
        """Return the name, in its document, of the operation that was just prepared or bound for this request."""
        return request.operation_name or self.documents.only_name(self.texts.text_of(request))

    def _plan(self, document: Document, operation: OperationDefinitionNode, asked_as: str | None) -> Plan | None:
        """Return the plan of an operation, compiled once, or None if it has none."""
        if asked_as not in document.plans:
            document.plans[asked_as] = self._compiler.compile(operation, document.fragments) if self._compiler else None
        return document.plans[asked_as]


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
        message = "The document has several operations: operationName must name the one to run."
    raise RequestRefused([format_request_error(GraphQLError(message), ErrorCode.GRAPHQL_VALIDATION_FAILED)])
