"""The parameters of a GraphQL request, as every transport carries them.

Source: https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from userline.users.errors import BadUserInput, Problem


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One operation that a client asks for."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None


def parse_request(value: object) -> GraphQLRequest:
    """Return the request in a decoded JSON value. Raises BadUserInput with all that is wrong with it."""
    if not isinstance(value, dict):
        raise BadUserInput([Problem("body", 'A GraphQL request must be a JSON object such as {"query": "{ … }"}.')])
    problems = []
    query = value.get("query")
    if not isinstance(query, str):
        problems.append(Problem("query", "query is required: a string with a GraphQL document."))
        query = ""
    operation_name = value.get("operationName")
    if not isinstance(operation_name, str | None):
        problems.append(Problem("operationName", "operationName must be a string or null."))
        operation_name = None
    variables = value.get("variables")
    if not isinstance(variables, dict | None):
        problems.append(Problem("variables", "variables must be an object or null."))
        variables = None
    if not isinstance(value.get("extensions"), dict | None):
        problems.append(Problem("extensions", "extensions must be an object or null."))
    if problems:
        raise BadUserInput(problems)
    return GraphQLRequest(query, operation_name or None, variables)
