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


WATCH = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id user { name } } }"

both = pytest.mark.parametrize("subprotocol", [TRANSPORT, LEGACY])


def event(wire: Wire, operation_id: str = "watch") -> Any:
    payload = wire.expect(operation_id)
    assert "errors" not in payload, payload
    return payload["data"]["usersChanged"]


def names(changes: Any) -> list[tuple[str, str | None]]:
    return [(change["id"], change["user"] and change["user"]["name"]) for change in changes]


@both
def test_the_users_as_they_are_and_then_every_change(gateway: RunningGateway, subprotocol: str) -> None:
    ann, bob, new = (new_id(name) for name in ("ann", "bob", "new"))
    gateway.set_user(ann, name="Ann")
    gateway.set_user(bob, name="Bob")
    with nothing_left_behind(gateway), open_wire(gateway, subprotocol) as wire:
        watchers = gateway.metric("userline_watchers")
        wire.start(WATCH, {"ids": [bob, new, ann, bob]}, "watch")
        assert names(event(wire)) == [(bob, "Bob"), (new, None), (ann, "Ann")]
        assert wire.is_alive()
        assert gateway.metric("userline_watchers") == watchers + 3
        gateway.set_user(new, name="New")
        assert names(event(wire)) == [(new, "New")]
        gateway.set_user(ann, name="Ann", email="ann@example.com")
        gateway.set_user(ann, name="Anna")
        assert names(event(wire)) == [(ann, "Anna")]
        wire.stop("watch")
        assert wire.is_alive()
        gateway.set_user(bob, name="Bobby")
        assert wire.is_alive()
        assert gateway.metric("userline_watchers") == watchers


@both
def test_what_is_written_together_is_few_events(gateway: RunningGateway, subprotocol: str) -> None:
    ids = [new_id("together") for _ in range(100)]
    with nothing_left_behind(gateway), open_wire(gateway, subprotocol) as wire:
        wire.start(WATCH, {"ids": ids}, "watch")
        assert names(event(wire)) == [(user_id, None) for user_id in ids]
        assert gateway.http.put("/v1/userline/users", json={user_id: {"name": "N"} for user_id in ids}).is_success
        told = names(event(wire))
        while len(told) < len(ids):  # a busy gateway takes more than one turn for them
            more = names(event(wire))
            assert len(told) > 1 or len(more) > 1, "each is an event of its own"
            told += more
        assert sorted(told) == sorted((user_id, "N") for user_id in ids)
        assert wire.is_alive()


def test_nobody_at_all_is_told_at_once(gateway: RunningGateway) -> None:
    with open_wire(gateway, TRANSPORT) as wire:
        wire.start(WATCH, {"ids": []}, "watch")
        assert event(wire) == []
        assert wire.is_alive()


def test_a_thousand_users_are_one_read_and_one_event(gateway: RunningGateway) -> None:
    ids = [new_id("contact") for _ in range(1000)]
    for start in range(0, 1000, 100):
        batch = {user_id: {"name": user_id} for user_id in ids[start : start + 100]}
        assert gateway.http.put("/v1/userline/users", json=batch).is_success
    unknown = [new_id("unknown") for _ in range(1000)]
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT) as wire:
        wire.start(WATCH, {"ids": ids}, "watch")
        assert names(event(wire)) == [(user_id, user_id) for user_id in ids]
        reads = gateway.metric("userline_store_reads_total")
        wire.start(WATCH, {"ids": unknown}, "unknown")
        assert names(event(wire, "unknown")) == [(user_id, None) for user_id in unknown]
        gateway.set_user(unknown[7], name="known")
        assert names(event(wire, "unknown")) == [(unknown[7], "known")]
        assert gateway.metric("userline_store_reads_total") == reads + 1


def test_large_users_come_in_several_events_and_each_once(gateway: RunningGateway) -> None:
    ids = [new_id("large") for _ in range(60)]
    query = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id user { welcomeMessage } } }"
    for start in range(0, 60, 20):
        batch = {user_id: {"name": "L", "welcomeMessage": "x" * 50_000} for user_id in ids[start : start + 20]}
        assert gateway.http.put("/v1/userline/users", json=batch).is_success
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT) as wire:
        wire.start(query, {"ids": ids}, "watch")
        told: list[str] = []
        sizes = []
        while len(told) < 60:
            changes = event(wire)
            assert all(len(change["user"]["welcomeMessage"]) == 50_000 for change in changes)
            told += [change["id"] for change in changes]
            sizes.append(len(changes))
        assert told == ids
        assert sizes == [10] * 6, "as many as fit into 512 KiB"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a"] * 1001, "Variable '$ids' has a bad value: it must have at most 1000 entries, not 1001."),
        (["a", ""], "ids[1] must not be empty."),
    ],
)
@both
def test_bad_ids_end_the_operation_alone(
    gateway: RunningGateway, subprotocol: str, ids: list[str], message: str
) -> None:
    with open_wire(gateway, subprotocol) as wire:
        wire.start(WATCH, {"ids": ids}, "watch")
        payload = wire.expect("watch")
        users = gateway.execute("query($ids: [ID!]!) { users(ids: $ids) { id } }", {"ids": ids})["errors"]
        assert list(payload) == ["errors"]
        assert payload["errors"][0]["message"] == users[0]["message"] == message
        assert payload["errors"][0]["extensions"] == users[0]["extensions"]
        assert wire.receive() == {"id": "watch", "type": "complete"}
        assert wire.is_alive()


def test_the_users_that_one_socket_may_watch_are_limited(gateway: RunningGateway) -> None:
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT) as wire:
        ids = [new_id("limit") for _ in range(1000)]
        for number in range(5):
            wire.start(WATCH, {"ids": ids}, str(number))
            assert len(event(wire, str(number))) == 1000
        wire.start(WATCH, {"ids": ids[:1]}, "one more")
        (error,) = wire.expect("one more")["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert "5000 users" in error["message"]
        assert error["path"] == ["usersChanged"]
        assert wire.receive()["type"] == "complete"
        wire.stop("0")
        wire.start(WATCH, {"ids": ids[:1]}, "again")
        assert names(event(wire, "again")) == [(ids[0], None)]
        gateway.set_user(ids[0], name="Ann")
        heard = {wire.receive()["id"] for _ in range(5)}
        assert heard == {"1", "2", "3", "4", "again"}


def test_a_client_that_does_not_read_misses_all_but_the_newest_of_each(gateway: RunningGateway) -> None:
    ids = [new_id("slow") for _ in range(10)]
    changes = 100
    query = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id user { name welcomeMessage } } }"
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT, max_queue=1) as slow:
        slow.start(query, {"ids": ids}, "watch")
        assert [change["user"] for change in event(slow)] == [None] * 10
        for number in range(changes):
            batch = {user_id: {"name": str(number), "welcomeMessage": "x" * 20_000} for user_id in ids}
            assert gateway.http.put("/v1/userline/users", json=batch).is_success
        heard: dict[str, list[int]] = {user_id: [] for user_id in ids}
        while any(not numbers or numbers[-1] != changes - 1 for numbers in heard.values()):
            for change in event(slow):
                heard[change["id"]].append(int(change["user"]["name"]))
        for numbers in heard.values():
            assert numbers == sorted(set(numbers))
            assert len(numbers) < changes
        assert slow.is_alive()
