"""GraphQL over HTTP, through the door of a real gateway."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.gateway import RunningGateway


@pytest.fixture
def gateway(each_gateway: RunningGateway) -> RunningGateway:
    """Every test here goes by the fast lane and the shortcut, where they take the request, and by the ordinary way."""
    return each_gateway


JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
APP = b'{"query":"{app{id}}"}'


def post(gateway: RunningGateway, body: bytes, accept: str = JSON, content_type: str = JSON) -> httpx.Response:
    return gateway.http.post("/graphql", content=body, headers={"accept": accept, "content-type": content_type})


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["errors"][0]
    return error


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"null", "body"),
        (b"5", "body"),
        (b'"x"', "body"),
        (b"true", "body"),
        (b"[]", "body"),
        (b"\xff\xfe", "body"),
        (b'{"query":"{app{id}}","variables":{"a":NaN}}', "body"),
        (b'{"query":"{app{id}}","variables":{"a":Infinity}}', "body"),
        (b'{"query":"{app{id}}","variables":{"a":"\\ud800"}}', "variables"),
        (b'{"query":"{app{id}}","\\ud800":1}', "?"),
        pytest.param(b'{"query":"{app{id}}","variables":{"a":' + b"1" * 5000 + b"}}", "variables", id="5,000 digits"),
        pytest.param(b"[" * 100_000, "body", id="100,000 deep"),
        pytest.param(
            b'{"query":"{app{id}}","variables":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
            "body",
            id="deep variables",
        ),
        (b"{}", "query"),
        (b'{"query":null}', "query"),
        (b'{"query":5}', "query"),
        (b'{"query":["{app{id}}"]}', "query"),
        (b'{"query":"{app{id}}","variables":[1]}', "variables"),
        (b'{"query":"{app{id}}","variables":"{}"}', "variables"),
        (b'{"query":"{app{id}}","operationName":5}', "operationName"),
        (b'{"query":"{app{id}}","extensions":5}', "extensions"),
        (b'{"query":"subscription{userChanged(id:\\"a\\"){id}}"}', "query"),
        pytest.param(b"[" + b",".join([APP] * 51) + b"]", "body", id="a batch of 51"),
    ],
)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
def test_requests_that_are_none(gateway: RunningGateway, body: bytes, field: str, accept: str) -> None:
    answer = post(gateway, body, accept)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == f"{accept}; charset=utf-8"
    error = error_of(answer)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["field"] == field
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("", None, "GRAPHQL_PARSE_FAILED"),
        ('{ user(id: "\\ud800") { id } }', None, "GRAPHQL_PARSE_FAILED"),
        pytest.param("{" * 900, None, "GRAPHQL_PARSE_FAILED", id="900 deep"),
        ("{ nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: 1.5) { id } }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ user { id } }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { app { id } } query B { app { id } }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query($id: ID!) { user(id: $id) { id } }", {}, "BAD_USER_INPUT"),
        ("query($id: ID!) { user(id: $id) { id } }", {"id": None}, "BAD_USER_INPUT"),
        ("query($id: ID!) { user(id: $id) { id } }", {"id": 1.5}, "BAD_USER_INPUT"),
        ("query($id: ID!) { user(id: $id) { id } }", {"id": {"$gt": ""}}, "BAD_USER_INPUT"),
        pytest.param("{ app { id } } " * 2000, None, "OPERATION_TOO_COMPLEX", id="30,000 characters"),
        pytest.param("{ app { " + "id " * 2000 + "} }", None, "OPERATION_TOO_COMPLEX", id="2,000 tokens"),
    ],
)
def test_documents_that_cannot_be_executed(
    gateway: RunningGateway, query: str, variables: dict[str, Any] | None, code: str
) -> None:
    body = json.dumps({"query": query, "variables": variables}).encode()
    for accept, status in ((GRAPHQL, 400), (JSON, 200)):
        answer = post(gateway, body, accept)
        assert answer.status_code == status
        assert error_of(answer)["extensions"]["code"] == code
        assert "data" not in answer.json()


@pytest.mark.parametrize(
    ("user_id", "patch", "code", "field"),
    [
        ("", {"name": "A"}, "BAD_USER_INPUT", "id"),
        pytest.param("x" * 256, {"name": "A"}, "BAD_USER_INPUT", "id", id="256 characters"),
        ("bad\0", {"name": "A"}, "BAD_USER_INPUT", "id"),
        ("bad", {"name": "\n\t "}, "BAD_USER_INPUT", "name"),
        pytest.param(
            "bad", {"name": "A", "custom": {"k": "x" * 70_000}}, "BAD_USER_INPUT", "custom", id="70,000 custom"
        ),
        pytest.param(
            "bad", {"name": "A", "welcomeMessage": "x" * 70_000}, "BAD_USER_INPUT", "welcomeMessage", id="70,000"
        ),
        ("bad", {"name": "A", "email": ["a"]}, "BAD_USER_INPUT", "email"),
        ("bad", {}, "NAME_REQUIRED", "name"),
    ],
)
def test_bad_input_writes_nothing(
    gateway: RunningGateway, user_id: str, patch: dict[str, Any], code: str, field: str
) -> None:
    query = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { created } }"
    answer = post(gateway, json.dumps({"query": query, "variables": {"id": user_id, "input": patch}}).encode())
    assert answer.status_code == 200
    error = error_of(answer)
    assert (error["extensions"]["code"], error["extensions"]["field"]) == (code, field)
    assert gateway.data('{ user(id: "bad") { id } }') == {"user": None}


def test_get_is_for_queries_only(gateway: RunningGateway) -> None:
    answer = gateway.http.get(
        "/graphql",
        params={
            "query": "query A($id: ID!) { user(id: $id) { id } } query B { app { id } }",
            "variables": '{"id": "nobody"}',
            "operationName": "A",
        },
    )
    assert answer.json() == {"data": {"user": None}}
    mutation = 'mutation { setUser(id: "get", input: {name: "G"}) { created } }'
    for method in ("GET", "HEAD"):
        assert gateway.http.request(method, "/graphql", params={"query": mutation}).status_code == 405
    assert gateway.http.get("/graphql", params={"query": mutation}).headers["allow"] == "POST"
    assert gateway.data('{ user(id: "get") { id } }') == {"user": None}
    bad = gateway.http.get("/graphql", params={"query": "{ app { id } }", "variables": "{"})
    assert bad.status_code == 400
    assert error_of(bad)["extensions"]["field"] == "variables"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ("query={app{id}}&query={app{id}}", "query"),
        ("query={app{id}}&variables={}&variables=", "variables"),
        ("query={user(id:%22%FF%22){id}}", "query"),
        ("query={app{id}}&variables={%22id%22:%22%ED%A0%BD%22}", "query"),
        ("query={app{id}}&" + "&".join(f"a{number}" for number in range(50)), "query"),
    ],
)
def test_get_parameters_that_mean_nothing_certain(gateway: RunningGateway, parameters: str, field: str) -> None:
    refused = gateway.http.get(f"/graphql?{parameters}")
    assert refused.status_code == 400
    assert error_of(refused)["extensions"]["field"] == field
    assert gateway.http.get("/graphql?query={app{id}}&cache=1&cache=2&&é=%C3%A9").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods(gateway: RunningGateway, method: str) -> None:
    answer = gateway.http.request(method, "/graphql")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"]
)
def test_a_form_cannot_post(gateway: RunningGateway, content_type: str) -> None:
    answer = post(gateway, APP, content_type=content_type)
    assert answer.status_code == 415
    assert error_of(answer)["extensions"]["field"] == "content-type"


def test_charsets(gateway: RunningGateway) -> None:
    assert post(gateway, APP, content_type='application/json; charset="UTF-8"').status_code == 200
    assert post(gateway, APP, content_type="application/json; charset=utf-16").status_code == 415


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("*/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, {JSON}", JSON),
        (f"{GRAPHQL}, {JSON};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.1, application/*;q=0.2", JSON),
        ("application/*", JSON),
        (f"{JSON};q=0, */*", GRAPHQL),
    ],
)
def test_the_media_type_is_the_one_the_client_likes_best(
    gateway: RunningGateway, accept: str | None, expected: str
) -> None:
    headers = {"content-type": JSON} | ({} if accept is None else {"accept": accept})
    answer = gateway.http.send(httpx.Request("POST", gateway.url + "/graphql", content=APP, headers=headers))
    assert answer.headers["content-type"] == f"{expected}; charset=utf-8"


def test_nothing_acceptable(gateway: RunningGateway) -> None:
    assert post(gateway, APP, accept="image/png").status_code == 406


def test_a_body_that_is_too_large(gateway: RunningGateway) -> None:
    answer = post(gateway, b'{"query":"' + b" " * 1_048_576 + b'"}')
    assert answer.status_code == 413
    assert "1048576 bytes" in error_of(answer)["message"]

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 65_536

    answer = gateway.http.post("/graphql", content=chunks(), headers={"content-type": JSON})
    assert answer.status_code == 413


def test_a_batch_is_answered_in_order_and_item_by_item(gateway: RunningGateway) -> None:
    reads = gateway.metric("userline_store_reads_total")
    query = "query($id: ID!) { user(id: $id) { id } }"
    batch: list[dict[str, object]] = [{"query": query, "variables": {"id": f"batched {n}"}} for n in range(48)]
    answer = gateway.http.post("/graphql", json=[*batch, {"query": 5}, {"query": "{ app { id } }"}])
    assert answer.status_code == 200
    body = answer.json()
    assert body[:48] == [{"data": {"user": None}}] * 48
    assert body[48]["errors"][0]["extensions"]["field"] == "query"
    assert body[49] == {"data": {"app": {"id": "userline"}}}
    assert gateway.metric("userline_store_reads_total") == reads + 1


def test_every_answer_has_a_request_id(gateway: RunningGateway) -> None:
    first = gateway.http.get("/healthz").headers["x-request-id"]
    assert first != gateway.http.get("/healthz").headers["x-request-id"]
    for sensible in ("my-id.1", "A" * 64):
        assert gateway.http.get("/healthz", headers={"x-request-id": sensible}).headers["x-request-id"] == sensible
    for odd in ("", "a b", "A" * 65, "a\tb"):
        assert gateway.http.get("/healthz", headers={"x-request-id": odd}).headers["x-request-id"] != odd


def test_a_client_that_goes_away_in_the_middle_of_its_body_harms_nobody(gateway: RunningGateway) -> None:
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        connection.sendall(b'content-length: 100\r\n\r\n{"query"')
    assert gateway.data("{ app { id } }") == {"app": {"id": "userline"}}


def test_health(gateway: RunningGateway) -> None:
    assert gateway.http.get("/healthz").json() == {"status": "ok"}
    assert gateway.http.get("/readyz").json() == {"status": "ready", "store": "ok", "bus": "ok"}
    assert gateway.http.get("/nothing").status_code == 404
    metrics = gateway.http.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "process_resident_memory_bytes" in metrics.text


def test_a_browser_gets_graphiql_and_a_tool_does_not(gateway: RunningGateway) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
    answer = gateway.http.get("/graphql", headers={"accept": browser})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src" in answer.headers["content-security-policy"]
    assert gateway.http.get("/", headers={"accept": browser}, follow_redirects=True).text == answer.text
    script = re.search(r'src="\./(graphiql/[^"]+\.js)"', answer.text)
    assert script, answer.text
    asset = gateway.http.get("/" + script[1])
    assert asset.status_code == 200
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert gateway.http.get("/graphiql/../pyproject.toml").status_code == 404
    assert gateway.http.get("/graphql").status_code == 400
    assert gateway.http.get("/graphql", params={"query": "{ app { id } }"}).json() == {
        "data": {"app": {"id": "userline"}}
    }
