"""The ``graphql-transport-ws`` subprotocol against a real gateway: every message, and every way to have it closed.

Source: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.clients.wire import LEGACY, TRANSPORT, WATCH, new_id, nothing_left_behind, open_wire
from tests.support.gateway import RunningGateway
from userline.gateway.runtime import Runtime
from userline.gateway.websocket.protocol import CloseCode
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path


@pytest.fixture(scope="module")
def strict_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that waits a second for ``connection_init``, takes large messages and few operations a socket."""
    flags = ("--connection-init-seconds", "1", "--max-message-bytes", "1000000", "--max-subscriptions", "3")
    running = RunningGateway(tmp_path_factory.mktemp("strict"), *flags)
    yield running
    code = running.stop()
    assert code == 0, running.log
    assert "Traceback" not in running.log, running.log


MOST_LEVELS = 1020  # of JSON in a message that the gateway reads, those of the message itself left out


# Close codes


def test_an_operation_before_the_acknowledgement_closes_4401(gateway: RunningGateway) -> None:
    with open_wire(gateway, TRANSPORT, init=False) as wire:
        wire.start("{ app { id } }")
        assert wire.closed() == (CloseCode.UNAUTHORIZED, "Unauthorized")


@pytest.mark.parametrize("offered", [(), ("graphql",), ("GRAPHQL-TRANSPORT-WS", "chat")])
def test_no_subprotocol_that_the_gateway_speaks_closes_4406(gateway: RunningGateway, offered: tuple[str, ...]) -> None:
    with open_wire(gateway, *offered, init=False) as wire:
        code, reason = wire.closed()
    assert code == CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE
    assert TRANSPORT in reason
    assert LEGACY in reason


def test_no_connection_init_in_time_closes_4408(strict_gateway: RunningGateway) -> None:
    with nothing_left_behind(strict_gateway), open_wire(strict_gateway, TRANSPORT, init=False) as wire:
        wire.send({"type": "ping"})
        assert wire.receive() == {"type": "pong"}
        assert wire.closed() == (CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout")


def test_a_second_operation_with_an_id_closes_4409(gateway: RunningGateway) -> None:
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT) as wire:
        user_id = new_id("twice")
        operation_id = wire.watch(user_id)
        assert wire.event(operation_id) is None
        wire.start("{ app { id } }", operation_id=operation_id)
        assert wire.closed() == (CloseCode.SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {operation_id} already exists")


@pytest.mark.parametrize("letter", ["a", "é", "🙂"])
def test_an_id_too_long_for_a_reason_is_cut(gateway: RunningGateway, letter: str) -> None:
    operation_id = letter * 5000
    with open_wire(gateway, TRANSPORT) as wire:
        wire.watch(new_id("long"), operation_id)
        assert wire.event(operation_id) is None
        wire.watch(new_id("long"), operation_id)
        code, reason = wire.closed()
    assert code == CloseCode.SUBSCRIBER_ALREADY_EXISTS
    assert reason.startswith(f"Subscriber for {letter * 20}")
    assert reason.endswith("…")


def test_a_second_connection_init_closes_4429(gateway: RunningGateway) -> None:
    with open_wire(gateway, TRANSPORT) as wire:
        wire.send({"type": "connection_init"})
        code, reason = wire.closed()
    assert (code, reason) == (CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests")


def subscribe(**message: Any) -> str:
    return json.dumps({"type": "subscribe", "id": "1", "payload": {"query": "{ app { id } }"}} | message)


BAD_MESSAGES: dict[str, str | bytes] = {
    "empty": "",
    "no JSON": "{",
    "array": "[1]",
    "string": '"x"',
    "null": "null",
    "number": "5",
    "no type": "{}",
    "type null": '{"type":null}',
    "type list": '{"type":["ping"]}',
    "type object": '{"type":{}}',
    "unknown type": '{"type":"start"}',
    "a server's type": '{"type":"next","id":"1","payload":{}}',
    "two values": '{"type":"ping"}{"type":"ping"}',
    "NaN": '{"type":"ping","payload":{"a":NaN}}',
    "lone surrogate": '{"type":"ping","payload":{"a":"\\ud800"}}',
    "lone surrogate as id": '{"type":"complete","id":"\\udfff"}',
    "huge exponent": '{"type":"ping","payload":{"a":1e400}}',
    "huge number": f'{{"type":"ping","payload":{{"a":{"1" * 5000}}}}}',
    "30,000 deep": "[" * 30_000,
    "deep ping": '{"type":"ping","payload":' + '{"a":' * 600 + "1" + "}" * 600 + "}",
    "binary frame": b'{"type":"ping"}',
    "empty binary frame": b"",
    "ping payload list": '{"type":"ping","payload":[1]}',
    "pong payload string": '{"type":"pong","payload":"x"}',
    "id missing": json.dumps({"type": "subscribe", "payload": {"query": "{ app { id } }"}}),
    "id number": subscribe(id=1),
    "id empty": subscribe(id=""),
    "id null": subscribe(id=None),
    "id list": subscribe(id=["1"]),
    "id object": subscribe(id={}),
    "complete without id": '{"type":"complete"}',
    "complete id list": '{"type":"complete","id":[]}',
}


@pytest.mark.parametrize("frame", [pytest.param(frame, id=name) for name, frame in BAD_MESSAGES.items()])
def test_a_message_that_is_not_allowed_closes_4400(gateway: RunningGateway, frame: str | bytes) -> None:
    with open_wire(gateway, TRANSPORT) as wire:
        wire.connection.send(frame)
        code, reason = wire.closed()
    assert (code, bool(reason)) == (CloseCode.BAD_REQUEST, True)


BAD_PAYLOADS: dict[str, str] = {
    "no payload": '{"type":"subscribe","id":"1"}',
    "payload null": subscribe(payload=None),
    "payload string": subscribe(payload="{ app { id } }"),
    "payload list": subscribe(payload=[]),
    "no query": subscribe(payload={}),
    "query number": subscribe(payload={"query": 5}),
    "query list": subscribe(payload={"query": ["{ app { id } }"]}),
    "variables string": subscribe(payload={"query": "{ app { id } }", "variables": "{}"}),
    "operationName number": subscribe(payload={"query": "{ app { id } }", "operationName": 5}),
}


def test_a_payload_that_is_none_ends_that_operation_alone(gateway: RunningGateway) -> None:
    with open_wire(gateway, TRANSPORT) as wire:
        for name, frame in BAD_PAYLOADS.items():
            wire.connection.send(frame)
            message = wire.receive()
            assert (message["type"], message["id"]) == ("error", "1"), name
            assert message["payload"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert wire.is_alive()


@pytest.mark.parametrize("payload", ["[]", '"token"', "5", "true"])
def test_connection_init_with_a_payload_that_is_no_object_closes_4400(gateway: RunningGateway, payload: str) -> None:
    with open_wire(gateway, TRANSPORT, init=False) as wire:
        wire.connection.send(f'{{"type":"connection_init","payload":{payload}}}')
        assert wire.closed()[0] == CloseCode.BAD_REQUEST


@pytest.mark.parametrize("opening", ["[", '{"type":'])
def test_100_000_levels_of_json_close_4400(strict_gateway: RunningGateway, opening: str) -> None:
    with open_wire(strict_gateway, TRANSPORT) as wire:
        wire.connection.send(opening * 100_000)
        assert wire.closed()[0] == CloseCode.BAD_REQUEST


@pytest.mark.parametrize("depth", [200, 250, 260, 500, 1000, 1100, 50_000])
def test_deep_variables_get_an_answer_or_a_typed_close(strict_gateway: RunningGateway, depth: int) -> None:
    query = 'mutation($c: Custom) { setUser(id: "deep", input: {name: "x", custom: $c}) { changed } }'
    message = subscribe(payload={"query": query, "variables": {"c": "DEEP"}})
    with open_wire(strict_gateway, TRANSPORT) as wire:
        wire.connection.send(message.replace('"DEEP"', '{"a":' * depth + "1" + "}" * depth))
        if depth < MOST_LEVELS:
            assert wire.expect("1")["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        else:
            assert wire.closed()[0] == CloseCode.BAD_REQUEST


def test_a_message_past_the_limit_closes_1009(gateway: RunningGateway) -> None:
    room = 1_048_576 - len(json.dumps({"type": "ping", "payload": {"a": ""}}))
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT) as wire:
        wire.watch(new_id("large"), "watch")
        assert wire.event("watch") is None
        wire.send({"type": "ping", "payload": {"a": "x" * room}})
        assert len(wire.receive()["payload"]["a"]) == room
        wire.send({"type": "ping", "payload": {"a": "x" * (room + 1)}})
        reason = "A message has more than 1048576 bytes, which is the limit (USERLINE_MAX_MESSAGE_BYTES)"
        assert wire.closed() == (1009, reason)


@pytest.mark.parametrize("parts", [1, 2, 17])
def test_a_message_before_the_acknowledgement_is_smaller(gateway: RunningGateway, parts: int) -> None:
    def messages(length: int) -> list[str]:
        text = json.dumps({"type": "connection_init", "payload": {"a": ""}})
        text = text.replace('""', f'"{"x" * (length - len(text))}"')
        return [text[start : start + length // parts + 1] for start in range(0, length, length // parts + 1)]

    for length in (65_536, 65_537):
        with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT, init=False) as wire:
            with suppress(ConnectionClosed):  # the limit may be met before all of it is sent
                wire.connection.send(messages(length))
            if length == 65_536:
                assert wire.receive()["type"] == "connection_ack"
                wire.send({"type": "ping", "payload": {"a": "x" * 1_000_000}})
                assert len(wire.receive()["payload"]["a"]) == 1_000_000
            else:
                reason = "A message before connection_ack has more than 65536 bytes, which is the limit"
                assert wire.closed() == (1009, reason)


def test_the_acknowledgement_tells_the_limits(gateway: RunningGateway, strict_gateway: RunningGateway) -> None:
    for running, limits in (
        (gateway, {"messageBytes": 1_048_576, "subscriptions": 1000, "watchedUsers": 5000}),
        (strict_gateway, {"messageBytes": 1_000_000, "subscriptions": 3, "watchedUsers": 5000}),
    ):
        with open_wire(running, TRANSPORT, init=False) as wire:
            assert wire.init() == {"payload": {"limits": limits}}
        with open_wire(running, LEGACY, init=False) as wire:
            assert wire.init() == {}


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("character", ["a", '"', "\x01", "é", "€", "\U0001f600"])
def test_a_thousand_ids_of_255_characters_fit_or_are_refused_by_the_name_of_the_setting(
    gateway: RunningGateway, character: str, escaped: bool
) -> None:
    ids = [f"{number:03}" + character * 252 for number in range(1000)]
    query = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id } }"
    message = {"id": "1", "type": "subscribe", "payload": {"query": query, "variables": {"ids": ids}}}
    text = json.dumps(message, ensure_ascii=escaped)
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT) as wire:
        wire.connection.send(text)
        if len(text.encode()) <= 1_048_576:
            told: list[str] = []
            while len(told) < 1000:
                told += [change["id"] for change in wire.expect("1")["data"]["usersChanged"]]
            assert told == ids
            assert wire.is_alive()
        else:
            assert escaped or character == "\x01", "which JSON must escape"
            assert "USERLINE_MAX_MESSAGE_BYTES" in wire.closed()[1]


def test_what_holds_everybody_for_long_is_not_read(gateway: RunningGateway) -> None:
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT) as wire:
        wire.connection.send('{"type":"ping","payload":{"a":[' + "[]," * 60_000 + "0]}}")
        assert wire.closed() == (
            CloseCode.BAD_REQUEST,
            "The message has more than 50000 of '[' and '{', which is the limit.",
        )


def test_a_message_past_the_limit_while_events_are_sent_leaves_no_traceback(gateway: RunningGateway) -> None:
    user_id = new_id("large")
    gateway.set_user(user_id, name="0")
    for attempt in range(5):
        with (
            nothing_left_behind(gateway),
            open_wire(gateway, TRANSPORT, max_queue=None, close_timeout=1) as wire,
            open_wire(gateway, TRANSPORT, max_queue=None) as writer,
        ):
            for _ in range(300):
                wire.watch(user_id)
            for number in range(10):
                rename = "mutation($id: ID!, $n: String!) { setUser(id: $id, input: {name: $n}) { changed } }"
                writer.start(rename, {"id": user_id, "n": f"{attempt}.{number}"})
            wire.connection.send("x" * 1_100_000)
            assert wire.closed()[0] == 1009
    assert "Traceback" not in gateway.log


async def test_the_unexpected_closes_1011_and_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In this process, because nothing that a client can send brings it about."""
    runtime = Runtime(load_settings({"store_url": f"sqlite:///{tmp_path}/users.db"}))

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("not for the caller")

    monkeypatch.setattr(runtime.engine, "prepare", fail)
    frames = ['{"type":"connection_init"}', subscribe()]
    received = iter([{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": text} for text in frames)])
    sent: list[MutableMapping[str, Any]] = []
    closed = asyncio.Event()

    async def receive() -> dict[str, Any]:
        event = next(received, None)
        if event is None:
            await closed.wait()
        return event or {"type": "websocket.disconnect"}

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)
        if event["type"] == "websocket.close":
            closed.set()

    scope = {"type": "websocket", "path": "/graphql", "headers": [], "subprotocols": [TRANSPORT]}
    await runtime.make_app()(scope, receive, send)
    assert [event["type"] for event in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[-1]["code"] == CloseCode.INTERNAL_ERROR
    assert "request id" in sent[-1]["reason"]
    assert "not for the caller" not in sent[-1]["reason"]
    assert "not for the caller" in caplog.text


# Messages


@pytest.mark.parametrize("offered", [(TRANSPORT, LEGACY), (LEGACY, TRANSPORT), ("chat", TRANSPORT)])
def test_of_several_subprotocols_the_current_one_is_spoken(gateway: RunningGateway, offered: tuple[str, ...]) -> None:
    with open_wire(gateway, *offered) as wire:
        assert wire.connection.subprotocol == TRANSPORT
        assert wire.is_alive()


def test_ping_is_answered_with_its_payload(gateway: RunningGateway) -> None:
    with open_wire(gateway, TRANSPORT, init=False) as wire:
        wire.send({"type": "ping"})
        assert wire.receive() == {"type": "pong"}
        payload = {"text": "é🙂\u0000", "list": [1, 2.5, None, True], "large": 2**53, "nested": {"a": {}}}
        wire.send({"type": "ping", "payload": payload})
        assert wire.receive() == {"type": "pong", "payload": payload}
        wire.init()
        wire.send({"type": "pong", "payload": {"unsolicited": True}})
        wire.send({"type": "complete", "id": "nothing has this id"})
        assert wire.is_alive()


def test_queries_and_mutations_over_the_socket(gateway: RunningGateway) -> None:
    user_id = new_id("over-the-socket")
    with open_wire(gateway, TRANSPORT) as wire:
        operation_id = wire.start(
            "mutation A { app: __typename } mutation B($id: ID!, $input: SetUserInput!) "
            "{ setUser(id: $id, input: $input) { created user { name custom } } }",
            {"id": user_id, "input": {"name": "Ann", "custom": {"a.b": "1", "$c": "2"}}},
            operationName="B",
        )
        expected = {"created": True, "user": {"name": "Ann", "custom": {"a.b": "1", "$c": "2"}}}
        assert wire.expect(operation_id) == {"data": {"setUser": expected}}
        wire.expect_complete(operation_id)
        operation_id = wire.start("query($id: ID!) { user(id: $id) { name } }", {"id": user_id})
        assert wire.expect(operation_id) == {"data": {"user": {"name": "Ann"}}}
        wire.expect_complete(operation_id)


def test_an_error_while_executing_is_part_of_the_result(gateway: RunningGateway) -> None:
    with open_wire(gateway, TRANSPORT) as wire:
        operation_id = wire.start('mutation { setUser(id: "", input: {name: " "}) { changed } }')
        payload = wire.expect(operation_id)
        assert payload["data"] is None
        assert payload["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        wire.expect_complete(operation_id)
        assert wire.is_alive()


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ("", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("fragment F on User { id }", {}, "GRAPHQL_VALIDATION_FAILED"),
        (f"{{ {'a: __typename ' * 2000} }}", {}, "OPERATION_TOO_COMPLEX"),
    ],
)
def test_what_cannot_be_executed_ends_that_operation_only(
    gateway: RunningGateway, query: str, variables: dict[str, Any], code: str
) -> None:
    with open_wire(gateway, TRANSPORT) as wire:
        wire.watch(new_id("lives-on"), "watch")
        assert wire.event("watch") is None
        operation_id = wire.start(query, variables)
        message = wire.receive()
        assert (message["type"], message["id"]) == ("error", operation_id)
        assert [error["extensions"]["code"] for error in message["payload"]] == [code]
        assert all(error["message"] for error in message["payload"])
        assert wire.is_alive()
        wire.watch(new_id("reused"), operation_id)
        assert wire.event(operation_id) is None


@pytest.mark.parametrize(
    ("query", "variables", "path"),
    [
        (WATCH, {}, None),
        (WATCH, {"id": None}, None),
        (WATCH, {"id": {}}, None),
        (WATCH, {"id": ""}, ["userChanged"]),
        (WATCH, {"id": "x" * 256}, ["userChanged"]),
        ("subscription($ids: [ID!]!) { a: usersChanged(ids: $ids) { id } }", {"ids": ["a", None]}, None),
        ("subscription($ids: [ID!]!) { a: usersChanged(ids: $ids) { id } }", {"ids": ["a", ""]}, ["a"]),
        ("subscription($id: ID!) { userOnlineChanged(id: $id) { isConnected } }", {"id": ""}, ["userOnlineChanged"]),
        ("query($id: ID!) { user(id: $id) { id } }", {"id": {}}, None),
    ],
)
@pytest.mark.parametrize("protocol", [TRANSPORT, LEGACY])
def test_what_cannot_begin_is_a_result_of_errors_and_the_end(
    gateway: RunningGateway, protocol: str, query: str, variables: dict[str, Any], path: list[str] | None
) -> None:
    """As the server of npm's graphql-ws does: no ``data``, and with its place if it was a field that failed."""
    with open_wire(gateway, protocol) as wire:
        wire.watch(new_id("lives-on"), "watch")
        assert wire.event("watch") is None
        operation_id = wire.start(query, variables)
        payload = wire.expect(operation_id)
        assert list(payload) == ["errors"]
        (error,) = payload["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error.get("path") == path
        assert error["locations"][0]["line"] == 1
        wire.expect_complete(operation_id)
        assert wire.is_alive()
        wire.watch(new_id("reused"), operation_id)
        assert wire.event(operation_id) is None


def test_an_id_is_free_again_after_complete(gateway: RunningGateway) -> None:
    with open_wire(gateway, TRANSPORT) as wire:
        for _ in range(20):
            wire.start("{ app { id } }", operation_id="same")
            wire.expect("same")
            wire.expect_complete("same")
        user_id = new_id("free")
        for _ in range(20):
            wire.watch(user_id, "same")
            assert wire.event("same") is None
            wire.stop("same")
        wire.watch(user_id, "same")
        wire.event("same")
        gateway.set_user(user_id, name="Ann")
        assert wire.event("same")["name"] == "Ann"
        assert wire.is_alive()


def test_as_many_subscriptions_as_allowed_and_not_one_more(strict_gateway: RunningGateway) -> None:
    user_id = new_id("many")
    with nothing_left_behind(strict_gateway), open_wire(strict_gateway, TRANSPORT) as wire:
        for operation_id in ("1", "2", "3"):
            wire.watch(user_id, operation_id)
            assert wire.event(operation_id) is None
        wire.watch(user_id, "4")
        (error,) = wire.expect("4")["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert "3" in error["message"]
        assert error["path"] == ["userChanged"]
        wire.expect_complete("4")
        wire.start("{ app { id } }", operation_id="5")
        wire.expect("5")
        wire.expect_complete("5")
        wire.stop("2")
        assert wire.is_alive()
        wire.watch(user_id, "4")
        assert wire.event("4") is None
        strict_gateway.set_user(user_id, name="Ann")
        assert sorted(wire.receive()["id"] for _ in range(3)) == ["1", "3", "4"]


def test_a_hundred_operations_at_once_are_all_answered(gateway: RunningGateway) -> None:
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT, max_queue=None) as wire:
        reads = gateway.metric("userline_store_reads_total")
        for number in range(100):
            wire.start("query($id: ID!) { user(id: $id) { name } }", {"id": new_id("nobody")}, f"q{number}")
        messages = [wire.receive() for _ in range(200)]
        assert {m["id"] for m in messages if m["type"] == "next"} == {f"q{number}" for number in range(100)}
        assert {m["id"] for m in messages if m["type"] == "complete"} == {f"q{number}" for number in range(100)}
        assert gateway.metric("userline_store_reads_total") > reads


def test_every_close_code_is_provoked_by_name(request: pytest.FixtureRequest) -> None:
    folder = request.path.parents[1]
    paths = [*folder.glob("clients/test_websocket_*.py"), *folder.glob("gateway/**/test_*.py")]
    tests = "".join(path.read_text() for path in paths)
    assert [code.name for code in CloseCode if f"CloseCode.{code.name}" not in tests] == []
