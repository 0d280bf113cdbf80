"""Whatever is wrong with the payload of one operation ends that operation alone, and is named, at every door."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.clients.wire import LEGACY, TRANSPORT, open_wire

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

_APP: Final = '{"query":"{ app { id } }"}'
_GOOD: Final = {"data": {"app": {"id": "userline"}}}
_JSON: Final = {"content-type": "application/json"}
_HALVES: Final = (r"\ud83d", r"\ude00", r"x\ud83dx", r"\ude00\ud83d", r"\uD800\u0041", r"é\ud83d")
_HALF: Final = "has a lone surrogate, which is not a valid character."

FLAWS: Final[dict[str, tuple[str, str]]] = {
    **{
        f"half {half} in {field}": (text % half, f"{place} {_HALF}")
        for half in _HALVES
        for field, place, text in (
            (
                "a variable",
                "variables.id",
                '"query":"query($id: ID!) { user(id: $id) { id } }","variables":{"id":"%s"}',
            ),
            ("a list", "variables.ids[1]", '"query":"{ app { id } }","variables":{"ids":["a","%s"]}'),
            ("the document", "query", '"query":"{ app { id } } # %s"'),
            ("the name", "operationName", '"query":"{ app { id } }","operationName":"%s"'),
            ("an extension", "extensions.a.b", '"query":"{ app { id } }","extensions":{"a":{"b":"%s"}}'),
        )
    },
    "half in a name": (
        r'"query":"{ app { id } }","variables":{"\ud800":1}',
        "variables.? has a name with a lone surrogate, which is not a valid character.",
    ),
    "a number that overflows": (
        '"query":"{ app { id } }","variables":{"a":1e999}',
        "variables.a is a number that overflows.",
    ),
    **{
        f"{name} is {value}": (f'"query":"{{ app {{ id }} }}","{name}":{value}', f"{name} must be an object or null.")
        for name in ("variables", "extensions")
        for value in ("[1]", "[[]]", "[{}]", '"x"', "5", "true", "1.5")
    },
    **{
        f"operationName is {value}": (
            f'"query":"{{ app {{ id }} }}","operationName":{value}',
            "operationName must be a string or null.",
        )
        for value in ("[]", "{}", "5", "true")
    },
    **{
        f"query is {value}": (f'"query":{value}', "query is required: a string with a GraphQL document.")
        for value in ("[]", "{}", "5", "true", "null", '[""]')
    },
    "no query": ('"variables":{}', "query is required: a string with a GraphQL document."),
}


@pytest.mark.parametrize("name", FLAWS)
def test_one_operation_alone_is_refused(doors: RunningGateway, name: str) -> None:
    members, message = FLAWS[name]
    operation = f"{{{members}}}"
    for _ in range(2):
        alone = doors.http.post("/graphql", content=operation.encode(), headers=_JSON)
        assert alone.status_code == 400
        (error,) = alone.json()["errors"]
        assert error["message"] == message
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["extensions"]["field"] == message.split(" ")[0].partition(".")[0]
        batch = doors.http.post("/graphql", content=f"[{_APP},{operation},{_APP}]".encode(), headers=_JSON)
        assert batch.json() == [_GOOD, {"errors": [error]}, _GOOD]


@pytest.mark.parametrize("protocol", [TRANSPORT, LEGACY])
def test_a_socket_goes_on_whatever_one_operation_is(doors: RunningGateway, protocol: str) -> None:
    with open_wire(doors, protocol) as wire:
        wire.watch("somebody", "watched")
        wire.event("watched")
        for name, (members, message) in FLAWS.items():
            began = "start" if wire.legacy else "subscribe"
            wire.connection.send(f'{{"id":{json.dumps(name)},"type":"{began}","payload":{{{members}}}}}')
            told = wire.receive()
            assert (told["id"], told["type"]) == (name, "error")
            (error,) = [told["payload"]] if wire.legacy else told["payload"]
            assert error["message"] == message
            assert error["extensions"]["code"] == "BAD_USER_INPUT"
        doors.set_user("somebody", name=f"N {protocol}")
        assert wire.event("watched")["name"] == f"N {protocol}"


@pytest.mark.parametrize("payload", ["null", "5", '"x"', "[]", "[{}]", r'"\ud800"', "1e999"])
def test_a_payload_that_is_none(doors: RunningGateway, payload: str) -> None:
    batch = doors.http.post("/graphql", content=f"[{_APP},{payload}]".encode(), headers=_JSON).json()
    assert batch[0] == _GOOD
    assert "must be a JSON object" in batch[1]["errors"][0]["message"]
    with open_wire(doors, TRANSPORT) as wire:
        wire.connection.send(f'{{"id":"1","type":"subscribe","payload":{payload}}}')
        told = wire.receive()
        assert (told["id"], told["type"], told["payload"]) == ("1", "error", batch[1]["errors"])
        assert wire.is_alive()


@pytest.mark.parametrize("name", ["variables", "extensions"])
def test_an_empty_list_is_an_empty_object(doors: RunningGateway, name: str) -> None:
    operation = {"query": "{ app { id } }", name: []}
    for _ in range(2):
        assert doors.http.post("/graphql", json=operation).json() == _GOOD
        assert doors.http.post("/graphql", json=[operation]).json() == [_GOOD]
        assert doors.http.get("/graphql", params={"query": operation["query"], name: "[]"}).json() == _GOOD
    for protocol in (TRANSPORT, LEGACY):
        with open_wire(doors, protocol) as wire:
            began = "start" if wire.legacy else "subscribe"
            wire.send({"id": "1", "type": began, "payload": operation})
            assert wire.expect("1") == _GOOD


@pytest.mark.parametrize("half", _HALVES)
def test_an_address_is_refused_for_its_variables(doors: RunningGateway, half: str) -> None:
    for variables, complaint in (
        (f'{{"id":"{half}"}}', f"variables.id {_HALF}"),
        ('{"id":1e999}', "variables.id is a"),
    ):
        answer = doors.http.get("/graphql", params={"query": "{ app { id } }", "variables": variables})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["message"].startswith(complaint)


@pytest.mark.parametrize("half", _HALVES)
@pytest.mark.parametrize(
    "text",
    ['"bad":{"name":"%s"}', '"bad":{"name":"N","custom":{"k":"%s"}}', '"bad":{"name":"N","custom":{"%s":"v"}}',
     '"bad":{"%s":"x"}', '"bad %s":{"name":"N"}', '"bad":{"name":"N","email":["%s"]}'],
)  # fmt: skip
def test_a_batch_of_the_rest_api_names_the_user(doors: RunningGateway, half: str, text: str) -> None:
    answer = doors.http.put(
        "/v1/userline/users", content=f'{{"good":{{"name":"N"}},{text % half}}}'.encode(), headers=_JSON
    )
    assert answer.status_code == 400, answer.text
    (user_id,) = answer.json()["users"]
    assert user_id.startswith("bad")
    assert answer.json()["users"][user_id]["errorCode"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("number", [100_000, 900_000])
def test_a_large_body_is_read_all_the_same(doors: RunningGateway, number: int) -> None:
    """One flaw in an operation of a batch leaves the others alone, whatever the size of the batch."""
    large = json.dumps({"query": "{ app { id } }", "variables": {"text": "é, " + "x" * number}})
    flawed = r'{"query":"{ app { id } }","variables":{"a":"\ud800"}}'
    answers = doors.http.post("/graphql", content=f"[{large},{flawed}]".encode(), headers=_JSON).json()
    assert answers[0] == _GOOD
    assert answers[1]["errors"][0]["message"] == f"variables.a {_HALF}"
    with open_wire(doors, TRANSPORT) as wire:
        wire.connection.send(f'{{"id":"1","type":"subscribe","payload":{flawed},"more":"{"x" * 60_000}"}}')
        assert wire.receive()["payload"][0]["message"] == f"variables.a {_HALF}"
        assert wire.is_alive()


MANY: Final[list[tuple[str, Any]]] = [
    ("users", ["a", "", "b", "x" * 256, "c\0", "a", ""]),
    ("users", [""]),
    ("users", ["", *(f"u{number}" for number in range(200)), "\0"]),
    ("_entities", ["a", "", "b", "x" * 256, 5, None, [], "a"]),
]


@pytest.mark.parametrize(("field", "ids"), MANY)
def test_one_bad_id_among_many_is_null_with_an_error_at_its_place(doors: RunningGateway, field: str, ids: Any) -> None:
    for user_id in ("a", "b"):
        doors.set_user(user_id, name=user_id.upper())
    bad = [
        number for number, each in enumerate(ids) if not isinstance(each, str) or each in ("", "\0", "c\0", "x" * 256)
    ]
    if field == "users":
        query, given = "query($of: [ID!]!) { found: users(ids: $of) { name } }", ids
        argument = "ids"
    else:
        query = "query($of: [_Any!]!) { found: _entities(representations: $of) { ... on User { name } } }"
        given = [{"__typename": "User", "id": each} for each in ids]
        argument = "representations"
    for _ in range(2):
        answer = doors.execute(query, {"of": given})
        names = [user and user["name"] for user in answer["data"]["found"]]
        assert names == [each.upper() if each in ("a", "b") else None for each in ids]
        assert [error["path"] for error in answer["errors"]] == [["found", number] for number in bad]
        for error, number in zip(answer["errors"], bad, strict=True):
            assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": argument}
            assert error["message"].startswith(f"{argument}[{number}]")
            assert error["locations"]


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"])
def test_a_stream_is_refused_for_its_payload(doors: RunningGateway, accept: str) -> None:
    for members, message in FLAWS.values():
        answer = doors.http.post(
            "/graphql", content=f"{{{members}}}".encode(), headers=_JSON | {"accept": accept}, timeout=10
        )
        (told,) = [json.loads(part) for part in re.findall(r"\{.*\}", answer.text) if "errors" in part]
        (error,) = told.get("payload", told)["errors"]
        assert error["message"] == message
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
