"""HEAD, which is GET without the body, and OPTIONS, at every path of a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

_OF_EACH = ("date", "x-request-id")
QUERY = "/graphql?query={app{id}}"


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (QUERY, "*/*"),
        (QUERY, "application/graphql-response+json"),
        (QUERY, "text/event-stream"),
        (QUERY, "text/plain"),
        ('/graphql?query=mutation{deleteUser(id:"a"){deleted}}', "*/*"),
        ("/graphql", "*/*"),
        ("/graphql", "text/html"),
        ("/graphql/", "text/html"),
        ("/", "*/*"),
        ("/healthz", "*/*"),
        ("/readyz", "*/*"),
        ("/v1/openapi.json", "*/*"),
        ("/v1/userline/users", "*/*"),
        ("/v1/userline/users/head", "*/*"),
        ("/v1/userline/users/nobody", "*/*"),
        ("/v1/userline/users?limit=0", "*/*"),
        ("/nothing", "*/*"),
    ],
)
def test_head_is_get_without_the_body(gateway: RunningGateway, path: str, accept: str) -> None:
    gateway.http.put("/v1/userline/users/head", json={"name": "Head"})
    gets, heads = (
        gateway.http.request(method, path, headers={"accept": accept}, follow_redirects=False)
        for method in ("GET", "HEAD")
    )
    assert heads.status_code == gets.status_code
    assert heads.content == b""
    assert [item for item in heads.headers.items() if item[0] not in _OF_EACH] == [
        item for item in gets.headers.items() if item[0] not in _OF_EACH
    ]
    assert gateway.http.get("/v1/userline/users/head").status_code == 200


def test_head_opens_no_stream(gateway: RunningGateway) -> None:
    query = 'subscription{userChanged(id:"a"){id}}'
    answer = gateway.http.head("/graphql", params={"query": query}, headers={"accept": "text/event-stream"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("accept", ["*/*", "text/html", "image/png"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/graphql", "GET, HEAD, POST, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/readyz", "GET, HEAD, OPTIONS"),
        ("/metrics", "GET, HEAD, OPTIONS"),
        ("/v1/openapi.json", "GET, HEAD, OPTIONS"),
        ("/v1/userline/users", "GET, HEAD, PUT, OPTIONS"),
        ("/v1/userline/users/a", "GET, HEAD, PUT, DELETE, OPTIONS"),
    ],
)
def test_options_tell_the_methods(gateway: RunningGateway, path: str, allowed: str, accept: str) -> None:
    answer = gateway.http.options(path, headers={"accept": accept})
    assert (answer.status_code, answer.content) == (204, b"")
    assert sorted(answer.headers["allow"].split(", ")) == sorted(allowed.split(", "))
    assert "content-type" not in answer.headers
    assert gateway.http.request("TRACE", path, headers={"accept": accept}).status_code == 405


def test_options_of_nothing(gateway: RunningGateway) -> None:
    assert gateway.http.options("/nothing").status_code == 404
    assert gateway.http.options("/v1/another-app/users").status_code == 404
