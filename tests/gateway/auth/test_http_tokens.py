"""Tokens over HTTP, through the door of a real gateway."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support.tokens import bad_tokens, token_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

BAD = bad_tokens()
MEDIA_TYPES = ("application/json", "application/graphql-response+json")


def post(gateway: RunningGateway, token: str | None, body: Any = None, **headers: str) -> httpx.Response:
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    body = body or {"query": "{ app { id } }"}
    return gateway.http.post("/graphql", json=body, headers=headers)


def refusal(answer: httpx.Response) -> tuple[str, str]:
    """Return the challenge and the message of an answer that must be a 401."""
    assert answer.status_code == 401
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "data" not in answer.json()
    return answer.headers["www-authenticate"], error["message"]


@pytest.mark.parametrize("token", [token_of("alice"), token_of(None), token_of("bob", exp=...)])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_good_token_is_let_in(guarded: RunningGateway, token: str, scheme: str) -> None:
    answer = guarded.http.post(
        "/graphql", json={"query": "{ app { id } }"}, headers={"authorization": f"{scheme} {token}"}
    )
    assert answer.json() == {"data": {"app": {"id": "userline"}}}


@pytest.mark.parametrize("accept", MEDIA_TYPES)
def test_without_a_token_nothing_is_answered(guarded: RunningGateway, accept: str) -> None:
    answer = post(guarded, None, accept=accept)
    assert answer.headers["content-type"] == f"{accept}; charset=utf-8"
    assert refusal(answer) == ("Bearer", "A token is required, as Authorization: Bearer TOKEN.")
    assert refusal(guarded.http.get("/graphql", params={"query": "{ app { id } }"}))[0] == "Bearer"
    assert refusal(guarded.http.post("/graphql", content=b"no JSON"))[0] == "Bearer"
    assert refusal(post(guarded, None, [{"query": "{ app { id } }"}] * 3, accept=accept))[0] == "Bearer"


@pytest.mark.parametrize("name", BAD)
def test_bad_tokens_are_refused(guarded: RunningGateway, name: str) -> None:
    for accept in MEDIA_TYPES:
        challenge, message = refusal(post(guarded, BAD[name], accept=accept))
        assert challenge == 'Bearer error="invalid_token"'
        assert message in ("The token is not valid.", "The token has expired.", "The token is not valid yet.")


@pytest.mark.parametrize("value", ["", "Bearer", "Basic YTpi", "Token x", "Bearer a b", "Bearer \xe9", "\xff"])
def test_other_ways_to_authorize_are_refused(guarded: RunningGateway, value: str) -> None:
    headers = httpx.Headers([(b"authorization", value.encode("latin-1"))])
    refusal(guarded.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers))


def test_two_headers_are_refused(guarded: RunningGateway) -> None:
    token = token_of("alice")
    headers = httpx.Headers([("authorization", f"Bearer {token}")] * 2)
    refusal(guarded.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers))


def test_a_token_elsewhere_is_none(guarded: RunningGateway) -> None:
    token = token_of("alice")
    params = {"query": "{ app { id } }", "token": token, "access_token": token, "authorization": f"Bearer {token}"}
    refusal(guarded.http.get("/graphql", params=params))
    refusal(guarded.http.get("/graphql", params=params, headers={"cookie": f"token={token}"}))


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_needs_no_token(guarded: RunningGateway, path: str) -> None:
    assert guarded.http.get(path).status_code == 200


def test_the_page_needs_no_token(guarded: RunningGateway) -> None:
    answer = guarded.http.get("/graphql", headers={"accept": "text/html"})
    assert answer.status_code in (200, 503), "503 where the page is not built"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def _is_logged(gateway: RunningGateway, pattern: str) -> bool:
    return re.search(pattern, gateway.log) is not None


async def test_the_access_log_has_the_kind_of_viewer(guarded: RunningGateway) -> None:
    for token, kind in ((token_of("kind"), "user"), (token_of(None), "app")):
        post(guarded, token, **{"x-request-id": f"kind-{kind}"})
        pattern = rf"POST /graphql 200 .*request_id=kind-{kind} .*viewer={kind}\b"
        await until(partial(_is_logged, guarded, pattern))
    post(guarded, None, **{"x-request-id": "kind-none"})
    await until(partial(_is_logged, guarded, r"POST /graphql 401.*kind-none"))
    (line,) = re.findall(r".*POST /graphql 401.*kind-none.*", guarded.log)
    assert "viewer" not in line


def test_no_warning_of_an_open_gateway(guarded: RunningGateway) -> None:
    assert "OPEN" not in guarded.log
