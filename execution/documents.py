"""Documents, parsed and validated once each and kept by their text."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged

from userline.execution.cost import OperationLimits, find_refusals
from userline.execution.errors import format_refusal, format_request_error
from userline.execution.plans.plan import UNFIT, Bound
from userline.execution.weighed import WeighedCache, weight_of
from userline.users.errors import ErrorCode, OperationTooComplex, UserlineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from userline.execution.cost import CostWithIds, Refusals
    from userline.execution.errors import FormattedError
    from userline.execution.plans.plan import Plan
    from userline.execution.request import GraphQLRequest

overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 10_000
"""What comparing fields of one name with each other may cost: the one part of validation that is quadratic.

graphql-core reads it for each document. Its own default is fifty times as high, and lets 2 KB take 150 ms.
"""

_MAX_VALIDATION_ERRORS = 20

_LONG_CHARACTERS = 1000
"""Validating longer documents leaves much behind that only the garbage collector finds."""

_DOCUMENT_BYTES = 6_000
_TOKEN_BYTES = 600
"""What a document weighs, its plans included, and what each of its tokens adds: a little more than was measured over
documents of all kinds, with any order of what is hashed (tests/execution/test_document_weights.py)."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document: its operations by name (None for the one without a name), or its errors."""

    ast: DocumentNode | None = None
    operations: dict[str | None, OperationDefinitionNode] = field(default_factory=dict)
    errors: list[FormattedError] = field(default_factory=list)
    refusals: Refusals = field(default_factory=dict)
    """The operations that are past a limit, by name, with the sentence that says so."""
    counted: dict[str | None, CostWithIds] = field(default_factory=dict)
    """Those that may cost too much with many ids in their variables."""
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    plans: dict[str | None, Plan | None] = field(default_factory=dict)
    """The plans of the operations by the names they were asked for with. None: the operation is not simple enough."""
    tokens: int = 0

    def weight(self, text: str) -> int:
        """Return about how many bytes of memory the document takes, its text included, of which tokens have copies."""
        return _DOCUMENT_BYTES + 2 * sys.getsizeof(text) + self.tokens * _TOKEN_BYTES + 2 * weight_of(self.errors)


class KnownOperation(NamedTuple):
    """An operation that was prepared before, with its name and its document's text."""

    bound: Bound
    name: str | None
    text: str


class DocumentCache:
    """Parses and validates documents, and keeps the most recently used ones, also invalid ones.

    They are ``capacity`` at most, and take ``capacity_bytes`` of memory at most. Who keeps more of a document than that
    is told by ``on_forget`` when its text is forgotten.

    Without ``introspection`` the schema cannot be asked for, and errors do not suggest names of it.
    """

    def __init__(  # noqa: PLR0913 - each is a setting
        self,
        schema: GraphQLSchema,
        *,
        capacity: int,
        capacity_bytes: int = 33_554_432,
        max_characters: int,
        max_tokens: int,
        introspection: bool = True,
        limits: OperationLimits | None = None,
    ) -> None:
        self._schema = schema
        self._max_characters = max_characters
        self._max_tokens = max_tokens
        self._introspection = introspection
        self._limits = limits or OperationLimits()
        self._rules = specified_rules if introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
        self._documents: WeighedCache[str, Document] = WeighedCache(
            capacity_bytes, most=capacity, on_drop=lambda text, _: self.on_forget(text)
        )
        self.on_forget: Callable[[str], None] = lambda _: None
        self.hits = 0
        self.misses = 0

    def limit(self, limits: OperationLimits, *, max_characters: int, max_tokens: int) -> None:
        """Hold documents to these limits from now on, those too that were read before."""
        wanted = (limits, max_characters, max_tokens)
        if wanted != (self._limits, self._max_characters, self._max_tokens):
            self._limits, self._max_characters, self._max_tokens = wanted
            self._documents.clear()

    def __len__(self) -> int:
        return len(self._documents)

    @property
    def weight(self) -> int:
        """How many bytes of memory the documents take, about."""
        return self._documents.weight

    def known(self, text: str) -> Document | None:
        """Return the document with this text if it has been read before."""
        document = self._documents.get(text)
        if document is not None:
            self._documents.touch(text)
            self.hits += 1
        return document

    def get(self, text: str) -> Document:
        """Return the document with this text."""
        document = self.known(text)
        if document is not None:
            return document
        self.misses += 1
        if len(text) > self._max_characters:
            return _refused(f"The document has {len(text)} characters; the limit is {self._max_characters}.")
        with _cleared_away_at_once() if len(text) > _LONG_CHARACTERS else nullcontext():
            document = self._read(text)
        self._documents.put(text, document, document.weight(text))
        return document

    def bind(self, request: GraphQLRequest, text_of: Callable[[GraphQLRequest], str]) -> KnownOperation | None:
        """Return the query or mutation that the request asks for, if it was prepared before and a plan executes it.

        ``text_of`` finds the text of a document that is named by its hash, or raises a UserlineError.
        """
        text = request.query  # what was prepared before was allowed
        if request.document_hash is not None:
            if text:
                return None  # ``Engine.prepare`` compares them
            try:
                text = text_of(request)
            except UserlineError:
                return None
        document = self.known(text)
        plan = document.plans.get(request.operation_name) if document else None
        if document is None or plan is None:
            return None
        name = request.operation_name or next(iter(document.operations), None)
        if self.refusal(document, name, request.variables) is not None:
            return None  # it says why
        try:
            bound = plan.bind(request.variables)
        except UNFIT:
            return None
        return KnownOperation(bound, name, text) if isinstance(bound, Bound) else None

    def refusal(self, document: Document, name: str | None, variables: dict[str, Any] | None) -> str | None:
        """Return why an operation of a document is past a limit with these variables, or None if it is not."""
        refusal = document.refusals.get(name)
        counted = document.counted.get(name)
        return refusal if refusal or counted is None else counted.refusal(variables or {}, self._limits.cost)

    def only_name(self, text: str) -> str | None:
        """Return the name of the only operation of a document that was got before; None if it has none."""
        document = self._documents.get(text)
        return next(iter(document.operations), None) if document is not None else None

    def _read(self, text: str) -> Document:
        try:
            ast = parse(text, max_tokens=self._max_tokens, allow_empty_selection_sets=False)
        except GraphQLError as error:
            if "Parsing aborted" in error.message:
                return _refused(f"The document has more than {self._max_tokens} tokens, which is the limit.")
            return Document(errors=[format_request_error(error, ErrorCode.GRAPHQL_PARSE_FAILED)])
        refusals, counted, operations = find_refusals(ast, self._limits)
        if refusals and len(refusals) == operations:
            return _refused(next(iter(refusals.values())))
        errors = validate(
            self._schema,
            ast,
            self._rules,
            max_errors=_MAX_VALIDATION_ERRORS,
            hide_suggestions=not self._introspection,
        )
        if errors and errors[-1].message == "Validation aborted.":
            return _refused("The document repeats too many fields or fragments in one selection.")
        if errors:
            return Document(
                errors=_told_once(format_request_error(error, ErrorCode.GRAPHQL_VALIDATION_FAILED) for error in errors)
            )
        return Document(
            ast=ast,
            operations={
                definition.name.value if definition.name else None: definition
                for definition in ast.definitions
                if isinstance(definition, OperationDefinitionNode)
            },
            refusals=refusals,
            counted=counted,
            fragments={
                definition.name.value: definition
                for definition in ast.definitions
                if isinstance(definition, FragmentDefinitionNode)
            },
            tokens=_unlink_tokens(ast),
        )


def _unlink_tokens(ast: DocumentNode) -> int:
    """Count the tokens of a document, and take them apart: or else each node would keep all of them."""
    count = 0
    token = ast.loc.start_token if ast.loc else None
    while token is not None:
        count += 1
        following, token.prev, token.next = token.next, None, None
        token = following
    return count


@contextmanager
def _cleared_away_at_once() -> Iterator[None]:
    """Collect what was left behind when it is still young, and little: not that of many documents at once one day."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        gc.collect(0)


def _told_once(errors: Iterable[FormattedError]) -> list[FormattedError]:
    """Return the errors, those that say the same as one, with the places of all."""
    told: dict[str, FormattedError] = {}
    for error in errors:
        first = told.setdefault(error["message"], error)
        if first is not error:
            first["locations"] = first.get("locations", []) + error.get("locations", [])
    return list(told.values())


def _refused(message: str) -> Document:
    return Document(errors=[format_refusal(OperationTooComplex(message))])
