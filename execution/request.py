"""The parameters of a GraphQL request, as every transport carries them.

Source: https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from userline.execution.json_values import Reread, find_flaw
from userline.users.errors import BadUserInput, Problem

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One operation that a client asks for."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    document_hash: str | None = None
    """The SHA-256 hash of the document, in hexadecimal digits. With it, ``query`` may be empty."""


def parse_request(value: object) -> GraphQLRequest:
    """Return the request in a decoded JSON value. Raises BadUserInput with all that is wrong with it."""
    if not isinstance(value, dict):
        raise BadUserInput([Problem("body", 'A GraphQL request must be a JSON object such as {"query": "{ … }"}.')])
    if type(value) is Reread or Reread in map(type, value.values()):
        flaw = find_flaw(value)
        if flaw is not None:
            raise BadUserInput([Problem(flaw.field, f"{flaw.place} {flaw.complaint}.")])
    problems = []
    document_hash, problem = _hash_in(value)
    query = value.get("query")
    if query is None and document_hash is not None:
        query = ""
    if not isinstance(query, str):
        problems.append(Problem("query", "query is required: a string with a GraphQL document."))
        query = ""
    operation_name = value.get("operationName")
    if not isinstance(operation_name, str | None):
        problems.append(Problem("operationName", "operationName must be a string or null."))
        operation_name = None
    variables = _object_in(value, "variables", problems)
    if problem is not None:
        problems.append(problem)
    if problems:
        raise BadUserInput(problems)
    return GraphQLRequest(query, operation_name or None, variables, document_hash)


def _object_in(value: dict[str, Any], name: str, problems: list[Problem]) -> dict[str, Any] | None:
    """Return the object of this name, or None, and tell if it is none. PHP writes an empty one as an empty list."""
    found = value.get(name)
    if isinstance(found, dict | None):
        return found
    if found == []:
        return {}
    problems.append(Problem(name, f"{name} must be an object or null."))
    return None


def _hash_in(value: dict[str, Any]) -> tuple[str | None, Problem | None]:
    """Return the hash that a request names its document by, or None, and what is wrong with it."""
    problems: list[Problem] = []
    extensions = _object_in(value, "extensions", problems)
    if problems:
        return None, problems[0]
    found, place = value.get("documentId"), "documentId"
    persisted = (extensions or {}).get("persistedQuery")
    if found is None and persisted is not None:
        place = "extensions"
        if not isinstance(persisted, dict) or persisted.get("version", 1) != 1:
            return None, Problem(place, 'extensions.persistedQuery must be {"version": 1, "sha256Hash": "…"}.')
        found = persisted.get("sha256Hash", "")
    if found is None:
        return None, None
    text = found.lower().removeprefix("sha256:") if isinstance(found, str) else ""
    if not _HASH.fullmatch(text):
        return None, Problem(place, f"{place} must have a SHA-256 hash in 64 hexadecimal digits.")
    return text, None
