"""A page of an allowed origin can read every answer that it can get, and what browsers' clients send is let through."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from userline.settings.checks import normal_origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

WEB_VIEWS = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "https://tauri.localhost",
    "app://obsidian.md",
    "chrome-extension://mnbvcxzlkjhgfdsapoiuytrewq",
    "moz-extension://0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0",
    "file://",
    "null",
]
PAGE = "https://app.example.com"
SENT_BY_CLIENTS = [
    "apollo-require-preflight",
    "apollographql-client-name",
    "apollographql-client-version",
    "authorization",
    "baggage",
    "cache-control",
    "content-type",
    "last-event-id",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "x-request-id",
    "x-requested-with",
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that web views and a page may use, with a header of their own."""
    flags = ("--cors-origins", ",".join([PAGE, *WEB_VIEWS]), "--cors-headers", "X-Tenant, x-client")
    running = RunningGateway(tmp_path_factory.mktemp("cors"), *flags, env={"USERLINE_SECRET": SECRET})
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log


def preflight(gateway: RunningGateway, origin: str, *headers: str, method: str = "POST") -> httpx.Response:
    asked = {"access-control-request-method": method, "origin": origin}
    if headers:
        asked["access-control-request-headers"] = ",".join(headers)
    return gateway.http.options("/graphql", headers=asked)


@pytest.mark.parametrize("origin", [PAGE, *WEB_VIEWS])
def test_web_views_are_let_in(shared: RunningGateway, origin: str) -> None:
    assert preflight(shared, origin, "authorization").headers["access-control-allow-origin"] == origin
    headers = {"origin": origin, "authorization": f"Bearer {token_of('alice')}"}
    answer = shared.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
    with connect(shared.websocket_url, origin=Origin(origin), subprotocols=[Subprotocol("graphql-transport-ws")]):
        pass


@pytest.mark.parametrize("name", [*SENT_BY_CLIENTS, "x-tenant", "X-Client"])
def test_headers_that_clients_send(shared: RunningGateway, name: str) -> None:
    assert preflight(shared, PAGE, name).status_code == 200


def test_all_of_them_at_once_and_no_other(shared: RunningGateway) -> None:
    assert preflight(shared, PAGE, *SENT_BY_CLIENTS).status_code == 200
    assert preflight(shared, PAGE, *SENT_BY_CLIENTS, "x-other").status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_methods(shared: RunningGateway, method: str) -> None:
    assert preflight(shared, PAGE, method=method).status_code == 200


def test_any_header(tmp_path_factory: pytest.TempPathFactory) -> None:
    gateway = RunningGateway(tmp_path_factory.mktemp("any"), "--cors-origins", PAGE, "--cors-headers", "*")
    assert preflight(gateway, PAGE, "x-whatever").status_code == 200
    assert gateway.stop() == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/nothing", 404),
        ("GET", "/v1/userline/nothing", 404),
        ("GET", "/v1/userline/users/a", 401),
        ("GET", "/", 307),
        ("GET", "/graphql", 401),
        ("PATCH", "/graphql", 405),
        ("POST", "/graphql", 401),
        ("POST", "/graphql/", 401),
        ("GET", "/graphql/x", 404),
    ],
)
@pytest.mark.parametrize("origin", [PAGE, "https://mallory.example", None])
def test_every_answer(shared: RunningGateway, method: str, path: str, status: int, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    answer = shared.http.request(method, path, headers=headers, follow_redirects=False)
    assert answer.status_code == status
    assert answer.headers.get("access-control-allow-origin") == (origin if origin == PAGE else None)
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("authorization", [f"Bearer {token_of('alice')}", "Bearer x"])
@pytest.mark.parametrize("origin", [PAGE, None])
def test_answers_say_that_they_depend_on_the_origin(
    shared: RunningGateway, authorization: str, origin: str | None
) -> None:
    headers = {"authorization": authorization} | ({} if origin is None else {"origin": origin})
    bodies: list[object] = [{"query": "{ app { id } }"}, {"query": "{ nothing }"}, [], {}]
    for body in bodies:
        answer = shared.http.post("/graphql", json=body, headers=headers)
        assert answer.headers["vary"] == "Origin"


REFUSED_BY_THE_CONNECTION = {
    "two hosts": (400, b"POST /graphql HTTP/1.1\r\nHost: a\r\nHost: b\r\nOrigin: ORIGIN\r\n\r\n"),
    "before the origin": (
        431,
        b"POST /graphql HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\nOrigin: ORIGIN\r\n\r\n",
    ),
    "a coding": (400, b"POST /graphql HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nOrigin: ORIGIN\r\n\r\n"),
}


@pytest.mark.parametrize("what", REFUSED_BY_THE_CONNECTION)
def test_answers_of_the_connection_itself(shared: RunningGateway, gateway: RunningGateway, what: str) -> None:
    """They say nothing but what is wrong with the request, and may come before the origin is known."""
    status, request = REFUSED_BY_THE_CONNECTION[what]
    for running, is_readable in ((shared, True), (gateway, False)):
        port = int(running.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request.replace(b"ORIGIN", PAGE.encode()))
            answer = connection.makefile("rb").read()
        head = answer.partition(b"\r\n\r\n")[0]
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert (b"access-control-allow-origin: *" in head) is is_readable


class TestASlashAtTheEnd:
    def test_is_served_as_without_it(self, gateway: RunningGateway) -> None:
        body = {"query": "{ app { id } }"}
        with_slash, without = (gateway.http.post(path, json=body) for path in ("/graphql/", "/graphql"))
        assert with_slash.status_code == 200
        assert with_slash.content == without.content

    def test_opens_sockets(self, gateway: RunningGateway) -> None:
        with connect(f"{gateway.websocket_url}/", subprotocols=[Subprotocol("graphql-transport-ws")]) as wire:
            wire.send('{"type": "connection_init"}')
            assert "connection_ack" in str(wire.recv(10))

    def test_leads_browsers_to_the_page_by_a_relative_address(self, gateway: RunningGateway) -> None:
        answer = gateway.http.get("/graphql/", headers={"accept": "text/html"}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, "../graphql")

    @pytest.mark.parametrize("path", ["/healthz/", "/metrics/", "/graphiql", "/v1/"])
    def test_no_other_path_is_redirected(self, gateway: RunningGateway, path: str) -> None:
        answer = gateway.http.get(path, follow_redirects=False)
        assert answer.status_code == 404
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("https://APP.example.com:443", "https://app.example.com"),
        ("http://a:80", "http://a"),
        ("http://a:443", "http://a:443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("capacitor://LOCALHOST", "capacitor://localhost"),
        ("NULL", "null"),
        ("file://", "file://"),
    ],
)
def test_origins_are_compared_as_browsers_send_them(given: str, normal: str) -> None:
    assert normal_origin(given) == normal


NO_ORIGINS = """
* app.example.com https:// https:/// https://a/ https://a/b https://a?b https://u@a 1a://b https://a:x https://[::1
capacitor:// data:,x https://é.example ws://a wss://a:8000
"""


@pytest.mark.parametrize("bad", ["", *NO_ORIGINS.split(), "https://a b"])
def test_what_is_no_origin_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="capacitor://localhost"):
        normal_origin(bad)


OF_THIS_MACHINE = ["http://localhost:5173", "http://127.0.0.1:3000", "https://localhost", "http://[::1]:8080"]
OF_OTHERS = ["http://localhost.mallory.example", "http://mallory.example", "null", "capacitor://localhost", "http://"]


def test_pages_of_this_machine_may_use_a_gateway_that_is_open(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    query = {"query": "{ app { id } }"}
    for origin in OF_THIS_MACHINE:
        assert preflight(gateway, origin, "content-type", "traceparent").status_code == 200
        for path in ("/graphql", "/graphql/"):
            answer = gateway.http.post(path, json=query, headers={"origin": origin})
            assert answer.headers["access-control-allow-origin"] == origin
        private = gateway.http.get("/v1/userline/users/alice", headers={"origin": origin})
        assert "access-control-allow-origin" not in private.headers, "what is private is for back ends"
    for origin in OF_OTHERS:
        answer = gateway.http.post("/graphql", json=query, headers={"origin": origin})
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (200, False)
        assert preflight(gateway, origin).status_code == 400
    assert gateway.stop() == 0


def test_pages_of_this_machine_need_permission_where_there_are_tokens(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, env={"USERLINE_SECRET": SECRET})
    for origin in OF_THIS_MACHINE:
        headers = {"origin": origin, "authorization": f"Bearer {token_of('alice')}"}
        answer = gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers)
        assert "access-control-allow-origin" not in answer.headers
    assert gateway.stop() == 0


@pytest.mark.parametrize("allowed", [[], ["--cors-origins", PAGE]])
def test_the_log_names_pages_that_cannot_read_and_the_setting(tmp_path: Path, allowed: list[str]) -> None:
    gateway = RunningGateway(tmp_path, *allowed)

    def told(origin: str) -> int:
        return gateway.log.count(f"A web page of {origin} sent a request")

    own = gateway.url
    for origin in [own, "http://localhost:5173", *allowed[1:], "not an origin", "a\tb"] * 2:
        gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers={"origin": origin})
    assert "A web page of" not in gateway.log
    pages = [f"https://page-{number}.example" for number in range(30)]
    for origin in pages * 2:
        preflight(gateway, origin)
        gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers={"origin": origin})
    assert [told(origin) for origin in pages] == [1] * 10 + [0] * 20, "once each, and not for ever"
    assert gateway.log.count("USERLINE_CORS_ORIGINS") == 10
    assert gateway.stop() == 0
