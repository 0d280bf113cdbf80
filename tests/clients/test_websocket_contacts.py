"""A contact list: many users watched by one subscription, over a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.wire import LEGACY, TRANSPORT, new_id, nothing_left_behind, open_wire

if TYPE_CHECKING:
    from tests.clients.wire import Wire
    from tests.support.gateway import RunningGateway


@pytest.fixture
def gateway(each_gateway: RunningGateway) -> RunningGateway:
    """Every test here is about snapshots written to sockets directly, and about those sent the ordinary way."""
    return each_gateway


WATCH = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id name } }"

both = pytest.mark.parametrize("subprotocol", [TRANSPORT, LEGACY])


def event(wire: Wire, operation_id: str = "watch") -> Any:
    payload = wire.expect(operation_id)
    assert "errors" not in payload, payload
    return payload["data"]["usersChanged"]


@both
def test_the_users_as_they_are_and_then_every_change(gateway: RunningGateway, subprotocol: str) -> None:
    ann, bob, new = (new_id(name) for name in ("ann", "bob", "new"))
    gateway.set_user(ann, name="Ann")
    gateway.set_user(bob, name="Bob")
    with nothing_left_behind(gateway), open_wire(gateway, subprotocol) as wire:
        watchers = gateway.metric("userline_watchers")
        wire.start(WATCH, {"ids": [bob, new, ann, bob]}, "watch")
        assert [event(wire), event(wire)] == [{"id": bob, "name": "Bob"}, {"id": ann, "name": "Ann"}]
        assert wire.is_alive()
        assert gateway.metric("userline_watchers") == watchers + 3
        gateway.set_user(new, name="New")
        assert event(wire) == {"id": new, "name": "New"}
        gateway.set_user(ann, name="Ann", email="ann@example.com")
        gateway.set_user(ann, name="Anna")
        assert event(wire) == {"id": ann, "name": "Anna"}
        wire.stop("watch")
        assert wire.is_alive()
        gateway.set_user(bob, name="Bobby")
        assert wire.is_alive()
        assert gateway.metric("userline_watchers") == watchers


def test_a_thousand_users_are_one_read(gateway: RunningGateway) -> None:
    ids = [new_id("contact") for _ in range(1000)]
    for start in range(0, 1000, 100):
        batch = {user_id: {"name": user_id} for user_id in ids[start : start + 100]}
        assert gateway.http.put("/v1/userline/users", json=batch).is_success
    unknown = [new_id("unknown") for _ in range(1000)]
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT, max_queue=None) as wire:
        wire.start(WATCH, {"ids": ids}, "watch")
        assert [event(wire)["id"] for _ in ids] == ids
        reads = gateway.metric("userline_store_reads_total")
        wire.start(WATCH, {"ids": unknown}, "unknown")
        assert wire.is_alive()
        gateway.set_user(unknown[7], name="known")
        assert event(wire, "unknown") == {"id": unknown[7], "name": "known"}
        assert gateway.metric("userline_store_reads_total") == reads + 1


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a"] * 1001, "Variable '$ids' has a bad value: it must have at most 1000 entries, not 1001."),
        (["a", ""], "ids must not be empty."),
    ],
)
def test_bad_ids_end_the_operation_alone(gateway: RunningGateway, ids: list[str], message: str) -> None:
    with open_wire(gateway, TRANSPORT) as wire:
        wire.start(WATCH, {"ids": ids}, "watch")
        error = wire.receive()
        assert (error["type"], error["id"]) == ("error", "watch")
        users = gateway.execute("query($ids: [ID!]!) { users(ids: $ids) { id } }", {"ids": ids})["errors"]
        assert error["payload"][0]["message"] == users[0]["message"] == message
        assert error["payload"][0]["extensions"] == users[0]["extensions"]
        assert wire.is_alive()


def test_the_users_that_one_socket_may_watch_are_limited(gateway: RunningGateway) -> None:
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT) as wire:
        ids = [new_id("limit") for _ in range(1000)]
        for number in range(5):
            wire.start(WATCH, {"ids": ids}, str(number))
        assert wire.is_alive()
        wire.start(WATCH, {"ids": ids[:1]}, "one more")
        error = wire.receive()
        assert error["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert "5000 users" in error["payload"][0]["message"]
        wire.stop("0")
        wire.start(WATCH, {"ids": ids[:1]}, "again")
        gateway.set_user(ids[0], name="Ann")
        heard = {wire.receive()["id"] for _ in range(5)}
        assert heard == {"1", "2", "3", "4", "again"}


def test_a_client_that_does_not_read_misses_all_but_the_newest_of_each(gateway: RunningGateway) -> None:
    ids = [new_id("slow") for _ in range(10)]
    changes = 100
    query = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id name welcomeMessage } }"
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT, max_queue=1) as slow:
        slow.start(query, {"ids": ids}, "watch")
        assert slow.is_alive()
        for number in range(changes):
            batch = {user_id: {"name": str(number), "welcomeMessage": "x" * 20_000} for user_id in ids}
            assert gateway.http.put("/v1/userline/users", json=batch).is_success
        heard: dict[str, list[int]] = {user_id: [] for user_id in ids}
        while any(not numbers or numbers[-1] != changes - 1 for numbers in heard.values()):
            user = event(slow)
            heard[user["id"]].append(int(user["name"]))
        for numbers in heard.values():
            assert numbers == sorted(set(numbers))
            assert len(numbers) < changes
        assert slow.is_alive()
