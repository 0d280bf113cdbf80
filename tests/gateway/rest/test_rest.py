"""The REST API, through the door of a real gateway that asks for tokens."""

from __future__ import annotations

import ast
import json
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from tests.strategies import ODD_TEXTS
from tests.support.tokens import bad_tokens, token_of
from tests.users.samples import DEFAULTS

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

EMPTY = DEFAULTS
JSON_TYPE = {"content-type": "application/json"}
IDS = [text for text in ODD_TEXTS if text and "\0" not in text]
IDS += [
    ".",
    "..",
    "a/b",
    "/",
    "//",
    "a?b#c",
    "a%2Fb",
    "users",
    "openapi.json",
    "a\n",
    "\r\nx: y",
    "😀" * 255,
    "+",
    " a ",
]


def address(user_id: str) -> str:
    return f"/users/{quote(user_id, safe='')}"


def exact(guarded: RunningGateway, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
    """Send a target as it is: HTTP libraries fold the segments ``.`` and ``..``."""
    parts = urlsplit(guarded.url)
    head = f"{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token_of(None)}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port), 30) as connection:
        connection.sendall(head.encode("latin-1") + body)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    header, _, content = received.partition(b"\r\n\r\n")
    return int(header.split()[1]), json.loads(content)


def refused(answer: httpx.Response, status: int, code: str) -> list[str]:
    assert answer.status_code == status, answer.text
    value = answer.json()
    assert value["errorCode"] == code
    reasons: list[str] = value["reasons"]
    assert reasons
    assert "Traceback" not in answer.text
    return reasons


def test_a_user_from_first_to_last(server: httpx.Client) -> None:
    assert refused(server.get("/users/first"), 404, "NOT_FOUND") == ['There is no user "first".']
    assert refused(server.put("/users/first", json={"locale": "en"}), 400, "NAME_REQUIRED")
    created = server.put("/users/first", json={"name": "First", "email": "a@example.com", "custom": {"a": "1"}})
    assert (created.status_code, created.json()) == (200, {"created": True, "changed": True})
    patch = {"custom": {"a": None, "b": "2"}, "phone": ["+14155552671"], "pushTokens": {"fcm:x": True}}
    assert server.put("/users/first", json=patch).json() == {"created": False, "changed": True}
    assert server.put("/users/first", json=patch).json() == {"created": False, "changed": False}
    record = server.get("/users/first").json()
    assert record.pop("createdAt") <= record.pop("updatedAt") <= int(record.pop("version"))
    assert record == EMPTY | {
        "id": "first",
        "name": "First",
        "custom": {"b": "2"},
        "email": ["a@example.com"],
        "phone": ["+14155552671"],
        "pushTokens": {"fcm:x": True},
    }
    server.put("/users/first", json=dict.fromkeys(EMPTY))
    assert EMPTY.items() <= server.get("/users/first").json().items()


def test_answers_are_json_that_nobody_keeps(server: httpx.Client) -> None:
    for answer in (server.get("/users"), server.get("/users/nobody"), server.get("/nothing"), server.delete("/users")):
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("user_id", IDS, ids=ascii)
def test_any_id_is_a_segment(guarded: RunningGateway, user_id: str) -> None:
    for encoded in {quote(user_id, safe=""), "".join(f"%{byte:02x}" for byte in user_id.encode())}:
        target = f"/v1/userline/users/{encoded}"
        body = json.dumps({"name": "Odd"}).encode()
        assert exact(guarded, "PUT", target, body)[0] == 200
        status, record = exact(guarded, "GET", target)
        assert (status, record["id"]) == (200, user_id)


@pytest.mark.parametrize("segment", ["", "%", "%2", "%zz", "%FF", "%C3", "%ED%A0%80", "%00", "a%00b", "a" * 256])
def test_ids_that_are_none(guarded: RunningGateway, segment: str) -> None:
    status, value = exact(guarded, "GET", f"/v1/userline/users/{segment}")
    assert (status, value["errorCode"]) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "target",
    [
        "/v1",
        "/v1/",
        "/v1/userline",
        "/v1/userline/",
        "/v1/another/users",
        "/v1/USERLINE/users/a",
        "/v1//users",
        "/v1/userline/users/a/b",
        "/v1/userline/user/a",
        "/v1/userline/../userline/users",
    ],
)
def test_addresses_that_are_none(guarded: RunningGateway, target: str) -> None:
    status, value = exact(guarded, "GET", target)
    assert (status, value["errorCode"]) == (404, "NOT_FOUND")


def test_other_methods(server: httpx.Client) -> None:
    for path, allowed in (("/users", "GET, HEAD, PUT"), ("/users/a", "GET, HEAD, PUT, DELETE")):
        for method in {"POST", "DELETE", "PATCH", "TRACE"} - set(allowed.split(", ")):
            answer = server.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b'{"custom":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, "application/json", 400),
        (b'{"name": "' + b"x" * 1_048_576 + b'"}', "application/json", 413),
        (b'{"name": "x"}', "text/plain", 415),
        (b'{"name": "x"}', "application/json; charset=latin-1", 415),
    ],
    ids=["empty", "cut", "list", "null", "NaN", "surrogate", "deep", "large", "text", "latin-1"],
)
@pytest.mark.parametrize("path", ["/users", "/users/nothing"])
def test_bodies_that_are_none(server: httpx.Client, path: str, body: bytes, content_type: str, status: int) -> None:
    answer = server.put(path, content=body, headers={"content-type": content_type})
    refused(answer, status, "BAD_USER_INPUT")
    assert server.get("/users/nothing").status_code == 404


def test_all_problems_of_a_patch_are_told(server: httpx.Client) -> None:
    patch = {"name": " ", "email": "nobody", "pushTokens": {"x": False}, "madeAt": 5}
    reasons = refused(server.put("/users/bad", json=patch), 400, "BAD_USER_INPUT")
    assert [reason.split()[0] for reason in reasons] == ["madeAt", "name", "email", "pushTokens"]
    many = refused(server.put("/users/bad", json={str(number): 1 for number in range(5000)}), 400, "BAD_USER_INPUT")
    assert many[49:] == [
        "49 is not a field of a user.",
        "49 is followed by 4950 more that are not fields of a user.",
    ]


def test_a_batch_is_written_whole_or_not_at_all(server: httpx.Client) -> None:
    batch: dict[str, Any] = {"batch/1": {"name": "One"}, "batch 2": {"name": "Two", "phone": "+14155552671"}}
    answer = server.put("/users", json=batch)
    assert answer.json() == {user_id: {"created": True, "changed": True} for user_id in batch}
    bad = {"batch/1": {"name": "Changed"}, "new": {"locale": "en"}, "batch 2": {"name": "x" * 256}, "": {}, "l": []}
    answer = server.put("/users", json=bad)
    assert refused(answer, 400, "BAD_USER_INPUT") == [
        '"batch 2", "" and "l" are refused, so no user of the batch was written.'
    ]
    errors = answer.json()["users"]
    assert {user_id: error["errorCode"] for user_id, error in errors.items()} == {
        "batch 2": "BAD_USER_INPUT",
        "": "BAD_USER_INPUT",
        "l": "BAD_USER_INPUT",
    }
    answer = server.put("/users", json={"batch/1": {"name": "Changed"}, "new": {"locale": "en"}})
    assert answer.json()["users"] == {
        "new": {
            "errorCode": "NAME_REQUIRED",
            "reasons": ['name is required, because there is no user "new" yet.'],
        }
    }
    assert server.get(address("batch/1")).json()["name"] == "One"
    assert server.put("/users", json={}).json() == {}


def test_a_batch_has_at_most_100_users(server: httpx.Client) -> None:
    batch = {f"many {number}": {"name": "x"} for number in range(101)}
    reasons = refused(server.put("/users", json=batch), 400, "BAD_USER_INPUT")
    assert reasons == ["A batch has at most 100 users, not 101."]
    del batch["many 100"]
    assert len(server.put("/users", json=batch).json()) == 100


def test_walking_through_all_users(server: httpx.Client) -> None:
    server.put("/users", json={f"walk {number:03}": {"name": "x"} for number in range(25)})
    seen: list[str] = []
    page = server.get("/users").json()
    assert len(page["data"]) == 10
    while True:
        seen += [user["id"] for user in page["data"]]
        if not page["hasMore"]:
            break
        page = server.get("/users", params={"limit": 7, "startingAfter": seen[-1]}).json()
        assert page["data"]
    assert seen == sorted(set(seen))
    assert {f"walk {number:03}" for number in range(25)} <= set(seen)
    walked = server.get("/users", params={"limit": 2, "startingAfter": "walk 003!"}).json()
    assert [user["id"] for user in walked["data"]] == ["walk 004", "walk 005"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=1.5",
        "limit=",
        "limit=x",
        "limit=1&limit=2",
        "limit=%D9%A3",
        "startingAfter=",
        "startingAfter=%00",
        "startingAfter=%FF",
        "startAfter=x",
        f"startingAfter={'x' * 256}",
    ],
)
def test_parameters_that_are_none(server: httpx.Client, query: str) -> None:
    refused(server.get(f"/users?{query}"), 400, "BAD_USER_INPUT")


def test_server_tokens_alone(guarded: RunningGateway, server: httpx.Client) -> None:
    server.put("/users/alice", json={"name": "Alice", "email": "secret@example.com"})
    requests = [("GET", "/users/alice"), ("PUT", "/users/alice"), ("GET", "/users"), ("PUT", "/users")]
    with httpx.Client(base_url=f"{guarded.url}/v1/userline") as nobody:
        for method, path in requests:
            answer = nobody.request(method, path, json={"name": "Mallory"})
            refused(answer, 401, "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"].startswith("Bearer")
            own = {"authorization": f"Bearer {token_of('alice')}"}
            refused(nobody.request(method, path, json={"name": "Mallory"}, headers=own), 403, "FORBIDDEN")
        for what, token in bad_tokens().items():
            for method, path in requests:
                answer = nobody.request(method, path, json={}, headers={b"authorization": b"Bearer " + token.encode()})
                assert answer.status_code == 401, what
                assert "secret@example.com" not in answer.text
    assert server.get("/users/alice").json()["name"] == "Alice"


def test_what_get_gave_can_be_put_back(guarded: RunningGateway, server: httpx.Client) -> None:
    full = {"name": "R", "email": ["r@example.com"], "custom": {"a": "1", "": "\0"}, "pushTokens": {"fcm:x": True}}
    server.put("/users/read", json=full)
    read = server.get("/users/read").json()
    assert read["version"].isdecimal()
    assert server.put("/users/read", json=read).json() == {"created": False, "changed": False}
    assert server.put("/users", json={"read": read}).json() == {"read": {"created": False, "changed": False}}
    assert server.put("/users/read", json=read | {"name": "R2"}).json() == {"created": False, "changed": True}
    for stale in (read, read | {"name": "R3"}):
        reasons = refused(server.put("/users/read", json=stale), 400, "BAD_USER_INPUT")
        assert (
            "version is read-only and differs from the stored value: leave it out, or read the user again." in reasons
        )
    answer = server.put("/users", json={"read": read, "other": {"name": "O", "id": "read"}})
    assert answer.status_code == 400
    assert set(answer.json()["users"]) == {"read", "other"}
    assert server.get("/users/other").status_code == 404
    assert server.get("/users/read").json()["name"] == "R2"
    now = guarded_version(guarded, "read")
    assert now == server.get("/users/read").json()["version"]
    assert int(now) > int(read["version"])


def guarded_version(guarded: RunningGateway, user_id: str) -> str:
    query = {"query": "query($id: ID!) { user(id: $id) { version } }", "variables": {"id": user_id}}
    headers = {"authorization": f"Bearer {token_of(user_id)}"}
    version: str = guarded.http.post("/graphql", json=query, headers=headers).json()["data"]["user"]["version"]
    return version


def test_open_gateways_serve_everybody(gateway: RunningGateway) -> None:
    answer = gateway.http.put("/v1/userline/users/rest-open", json={"name": "Open"})
    assert answer.json() == {"created": True, "changed": True}
    assert gateway.http.get("/v1/userline/users/rest-open").json()["name"] == "Open"


def test_a_write_is_seen_by_the_next_graphql_read(gateway: RunningGateway) -> None:
    query = '{ user(id: "rest-seen") { name } }'
    for name in ("One", "Two"):
        gateway.http.put("/v1/userline/users", json={"rest-seen": {"name": name}})
        assert gateway.data(query) == {"user": {"name": name}}


def test_reads_and_writes_with_a_server_token_are_audited(guarded: RunningGateway, server: httpx.Client) -> None:
    odd = 'audit"\n😀'
    server.put(address(odd), json={"name": "NAME", "email": "hidden@example.com"}, headers={"x-request-id": "audit-1"})
    server.get(address(odd), headers={"x-request-id": "audit-2"})
    server.put("/users", json={"a1": {"name": "NAME"}, "a2": {"name": "NAME"}}, headers={"x-request-id": "audit-3"})
    server.get("/users?limit=1&startingAfter=a1", headers={"x-request-id": "audit-4"})
    query = {"query": 'mutation { setUser(id: "a3", input: {name: "NAME"}) { created } }'}
    for token, request_id in ((None, "audit-5"), ("a3", "audit-6")):
        headers = {"authorization": f"Bearer {token_of(token)}", "x-request-id": request_id}
        assert "errors" not in guarded.http.post("/graphql", json=query, headers=headers).json()
    said = re.compile(
        r"(app token: .*?) +\[userline\.audit\] request_id=(audit-\d) viewer=app action=(\w+) users=('.*?[^\\]')"
    )
    lines = {
        match[2]: (match[1], match[3], json.loads(ast.literal_eval(match[4]))) for match in said.finditer(guarded.log)
    }
    assert lines == {
        "audit-1": ("app token: write of 1 user", "write", [odd]),
        "audit-2": ("app token: read of 1 user", "read", [odd]),
        "audit-3": ("app token: write of 2 users", "write", ["a1", "a2"]),
        "audit-4": ("app token: read of 1 user", "read", ["a2"]),
        "audit-5": ("app token: write of 1 user", "write", ["a3"]),
    }
    assert "hidden@example.com" not in guarded.log
    assert "NAME" not in guarded.log.replace("NAME_REQUIRED", "")


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/users", '{"twin": {"name": "A"}, "other": {"name": "B"}, "twin": {"name": "C"}}', '"twin" more than once.'),
        ("/users", '{"twin": {"name": "A", "locale": "en", "name": "B"}}', '"name" more than once in "twin".'),
        ("/users/twin", '{"name": "A", "custom": {"k": "1", "\\u006b": "2"}}', '"k" more than once in "custom".'),
        ("/users/twin", '{"name": "A", "name": "B", "custom": {"k": ' + "1" * 5000 + "}}", '"name" more than once.'),
        (
            "/users/twin",
            '{"name": "A", "pushTokens": {"fcm:a": true, "fcm:a": null}}',
            'more than once in "pushTokens".',
        ),
    ],
)
def test_a_name_that_is_there_twice_writes_nothing(server: httpx.Client, path: str, body: str, told: str) -> None:
    (reason,) = refused(server.put(path, content=body, headers=JSON_TYPE), 400, "BAD_USER_INPUT")
    assert reason.startswith("The body has the name")
    assert reason.endswith(told)
    assert server.get("/users/twin").status_code == server.get("/users/other").status_code == 404
