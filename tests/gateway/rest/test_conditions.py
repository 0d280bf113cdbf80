"""Requests that are done only if the user is as the client believes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support.tokens import token_of

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

NEVER = '"1"'


@pytest.fixture
def alice(server: httpx.Client) -> str:
    """The ETag of a user who was written twice."""
    server.put("/users/alice", json={"name": "Alice"})
    server.put("/users/alice", json={"email": "alice@example.com"})
    tag: str = server.get("/users/alice").headers["etag"]
    return tag


def put(server: httpx.Client, body: object, **headers: str) -> httpx.Response:
    return server.put(
        "/users/alice", json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_the_tag_is_the_version(server: httpx.Client, alice: str) -> None:
    assert alice == f'"{server.get("/users/alice").json()["version"]}"'
    written = put(server, {"name": "B"})
    assert written.headers["etag"] == server.get("/users/alice").headers["etag"] != alice
    assert put(server, {"name": "B"}).headers["etag"] == written.headers["etag"]
    assert "etag" not in server.get("/users/nobody").headers
    assert "etag" not in server.get("/users").headers


@pytest.mark.parametrize("form", ["{}", '"1", {}', '{} ,,"a,b", W/"x"', "*", '"a\\" , {}'])
def test_if_match_lets_through_who_knows_the_state(server: httpx.Client, alice: str, form: str) -> None:
    header = form.format(alice)
    assert put(server, {"name": form}, if_match=header).json() == {"created": False, "changed": True}
    assert server.get("/users/alice", headers={"if-match": "*"}).status_code == 200


@pytest.mark.parametrize("form", ["W/{}", NEVER, '"", "x"', '"0{}"', '"{}0"'])
def test_if_match_refuses_who_does_not(server: httpx.Client, alice: str, form: str) -> None:
    header = form.format(alice if form == "W/{}" else alice.strip('"'))
    before = server.get("/users/alice").json()
    for answer in (
        put(server, {"name": "B"}, if_match=header),
        put(server, before, if_match=header),
        server.delete("/users/alice", headers={"if-match": header}),
        server.get("/users/alice", headers={"if-match": header}),
    ):
        assert answer.status_code == 412, answer.text
        assert answer.json()["errorCode"] == "PRECONDITION_FAILED"
        assert before["version"] in answer.json()["reasons"][0]
    assert server.get("/users/alice").json() == before


def test_several_lines_are_one_list(server: httpx.Client, alice: str) -> None:
    lines = [("if-match", NEVER), ("if-match", alice)]
    assert server.put("/users/alice", json={"name": "B"}, headers=lines).status_code == 200


def test_if_none_match(server: httpx.Client, alice: str) -> None:
    for header in (alice, f"W/{alice}", f'"x", {alice}', "*"):
        answer = server.get("/users/alice", headers={"if-none-match": header})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", alice)
        assert put(server, {"name": "B"}, if_none_match=header).status_code == 412
    assert server.get("/users/alice", headers={"if-none-match": NEVER}).json()["name"] == "Alice"
    assert put(server, {"name": "B"}, if_none_match=NEVER).status_code == 200
    answer = server.get("/users/nobody", headers={"if-none-match": "*", "if-match": "*"})
    assert answer.status_code == 404


def test_creating_only_or_changing_only(server: httpx.Client) -> None:
    server.delete("/users/new")
    assert server.put("/users/new", json={"name": "A"}, headers={"if-match": "*"}).status_code == 412
    assert server.put("/users/new", json={"name": "A"}, headers={"if-none-match": "*"}).json()["created"] is True
    assert server.put("/users/new", json={"name": "A"}, headers={"if-none-match": "*"}).status_code == 412
    assert server.delete("/users/new", headers={"if-match": "*"}).json() == {"deleted": True}
    assert server.delete("/users/new", headers={"if-match": "*"}).status_code == 412


@pytest.mark.parametrize("header", ["", ",", "1", "x", '"1', 'w/"1"', "*, *", '"1" "2"', '*, "1"', '"a b"', "W/*"])
@pytest.mark.parametrize("name", ["if-match", "if-none-match"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_no_tag_is_said(server: httpx.Client, alice: str, method: str, name: str, header: str) -> None:
    body: dict[str, Any] = {"json": {"name": "B"}} if method == "PUT" else {}
    answer = server.request(method, "/users/alice", headers={name: header}, **body)
    assert answer.status_code == 400, answer.text
    (reason,) = answer.json()["reasons"]
    assert reason.lower().startswith(f"{name} must be * or entity tags")
    assert server.get("/users/alice").headers["etag"] == alice


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match", "If-Unmodified-Since", "Content-Range"])
def test_a_condition_that_cannot_be_kept_is_refused(server: httpx.Client, alice: str, name: str) -> None:
    answers = [server.put("/users", json={"alice": {"name": "B"}}, headers={name: "*"})]
    if not name.endswith("Match"):
        answers.append(server.put("/users/alice", json={"name": "B"}, headers={name: "x"}))
        answers.append(server.delete("/users/alice", headers={name: "x"}))
    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["reasons"][0].startswith(f"{name} is not supported")
    assert server.get("/users/alice").headers["etag"] == alice


def test_a_date_beside_tags_says_nothing(server: httpx.Client, alice: str) -> None:
    """As RFC 9110 says in 13.1.4."""
    date = "Sat, 29 Oct 1994 19:43:31 GMT"
    assert put(server, {"name": "B"}, if_match=alice, if_unmodified_since=date).status_code == 200


async def test_of_many_who_have_read_the_same_one_writes(guarded: RunningGateway, alice: str) -> None:
    headers = {"authorization": f"Bearer {token_of(None)}", "if-match": alice}
    async with httpx.AsyncClient(base_url=f"{guarded.url}/v1/userline", headers=headers, timeout=60) as client:
        answers = await asyncio.gather(
            *(client.put("/users/alice", json={"custom": {str(number): "x"}}) for number in range(20))
        )
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 19]
