"""A gateway in production mode: what it does not start with, and what it does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from graphql import get_introspection_query
from tests.clients.wire import TRANSPORT, Wire
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.sync.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(
        tmp_path_factory.mktemp("production"), env={"USERLINE_ENV": "production", "USERLINE_SECRET": SECRET}
    )
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log
    assert "OPEN" not in running.log


def errors(gateway: RunningGateway, query: str, variables: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    answer = gateway.http.post(
        "/graphql",
        json={"query": query, "variables": variables},
        headers={"authorization": f"Bearer {token_of('alice')}"},
    ).json()
    found: list[dict[str, Any]] = answer["errors"]
    return found


@pytest.mark.parametrize(
    "query",
    [
        get_introspection_query(),
        "{ __schema { types { name } } }",
        '{ __type(name: "User") { name } }',
        "query { ...F } fragment F on Query { a: __schema { __typename } }",
    ],
)
def test_the_schema_cannot_be_asked_for(production: RunningGateway, query: str) -> None:
    found = errors(production, query)
    assert {error["extensions"]["code"] for error in found} == {"GRAPHQL_VALIDATION_FAILED"}
    assert "introspection" in found[0]["message"]


def test_the_name_of_a_type_may_be_asked_for(production: RunningGateway) -> None:
    headers = {"authorization": f"Bearer {token_of('alice')}"}
    answer = production.http.post("/graphql", json={"query": "{ __typename app { __typename } }"}, headers=headers)
    assert answer.json() == {"data": {"__typename": "Query", "app": {"__typename": "App"}}}


SLIPS: list[tuple[str, dict[str, Any] | None]] = [
    ("{ usr { id } }", None),
    ('{ user(id: "x") { nam } }', None),
    ('{ user(idd: "x") { name } }', None),
    ('{ user(id: "x") { ...F } } fragment F on Usr { name }', None),
    ("query($x: SetUserInputt) { app { id } }", None),
    ('mutation { setUser(id: "x", input: {nme: "x"}) { changed } }', None),
    ('mutation($i: SetUserInput!) { setUser(id: "x", input: $i) { changed } }', {"i": {"nme": "x"}}),
]


@pytest.mark.parametrize(("query", "variables"), SLIPS)
def test_no_name_is_suggested(
    production: RunningGateway, gateway: RunningGateway, query: str, variables: dict[str, Any] | None
) -> None:
    assert "Did you mean" not in str(errors(production, query, variables))
    assert "Did you mean" in str(gateway.execute(query, variables)), "in development it is"


def test_there_is_no_page(production: RunningGateway) -> None:
    token = {"authorization": f"Bearer {token_of('alice')}"}
    for headers, status in (({}, 401), (token, 406)):
        answer = production.http.get("/graphql", headers={"accept": "text/html"} | headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json; charset=utf-8")
    assert production.http.get("/graphiql/").status_code == 404


def test_sockets_are_held_to_the_same(production: RunningGateway) -> None:
    with connect(production.websocket_url, subprotocols=[Subprotocol(TRANSPORT)], proxy=None) as connection:
        wire = Wire(connection)
        wire.send({"type": "connection_init", "payload": {"token": token_of("alice")}})
        assert wire.receive()["type"] == "connection_ack"
        operation_id = wire.start("{ __schema { types { name } } }")
        message = wire.receive()
        assert (message["id"], message["type"]) == (operation_id, "error")
        assert message["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({}, "In production tokens must be checked"),
        ({"USERLINE_SECRET": "hush"}, "in production it needs 32"),
        ({"USERLINE_SECRET": SECRET, "USERLINE_JWKS_URL": "https://a.example/"}, "are both set"),
        ({"USERLINE_SECRET": SECRET, "USERLINE_ALLOW_OPEN": "true"}, "In production tokens must be checked"),
    ],
)
def test_what_it_does_not_start_with(tmp_path: Path, env: dict[str, str], sentence: str) -> None:
    with pytest.raises(AssertionError) as caught:
        RunningGateway(tmp_path, env={"USERLINE_ENV": "production"} | env)
    assert sentence in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_an_open_gateway_does_not_bind_other_addresses(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        RunningGateway(tmp_path, "--host", "0.0.0.0")  # noqa: S104 - it is refused
    assert "so that tokens are checked" in str(caught.value)
