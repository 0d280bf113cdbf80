"""Documents, parsed and validated once each and kept by their text."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, parse, validate

from userline.execution.errors import format_refusal, format_request_error
from userline.users.errors import ErrorCode, OperationTooComplex

if TYPE_CHECKING:
    from userline.execution.errors import FormattedError

_MAX_VALIDATION_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Document:
    """A document: its operations by name (None for the one without), or the errors that keep it from being run."""

    ast: DocumentNode | None = None
    operations: dict[str | None, OperationDefinitionNode] = field(default_factory=dict)
    errors: list[FormattedError] = field(default_factory=list)


class DocumentCache:
    """Parses and validates documents, and remembers the ``capacity`` most recently used, bad ones too."""

    def __init__(self, schema: GraphQLSchema, *, capacity: int, max_characters: int, max_tokens: int) -> None:
        self._schema = schema
        self._capacity = capacity
        self._max_characters = max_characters
        self._max_tokens = max_tokens
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._documents)

    def get(self, text: str) -> Document:
        """Return the document with this text."""
        document = self._documents.get(text)
        if document is not None:
            self._documents.move_to_end(text)
            self.hits += 1
            return document
        self.misses += 1
        if len(text) > self._max_characters:
            return _refused(f"The document has {len(text)} characters; the limit is {self._max_characters}.")
        document = self._read(text)
        self._documents[text] = document
        if len(self._documents) > self._capacity:
            self._documents.popitem(last=False)
        return document

    def _read(self, text: str) -> Document:
        try:
            ast = parse(text, max_tokens=self._max_tokens, allow_empty_selection_sets=False)
        except GraphQLError as error:
            if "Parsing aborted" in error.message:
                return _refused(f"The document has more than {self._max_tokens} tokens, which is the limit.")
            return Document(errors=[format_request_error(error, ErrorCode.GRAPHQL_PARSE_FAILED)])
        errors = validate(self._schema, ast, max_errors=_MAX_VALIDATION_ERRORS)
        if errors:
            return Document(
                errors=[format_request_error(error, ErrorCode.GRAPHQL_VALIDATION_FAILED) for error in errors]
            )
        return Document(
            ast=ast,
            operations={
                definition.name.value if definition.name else None: definition
                for definition in ast.definitions
                if isinstance(definition, OperationDefinitionNode)
            },
        )


def _refused(message: str) -> Document:
    return Document(errors=[format_refusal(OperationTooComplex(message))])
