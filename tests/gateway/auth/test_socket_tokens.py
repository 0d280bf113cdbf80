"""Tokens over WebSocket: where they are carried, what ends a socket, and renewal."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.clients.wire import LEGACY, PATIENCE, TRANSPORT, Wire, new_id
from tests.support.tokens import bad_tokens, token_of
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from userline.gateway.websocket.protocol import CloseCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.gateway import RunningGateway

BAD = bad_tokens()
MISSING = (CloseCode.FORBIDDEN, "Forbidden: A token is required, as Authorization: Bearer TOKEN.")


@contextmanager
def wire_of(
    gateway: RunningGateway,
    payload: dict[str, Any] | None,
    *,
    protocol: str = TRANSPORT,
    headers: dict[str, str] | None = None,
) -> Iterator[Wire]:
    """Open a socket and send ``connection_init`` with this payload."""
    with connect(
        gateway.websocket_url,
        subprotocols=[Subprotocol(protocol)],
        proxy=None,
        close_timeout=PATIENCE,
        additional_headers=headers,
    ) as connection:
        wire = Wire(connection)
        wire.send({"type": "connection_init"} | ({} if payload is None else {"payload": payload}))
        yield wire


def acknowledged(wire: Wire) -> None:
    assert wire.receive()["type"] == "connection_ack"


def write(gateway: RunningGateway, user_id: str, name: str) -> None:
    query = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { changed } }"
    answer = gateway.http.post(
        "/graphql",
        json={"query": query, "variables": {"id": user_id, "input": {"name": name}}},
        headers={"authorization": f"Bearer {token_of(None)}"},
    )
    assert answer.json() == {"data": {"setUser": {"changed": True}}}


@pytest.mark.parametrize("protocol", [TRANSPORT, LEGACY])
@pytest.mark.parametrize("place", ["Authorization", "authorization", "AUTHORIZATION", "token", "authToken", "header"])
def test_where_a_token_can_be(guarded: RunningGateway, protocol: str, place: str) -> None:
    token = token_of("alice")
    bearer = {"Authorization": f"Bearer {token}"}
    payload = None if place == "header" else {place: token if "oken" in place else f"bearer {token}", "more": 1}
    with wire_of(guarded, payload, protocol=protocol, headers=bearer if place == "header" else None) as wire:
        acknowledged(wire)
        assert wire.is_alive()


def test_the_payload_comes_before_the_header(guarded: RunningGateway) -> None:
    good, bad = token_of("alice"), token_of("alice", exp=1)
    with wire_of(guarded, {"token": good}, headers={"authorization": f"Bearer {bad}"}) as wire:
        acknowledged(wire)
    with wire_of(guarded, {"token": bad}, headers={"authorization": f"Bearer {good}"}) as wire:
        assert wire.closed() == (CloseCode.FORBIDDEN, "Forbidden: The token has expired.")


@pytest.mark.parametrize("protocol", [TRANSPORT, LEGACY])
@pytest.mark.parametrize("payload", [None, {}, {"token": None}, {"tokens": "x"}])
def test_no_token_closes_4403(guarded: RunningGateway, protocol: str, payload: dict[str, Any] | None) -> None:
    with wire_of(guarded, payload, protocol=protocol) as wire:
        assert wire.closed() == MISSING


@pytest.mark.parametrize(
    "payload",
    [
        {"token": 5},
        {"token": ""},
        {"token": ["x"]},
        {"Authorization": "x"},
        {"Authorization": "Bearer"},
        {"token": "x", "authToken": "x"},
        {"Authorization": "Bearer x", "authorization": "Bearer x"},
    ],
)
def test_a_payload_that_makes_no_sense_closes_4403(guarded: RunningGateway, payload: dict[str, Any]) -> None:
    with wire_of(guarded, payload) as wire:
        code, reason = wire.closed()
        assert code == CloseCode.FORBIDDEN
        assert reason.startswith("Forbidden: ")


@pytest.mark.parametrize("name", BAD)
def test_bad_tokens_close_4403(guarded: RunningGateway, name: str) -> None:
    with wire_of(guarded, {"token": BAD[name]}) as wire:
        code, reason = wire.closed()
    assert code == CloseCode.FORBIDDEN
    assert reason in (
        "Forbidden: The token is not valid.",
        "Forbidden: The token has expired.",
        "Forbidden: The token is not valid yet.",
    )


@pytest.mark.parametrize("protocol", [TRANSPORT, LEGACY])
def test_an_expired_token_closes_4410_within_a_second(guarded: RunningGateway, protocol: str) -> None:
    user_id = new_id("expiry")
    expires_at = int(time.time()) + 2
    with wire_of(guarded, {"token": token_of("alice", exp=expires_at)}, protocol=protocol) as wire:
        acknowledged(wire)
        assert wire.event(wire.watch(user_id)) is None
        assert wire.closed() == (CloseCode.TOKEN_EXPIRED, "Token expired")
        assert 0 <= time.time() - expires_at < 1


def test_a_token_that_the_leeway_lets_in_ends_with_the_leeway(guarded: RunningGateway) -> None:
    expires_at = int(time.time()) - 28
    with wire_of(guarded, {"token": token_of("alice", exp=expires_at)}) as wire:
        acknowledged(wire)
        assert wire.closed() == (CloseCode.TOKEN_EXPIRED, "Token expired")
        assert 30 <= time.time() - expires_at < 31


def test_a_renewal_is_answered_and_moves_the_end(guarded: RunningGateway) -> None:
    now = int(time.time())
    with wire_of(guarded, {"token": token_of("alice", exp=now + 2)}) as wire:
        acknowledged(wire)
        for payload, ends_at in (
            ({"token": token_of("alice", exp=now + 50)}, now + 50),
            ({"authToken": token_of("alice", exp=...)}, None),
            ({"Authorization": f"Bearer {token_of('alice', exp=now + 3)}"}, now + 3),
        ):
            wire.send({"type": "ping", "payload": payload})
            expected = None if ends_at is None else ends_at * 1000
            assert wire.receive() == {"type": "pong", "payload": {"expiresAt": expected}}
        assert wire.closed() == (CloseCode.TOKEN_EXPIRED, "Token expired")
        assert 0 <= time.time() - (now + 3) < 1


def test_no_subscription_notices_100_renewals(guarded: RunningGateway) -> None:
    user_id = new_id("renewed")
    begun = time.time()
    with wire_of(guarded, {"token": token_of("alice", exp=int(begun) + 2)}) as wire:
        acknowledged(wire)
        watch = wire.watch(user_id)
        assert wire.event(watch) is None
        for number in range(100):
            wire.send({"type": "ping", "payload": {"token": token_of("alice", exp=int(time.time()) + 3, n=number)}})
            assert wire.receive()["type"] == "pong"
            write(guarded, user_id, f"name {number}")
            assert wire.event(watch)["name"] == f"name {number}"
            time.sleep(max(0.0, begun + number * 0.04 - time.time()))
        assert time.time() - begun > 3, "the first token has long expired"
        assert wire.is_alive()


@pytest.mark.parametrize("other", [token_of("bob"), token_of(None)])
def test_a_renewal_with_the_token_of_somebody_else_closes_4403(guarded: RunningGateway, other: str) -> None:
    with wire_of(guarded, {"token": token_of("alice")}) as wire:
        acknowledged(wire)
        wire.send({"type": "ping", "payload": {"token": other}})
        assert wire.closed() == (CloseCode.FORBIDDEN, "Forbidden: The new token is of another user.")


@pytest.mark.parametrize("payload", [{"token": "garbage"}, {"token": token_of("alice", exp=1)}, {"token": 5}])
def test_a_renewal_with_a_bad_token_closes_4403(guarded: RunningGateway, payload: dict[str, Any]) -> None:
    with wire_of(guarded, {"token": token_of("alice")}) as wire:
        acknowledged(wire)
        wire.send({"type": "ping", "payload": payload})
        assert wire.closed()[0] == CloseCode.FORBIDDEN


def test_a_renewal_before_the_acknowledgement_closes_4401(guarded: RunningGateway) -> None:
    with connect(guarded.websocket_url, subprotocols=[Subprotocol(TRANSPORT)], proxy=None) as connection:
        wire = Wire(connection)
        wire.send({"type": "ping", "payload": {"token": token_of("alice")}})
        assert wire.closed() == (CloseCode.UNAUTHORIZED, "Unauthorized")


def test_other_pings_are_echoed(guarded: RunningGateway) -> None:
    with wire_of(guarded, {"token": token_of("alice")}) as wire:
        acknowledged(wire)
        for payload in ({}, {"a": 1}, {"token": None}):
            wire.send({"type": "ping", "payload": payload})
            assert wire.receive() == {"type": "pong", "payload": payload}


def test_an_operation_has_the_token_of_its_time(guarded: RunningGateway) -> None:
    """The viewer is looked up for each operation, not once for a socket."""
    user_id = new_id("own")
    mutation = 'mutation($id: ID!) { setUser(id: $id, input: {name: "Own"}) { created } }'
    with wire_of(guarded, {"token": token_of(user_id)}) as wire:
        acknowledged(wire)
        other = wire.start(mutation, {"id": new_id("other")})
        assert wire.expect(other)["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        wire.expect_complete(other)
        wire.send({"type": "ping", "payload": {"token": token_of(user_id, n=2)}})
        assert wire.receive()["type"] == "pong"
        assert wire.expect(wire.start(mutation, {"id": user_id})) == {"data": {"setUser": {"created": True}}}


def test_an_open_gateway_takes_any_token(gateway: RunningGateway) -> None:
    for payload in ({"token": "garbage"}, {"token": 5}, {"Authorization": "x"}):
        with wire_of(gateway, payload) as wire:
            acknowledged(wire)
            wire.send({"type": "ping", "payload": {"token": "garbage"}})
            assert wire.receive() == {"type": "pong", "payload": {"expiresAt": None}}
            assert wire.is_alive()


def test_the_answer_to_a_renewal_does_not_have_the_token(guarded: RunningGateway) -> None:
    token = token_of("alice")
    with wire_of(guarded, {"token": token}) as wire:
        acknowledged(wire)
        wire.send({"type": "ping", "payload": {"token": token}})
        assert token not in json.dumps(wire.receive())
