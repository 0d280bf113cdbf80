"""An id that is written as a number is taken exactly as it was written, or refused, by every door."""

from __future__ import annotations

import json
import re
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.clients.wire import LEGACY, TRANSPORT, open_wire

from userline.execution.json_values import decode
from userline.users.errors import BadUserInput
from userline.users.patch import parse_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gateway import RunningGateway

_SET: Final = 'mutation($id: ID!) { setUser(id: $id, input: {name: "N"}) { user { id } } }'
_USER: Final = "query($id: ID!) { user(id: $id) { id } }"
_USERS: Final = "query($ids: [ID!]!) { users(ids: $ids) { id } }"
_ENTITIES: Final = "query($r: [_Any!]!) { _entities(representations: $r) { ... on User { id } } }"
_WATCH: Final = "subscription($id: ID!) { userChanged(id: $id) { id } }"

NUMBERS: Final = (
    *(
        "0",
        "5",
        "-1",
        "-0",
        "-0.0",
        "1.0",
        "1e3",
        "1E+3",
        "1e0",
        "0.1e1",
        "10e-1",
        "1e999",
        "-1e999",
        "1e-400",
        "5e-324",
    ),
    *(str(2**53 + 1), str(-(2**53) - 1), str(2**63), str(-(2**63)), str(-(2**63) - 1), str(2**64 - 1), str(2**64)),
    *("18446744073709551617", "100000000000000000000000000000", "9" * 300, "9" * 400, "9" * 5000, "1" + "0" * 4400),
)

_digits = st.integers(-(10**40), 10**40).map(str) | st.integers(-(2**65), 2**65).map(str)
_floats = st.builds(
    "{0}{1}{2}".format,
    st.integers(-(10**20), 10**20),
    st.sampled_from(["", ".0", ".5", ".000"]),
    st.sampled_from(["", "e0", "e1", "E3", "e-1", "e+20", "e400"]),
)
numbers = st.sampled_from(NUMBERS) | _digits | _floats


def body(query: str, variables: str, **more: Any) -> bytes:
    """Return a request whose variables are JSON as it is given."""
    return (json.dumps({"query": query, **more})[:-1] + f',"variables":{variables}}}').encode()


def by_post(gateway: RunningGateway, query: str, variables: str) -> Any:
    headers = {"content-type": "application/json"}
    answers = [gateway.http.post("/graphql", content=body(query, variables), headers=headers).json() for _ in range(2)]
    assert answers[0] == answers[1], "the second time, the lane may answer"
    return answers[0]


def by_get(gateway: RunningGateway, query: str, variables: str) -> Any:
    return gateway.http.get("/graphql", params={"query": query, "variables": variables}).json()


def by_batch(gateway: RunningGateway, query: str, variables: str) -> Any:
    app = b'{"query":"{ app { id } }"}'
    content = b"[" + app + b"," + body(query, variables) + b"," + app + b"]"
    answer = gateway.http.post("/graphql", content=content, headers={"content-type": "application/json"}).json()
    assert answer[0] == answer[2] == {"data": {"app": {"id": "userline"}}}, "others of the batch are not concerned"
    return answer[1]


def by_stream(gateway: RunningGateway, query: str, variables: str) -> Any:
    headers = {"content-type": "application/json", "accept": "text/event-stream"}
    text = gateway.http.post("/graphql", content=body(query, variables), headers=headers).text
    return json.loads(text.partition("data: ")[2].partition("\n")[0] or text)


def by_socket(gateway: RunningGateway, query: str, variables: str, protocol: str = TRANSPORT) -> Any:
    with open_wire(gateway, protocol) as wire:
        start = "start" if protocol == LEGACY else "subscribe"
        payload = body(query, variables).decode()
        wire.connection.send(f'{{"id":"1","type":"{start}","payload":{payload}}}')
        message = wire.receive()
        assert message["id"] == "1"
        if message["type"] != "error":
            assert wire.receive()["type"] == "complete"
        assert wire.is_alive(), "it is that operation which ends"
        given = message["payload"]
        if message["type"] == "error":
            return {"errors": given if isinstance(given, list) else [given]}
        return given


DOORS: Final[dict[str, Callable[[RunningGateway, str, str], Any]]] = {
    "POST": by_post,
    "GET": by_get,
    "batch": by_batch,
    "stream": by_stream,
    "socket": by_socket,
    "legacy socket": partial(by_socket, protocol=LEGACY),
}


def exact_or_refused(gateway: RunningGateway, door: str, number: str) -> None:
    """Write the user whose id is this number, and see that it is that user, or nobody, who was written and is read."""
    ask = DOORS[door]
    operations: list[tuple[str, str, Callable[[Any], Any]]] = [
        (_USERS, f'{{"ids":["a",{number}]}}', lambda data: data["users"][1]),
        (_USERS, f'{{"ids":{number}}}', lambda data: data["users"][0]),
        (_USER, f'{{"id":{number}}}', lambda data: data["user"]),
        (_ENTITIES, f'{{"r":[{{"__typename":"User","id":{number}}}]}}', lambda data: data["_entities"][0]),
    ]
    if door != "GET":
        operations.insert(0, (_SET, f'{{"id":{number}}}', lambda data: data["setUser"]["user"]))
    for query, variables, user_in in operations:
        answer = ask(gateway, query, variables)
        if answer.get("data") and "errors" not in answer:
            user = user_in(answer["data"])
            assert user is None or user["id"] == number, (query, number, user)
            assert re.fullmatch(r"0|-?[1-9]\d*", number), f"{number} was taken"
            assert -(2**63) <= int(number) < 2**64
        else:
            codes = {error["extensions"]["code"] for error in answer["errors"]}
            assert codes == {"BAD_USER_INPUT"}, answer
            assert len(json.dumps(answer)) < 1500
            is_entity = query == _ENTITIES  # whose ids are strings, in the representations of any subgraph
            assert is_entity or not re.fullmatch(r"0|-?[1-9]\d{0,17}", number), f"{number} was refused"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:30])
def test_each_spelling(doors: RunningGateway, door: str, number: str) -> None:
    exact_or_refused(doors, door, number)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=numbers, door=st.sampled_from(list(DOORS)))
@example(number="18446744073709551617", door="POST")
def test_any_spelling(doors: RunningGateway, number: str, door: str) -> None:
    exact_or_refused(doors, door, number)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=numbers)
def test_any_spelling_as_a_literal(doors: RunningGateway, number: str) -> None:
    number = number[:250]
    query = f'mutation {{ setUser(id: {number}, input: {{name: "N"}}) {{ user {{ id }} }} }}'
    answer = doors.execute(query)
    if answer.get("data"):
        assert answer["data"]["setUser"]["user"]["id"] == number
        assert doors.execute(f"{{ users(ids: [{number}]) {{ id }} }}")["data"]["users"] == [{"id": number}]
        default = f"query($i: ID! = {number}) {{ user(id: $i) {{ id }} }}"
        assert doors.execute(default)["data"]["user"] == {"id": number}
    else:
        assert not re.fullmatch(r"0|-?[1-9]\d*", number), answer


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:30])
def test_rest_takes_no_number_for_an_id(doors: RunningGateway, number: str) -> None:
    headers = {"content-type": "application/json"}
    path = f"/v1/userline/users/{uuid.uuid4()}"
    answer = doors.http.put(path, content=f'{{"name":"N","id":{number}}}', headers=headers)
    assert answer.status_code == 400
    answer = doors.http.put(path, content=f'{{"name":"N","locale":{number}}}', headers=headers)
    assert answer.status_code == 400
    assert answer.json()["reasons"] == ["locale must be a string, not a number."]
    many = doors.http.put(
        "/v1/userline/users", content=f'{{"good":{{"name":"N"}},"bad":{{"name":{number}}}}}', headers=headers
    )
    assert list(many.json()["users"]) == ["bad"]
    if len(number) < 200 and "+" not in number:
        assert doors.http.put(f"/v1/userline/users/{number}", json={"name": "N"}).is_success
        assert doors.http.get(f"/v1/userline/users/{number}").json()["id"] == number


def test_a_subscription_is_of_that_user(doors: RunningGateway) -> None:
    for number in ("9007199254740993", "18446744073709551615", "18446744073709551617", "-0"):
        with open_wire(doors, TRANSPORT) as wire:
            payload = body(_WATCH, f'{{"id":{number}}}').decode()
            wire.connection.send(f'{{"id":"1","type":"subscribe","payload":{payload}}}')
            message = wire.receive()
            assert message["type"] == "next"
            assert ("data" in message["payload"]) == (number[-1] in "35")
            doors.execute(f'mutation {{ setUser(id: {number}, input: {{name: "{uuid.uuid4()}"}}) {{ changed }} }}')
            if "data" in message["payload"]:
                message = wire.receive() if not message["payload"]["data"]["userChanged"] else message
                assert message["payload"]["data"]["userChanged"] == {"id": number}


@pytest.mark.parametrize("place", ["variables", "extensions"])
def test_a_number_that_overflows_ends_its_operation_and_is_named(doors: RunningGateway, place: str) -> None:
    for number in ("1e999", "-1e400", "9" * 5000):
        operation = f'{{"query":"{{ app {{ id }} }}","{place}":{{"a":[1,{{"b":{number}}}]}}}}'
        app = '{"query":"{ app { id } }"}'
        headers = {"content-type": "application/json"}
        good, bad = doors.http.post("/graphql", content=f"[{app},{operation}]", headers=headers).json()
        assert good["data"]
        assert bad["errors"][0]["message"] == f"{place}.a[1].b is a number that overflows."
        assert bad["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": place}
        assert doors.http.post("/graphql", content=operation, headers=headers).status_code == 400
        with open_wire(doors, TRANSPORT) as wire:
            wire.connection.send(f'{{"id":"1","type":"subscribe","payload":{operation}}}')
            message = wire.receive()
            assert (message["type"], message["payload"]) == ("error", bad["errors"])
            assert wire.is_alive()


@given(number=numbers)
def test_a_line_of_an_import_takes_no_number(number: str) -> None:
    """Lines are read by orjson: what it makes of a number is no string."""
    try:
        value = decode(f"[{number}]")[0]
    except ValueError:
        return
    with pytest.raises(BadUserInput, match="must be a string"):
        parse_id(value)


_texts = st.text(st.sampled_from('-0,[]{}:"\\ e.1a\u00e9'), max_size=12)
_json = st.recursive(
    st.integers(-(2**63), 2**64 - 1) | st.just("-0") | _texts | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(_json, st.booleans(), st.booleans())
def test_other_values_are_read_as_they_were_written(value: Any, compact: bool, minus_zero: bool) -> None:
    separators = (",", ":") if compact else (" , ", " : ")
    text = json.dumps([value, 7], separators=separators, ensure_ascii=compact)
    if minus_zero:
        text = text[: text.rindex("7")] + "-0" + text[text.rindex("7") + 1 :]
    for given_text in (text, text.encode()):
        read = decode(given_text)
        assert read[0] == value
        assert repr(read[1]) == ("-0.0" if minus_zero else "7")
