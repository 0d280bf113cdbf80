"""What web pages of other origins may do: CORS, WebSockets, and names that were made to lead here."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

ALLOWED = "https://app.example.com"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that checks tokens and lets pages of two origins use it."""
    flags = ("--cors-origins", "https://APP.example.com:443, http://other.example:8080")
    running = RunningGateway(tmp_path_factory.mktemp("shared"), *flags, env={"USERLINE_SECRET": SECRET})
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log


def handshake(gateway: RunningGateway, origin: str | None, host: str | None = None) -> int:
    """Return the status of a WebSocket handshake."""
    port = int(gateway.url.rpartition(":")[2])
    url = gateway.websocket_url if host is None else f"ws://{host}/graphql"
    try:
        with connect(
            url,
            sock=socket.create_connection(("127.0.0.1", port)),
            origin=None if origin is None else Origin(origin),
            subprotocols=[Subprotocol("graphql-transport-ws")],
            proxy=None,
        ):
            return 101
    except InvalidStatus as refused:
        answer = refused.response
    assert answer.headers["x-request-id"]
    assert b"FORBIDDEN" in (answer.body or b"")
    return answer.status_code


def preflight(gateway: RunningGateway, origin: str, path: str = "/graphql", **headers: str) -> httpx.Response:
    return gateway.http.options(path, headers=PREFLIGHT | {"origin": origin} | headers)


class TestCors:
    @pytest.mark.parametrize("origin", [ALLOWED, "http://other.example:8080"])
    @pytest.mark.parametrize("path", ["/graphql", "/v1/userline/users/x"])
    def test_an_allowed_origin(self, shared: RunningGateway, origin: str, path: str) -> None:
        answer = preflight(shared, origin, path)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in answer.headers
        assert "POST" in answer.headers["access-control-allow-methods"]
        asked = shared.http.post(
            "/graphql",
            json={"query": "{ app { id } }"},
            headers={"origin": origin, "authorization": f"Bearer {token_of('alice')}"},
        )
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == origin
        assert "origin" in asked.headers["vary"].lower()

    def test_a_refusal_can_be_read_by_the_page(self, shared: RunningGateway) -> None:
        answer = shared.http.post("/graphql", json={"query": "{ app { id } }"}, headers={"origin": ALLOWED})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == ALLOWED

    @pytest.mark.parametrize(
        "origin",
        [
            "https://mallory.example",
            "http://app.example.com",
            "https://app.example.com:444",
            "https://app.example.com.mallory.example",
            "http://localhost:3000",
            "null",
            "",
        ],
    )
    def test_another_origin(self, shared: RunningGateway, origin: str) -> None:
        for answer in (
            preflight(shared, origin),
            shared.http.post("/graphql", json={"query": "{ app { id } }"}, headers={"origin": origin}),
        ):
            assert answer.status_code in (400, 401)
            assert "access-control-allow-origin" not in answer.headers

    @pytest.mark.parametrize("path", ["/metrics", "/readyz", "/healthz"])
    def test_only_the_api_is_for_pages(self, shared: RunningGateway, path: str) -> None:
        answer = shared.http.get(path, headers={"origin": ALLOWED})
        assert "access-control-allow-origin" not in answer.headers

    @pytest.mark.parametrize("origin", [ALLOWED, "null"])
    def test_off_by_default(self, gateway: RunningGateway, origin: str) -> None:
        """Pages of this machine are let in by a gateway that is open: ``test_cors.py``."""
        assert preflight(gateway, origin).status_code == 400
        answer = gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers={"origin": origin})
        assert "access-control-allow-origin" not in answer.headers


class TestSockets:
    @pytest.mark.parametrize(
        ("origin", "open_status", "shared_status"),
        [
            (None, 101, 101),
            ("https://mallory.example", 403, 403),
            ("null", 403, 403),
            ("file://", 403, 403),
            ("http://localhost", 101, 403),
            ("http://localhost:3000", 101, 403),
            ("http://127.0.0.1:5173", 101, 403),
            ("http://[::1]:5173", 101, 403),
            ("http://localhost.mallory.example", 403, 403),
            ("http://127.0.0.1.mallory.example:8000", 403, 403),
            ("http://mallory.example@localhost", 403, 403),
            (ALLOWED, 403, 101),
            ("http://other.example:8080", 403, 101),
            ("http://other.example", 403, 403),
            ("HTTPS://APP.EXAMPLE.COM", 403, 101),
        ],
    )
    def test_origins(
        self,
        gateway: RunningGateway,
        shared: RunningGateway,
        origin: str | None,
        open_status: int,
        shared_status: int,
    ) -> None:
        assert handshake(gateway, origin) == open_status
        assert handshake(shared, origin) == shared_status

    def test_its_own_origin(self, gateway: RunningGateway, shared: RunningGateway) -> None:
        for running in (gateway, shared):
            assert handshake(running, running.url) == 101
        assert handshake(shared, "https://userline.example.com", host="userline.example.com") == 101
        assert handshake(shared, "https://userline.example.com:8443", host="userline.example.com:8443") == 101
        assert handshake(shared, "https://userline.example.com", host="userline.example.com:8443") == 403
        assert handshake(shared, "https://mallory.example", host="userline.example.com") == 403


class TestHosts:
    KNOWN = ("127.0.0.1", "localhost", "localhost:1234", "LOCALHOST.", "[::1]:8000", "127.8.9.10")
    OTHER = (
        "mallory.example",
        "localhost.mallory.example",
        "127.0.0.1.mallory.example",
        "10.0.0.1",
        "[",
        "a@localhost",
    )

    @pytest.mark.parametrize("host", KNOWN)
    def test_an_open_gateway_answers_as_localhost(self, gateway: RunningGateway, host: str) -> None:
        assert gateway.http.get("/healthz", headers={"host": host}).status_code == 200

    @pytest.mark.parametrize("host", OTHER)
    @pytest.mark.parametrize("path", ["/graphql", "/metrics", "/healthz", "/"])
    def test_and_under_no_other_name(self, gateway: RunningGateway, host: str, path: str) -> None:
        answer = gateway.http.get(path, headers={"host": host})
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["extensions"] == {"code": "FORBIDDEN"}

    def test_a_socket_of_a_page_whose_name_was_made_to_lead_here(self, gateway: RunningGateway) -> None:
        assert handshake(gateway, "http://mallory.example", host="mallory.example") == 403

    @pytest.mark.parametrize("host", ["userline.example.com", "10.0.0.1:8000"])
    def test_with_tokens_any_name_will_do(self, shared: RunningGateway, host: str) -> None:
        assert shared.http.get("/healthz", headers={"host": host}).status_code == 200

    def test_who_is_told_to_run_open_answers_to_any_name(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        running = RunningGateway(tmp_path_factory.mktemp("told"), "--allow-open")
        assert running.http.get("/healthz", headers={"host": "mallory.example"}).status_code == 200
        running.stop()


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_a_form_can_send_is_no_request(gateway: RunningGateway, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = gateway.http.post("/graphql", content=b'{"query":"{app{id}}"}', headers=headers)
    assert answer.status_code == 415
