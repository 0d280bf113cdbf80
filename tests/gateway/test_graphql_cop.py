"""What graphql-cop looks for in a GraphQL server, looked for in a gateway in production mode.

The names are those of its findings (https://github.com/dolevf/graphql-cop); what is sent and looked for is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

BATCH = "Array-based Query Batching"
GET = "GET Method Query Support"
HARDENED = ("--max-batch-operations", "1", "--no-get-queries")


class Scanner:
    """Looks for findings, with a user's token or without one."""

    def __init__(self, gateway: RunningGateway, token: str | None) -> None:
        self.http = gateway.http
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    def post(self, query: str) -> dict[str, Any]:
        body = {"query": query, "operationName": "cop"}
        answer: dict[str, Any] = self.http.post("/graphql", json=body, headers=self.headers).json()
        return answer

    def get(self, query: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get("/graphql", params={"query": query}, headers=self.headers).json()
        return answer

    def batch(self) -> bool:
        body = [{"query": "query cop { __typename }"}] * 10
        return len(self.http.post("/graphql", json=body, headers=self.headers).json()) >= 10

    def form(self) -> bool:
        answer = self.http.post("/graphql", data={"query": "query cop { __typename }"}, headers=self.headers)
        return "data" in answer.json()

    def page(self) -> bool:
        answers: list[httpx.Response] = [
            self.http.get(path, headers=self.headers | {"accept": "text/html"}, follow_redirects=True)
            for path in ("/graphql", "/graphiql", "/playground", "/console", "/")
        ]
        words = ("graphiql.min.css", "graphql playground", "graphiql", "graphql-playground")
        return any(word in answer.text.lower() for answer in answers for word in words)

    def extensions(self, query: str) -> set[str]:
        answer = self.post(query)
        return {name for part in (answer, *answer.get("errors", ())) for name in part.get("extensions", {})}

    def checks(self) -> dict[str, Callable[[], Any]]:
        deep = "{ fields { type " * 4 + "{ name }" + " } }" * 4
        return {
            "Alias Overloading": lambda: self.post(
                f"query cop {{ {' '.join(f'a{n}:__typename' for n in range(101))} }}"
            ).get("data"),
            BATCH: self.batch,
            "Introspection-based Circular Query": lambda: self.post(f"query cop {{ __schema {{ types {deep} }} }}").get(
                "data"
            ),
            "Directive Overloading": lambda: len(self.post(f"query cop {{ __typename {'@aa' * 10} }}")["errors"]) >= 10,
            "Field Duplication": lambda: self.post(f"query cop {{ {'__typename ' * 500} }}").get("data"),
            "Field Suggestions": lambda: "Did you mean" in str(self.post("query cop { __schema { directive } }")),
            "Mutation is allowed over GET (possible CSRF)": lambda: self.get("mutation cop { __typename }").get("data"),
            GET: lambda: self.get("query cop { __typename }").get("data"),
            "GraphQL IDE": self.page,
            "Introspection": lambda: self.post("query cop { __schema { types { name fields { name } } } }").get("data"),
            "POST based url-encoded query (possible CSRF)": self.form,
            "Trace Mode": lambda: "tracing" in self.extensions("query cop { __typename }"),
            "Unhandled Errors Detection": lambda: "exception" in self.extensions("qwerty cop { abc }"),
        }

    def findings(self) -> set[str]:
        return {name for name, found in self.checks().items() if found()}


@pytest.fixture(scope="module", params=[(), HARDENED], ids=["production", "hardened"])
def production(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    env = {"USERLINE_ENV": "production", "USERLINE_SECRET": SECRET}
    running = RunningGateway(tmp_path_factory.mktemp("cop"), *request.param, env=env)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log


def test_who_has_no_token_finds_nothing(production: RunningGateway) -> None:
    assert Scanner(production, None).findings() == set()


def test_who_has_one_finds_batches_and_get_unless_they_are_turned_off(
    production: RunningGateway, request: pytest.FixtureRequest
) -> None:
    """Both are what clients are promised, and bounded: 50 operations that count one by one, and queries alone."""
    promised = {BATCH, GET} if "[production]" in request.node.name else set()
    assert Scanner(production, token_of("alice")).findings() == promised


def test_the_checks_find_what_there_is(gateway: RunningGateway) -> None:
    """In development much of it is on."""
    found = Scanner(gateway, None).findings()
    assert found - {"GraphQL IDE"} == {BATCH, GET, "Field Suggestions", "Introspection"}
    assert ("GraphQL IDE" in found) == (
        gateway.http.get("/graphql", headers={"accept": "text/html"}).status_code == 200
    )
