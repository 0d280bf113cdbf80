"""The legacy ``graphql-ws`` subprotocol against a real gateway, message by message.

Source: https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.clients.wire import LEGACY, PATIENCE, new_id, nothing_left_behind, open_wire
from userline.gateway.websocket.protocol import CloseCode

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway


def test_the_acknowledgement_is_followed_by_a_keep_alive(gateway: RunningGateway) -> None:
    with open_wire(gateway, LEGACY, init=False) as wire:
        assert wire.connection.subprotocol == LEGACY
        wire.send({"type": "connection_init", "payload": {}})
        frames = [json.loads(wire.connection.recv(PATIENCE)) for _ in range(2)]
        assert frames == [{"type": "connection_ack"}, {"type": "ka"}]


def test_start_data_complete(gateway: RunningGateway) -> None:
    user_id = new_id("legacy")
    with open_wire(gateway, LEGACY) as wire:
        mutation = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { created } }"
        operation_id = wire.start(mutation, {"id": user_id, "input": {"name": "Ann"}})
        assert wire.expect(operation_id) == {"data": {"setUser": {"created": True}}}
        wire.expect_complete(operation_id)
        assert wire.is_alive()


def test_a_subscription_until_stop(gateway: RunningGateway) -> None:
    user_id = new_id("legacy")
    with nothing_left_behind(gateway), open_wire(gateway, LEGACY) as wire:
        watchers = gateway.metric("userline_watchers")
        wire.watch(user_id, "watch")
        assert wire.event("watch") is None
        gateway.set_user(user_id, name="Ann")
        assert wire.event("watch")["name"] == "Ann"
        wire.stop("watch")
        assert wire.is_alive()
        assert gateway.metric("userline_watchers") == watchers
        gateway.set_user(user_id, name="Bob")
        assert wire.is_alive()


def test_a_second_start_with_an_id_takes_the_place_of_the_first(gateway: RunningGateway) -> None:
    first, second = new_id("first"), new_id("second")
    gateway.set_user(second, name="Second")
    with nothing_left_behind(gateway), open_wire(gateway, LEGACY) as wire:
        watchers = gateway.metric("userline_watchers")
        wire.watch(first, "same")
        assert wire.event("same") is None
        wire.watch(second, "same")
        assert wire.event("same")["name"] == "Second"
        assert gateway.metric("userline_watchers") == watchers + 1
        gateway.set_user(first, name="First")
        gateway.set_user(second, name="Second again")
        assert wire.event("same")["name"] == "Second again"


def test_connection_terminate_closes_1000(gateway: RunningGateway) -> None:
    with nothing_left_behind(gateway), open_wire(gateway, LEGACY) as wire:
        wire.watch(new_id("legacy"), "watch")
        assert wire.event("watch") is None
        wire.send({"type": "connection_terminate"})
        assert wire.closed()[0] == CloseCode.NORMAL


@pytest.mark.parametrize(
    ("query", "code"),
    [("{", "GRAPHQL_PARSE_FAILED"), ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"), ("", "GRAPHQL_PARSE_FAILED")],
)
def test_an_error_is_one_object_and_ends_that_operation_only(gateway: RunningGateway, query: str, code: str) -> None:
    with open_wire(gateway, LEGACY) as wire:
        operation_id = wire.start(query)
        message = wire.receive()
        assert (message["type"], message["id"]) == ("error", operation_id)
        assert message["payload"]["extensions"]["code"] == code
        assert wire.is_alive()


def test_start_before_connection_init_closes_4401(gateway: RunningGateway) -> None:
    with open_wire(gateway, LEGACY, init=False) as wire:
        wire.start("{ app { id } }")
        assert wire.closed()[0] == CloseCode.UNAUTHORIZED


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"subscribe","id":"1","payload":{"query":"{ app { id } }"}}',
        '{"type":"ping"}',
        '{"type":"start","id":1,"payload":{"query":"{ app { id } }"}}',
        '{"type":"stop"}',
        "[]",
        b'{"type":"stop","id":"1"}',
    ],
)
def test_a_message_that_is_not_allowed_closes_4400(gateway: RunningGateway, frame: str | bytes) -> None:
    with open_wire(gateway, LEGACY) as wire:
        wire.connection.send(frame)
        assert wire.closed()[0] == CloseCode.BAD_REQUEST
