"""What the watchers of a user hear, in what order, and what they leave behind, over a real socket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.wire import LEGACY, PATIENCE, TRANSPORT, new_id, nothing_left_behind, open_wire

if TYPE_CHECKING:
    from tests.clients.wire import Wire
    from tests.support.gateway import RunningGateway


@pytest.fixture
def gateway(each_gateway: RunningGateway) -> RunningGateway:
    """Every test here is about snapshots written to sockets directly, and about those sent the ordinary way."""
    return each_gateway


RENAME = "mutation($id: ID!, $name: String!) { setUser(id: $id, input: {name: $name}) { changed } }"

both = pytest.mark.parametrize("subprotocol", [TRANSPORT, LEGACY])


def rename(wire: Wire, user_id: str, names: range) -> None:
    """Give a user these names in turn, one write after the other, over the socket."""
    for number in names:
        operation_id = wire.start(RENAME, {"id": user_id, "name": str(number)})
        assert wire.expect(operation_id) == {"data": {"setUser": {"changed": True}}}
        wire.expect_complete(operation_id)


@both
def test_the_first_event_is_the_user_as_it_is(gateway: RunningGateway, subprotocol: str) -> None:
    user_id = new_id("known")
    gateway.set_user(user_id, name="Ann", custom={"a.b": "1"})
    with open_wire(gateway, subprotocol) as wire:
        wire.watch(user_id, "watch")
        assert wire.event("watch") == {"id": user_id, "name": "Ann", "custom": {"a.b": "1"}}


@both
def test_null_first_where_there_is_no_user_and_then_its_creation(gateway: RunningGateway, subprotocol: str) -> None:
    user_id = new_id("new")
    create = (
        "mutation($id: ID!, $input: CreateUserInput!) { createUserIfNotExists(id: $id, input: $input) { created } }"
    )
    with open_wire(gateway, subprotocol) as wire:
        wire.watch(user_id, "watch")
        assert wire.event("watch") is None
        for created in (True, False):
            data = gateway.data(create, {"id": user_id, "input": {"name": "Ann"}})
            assert data == {"createUserIfNotExists": {"created": created}}
        gateway.set_user(user_id, name="Bob")
        # One event for the creation, none for the second call, which changed nothing.
        assert [wire.event("watch")["name"] for _ in range(2)] == ["Ann", "Bob"]


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"name": "Ann"},
        {"custom": {"color": "red"}},
        {"custom": {"absent": None}},
        {"locale": None},
        {"role": "default"},
        {"email": "ann@example.com"},
        {"phone": "+14155552671"},
        {"pushTokens": {"fcm:token": True}},
        {"email": ["other@example.com"], "name": "Ann"},
    ],
)
def test_a_patch_that_nobody_can_see_wakes_nobody(gateway: RunningGateway, patch: dict[str, Any]) -> None:
    user_id = new_id("quiet")
    gateway.set_user(user_id, name="Ann", custom={"color": "red"})
    with open_wire(gateway, TRANSPORT) as wire:
        wire.watch(user_id, "watch")
        assert wire.event("watch")["name"] == "Ann"
        gateway.set_user(user_id, **patch)
        gateway.set_user(user_id, **patch)
        gateway.set_user(user_id, name="sentinel")
        assert wire.event("watch") == {"id": user_id, "name": "sentinel", "custom": {"color": "red"}}
        assert wire.is_alive()


@pytest.mark.parametrize(
    ("patch", "field", "value"),
    [
        ({"name": "Bob"}, "name", "Bob"),
        ({"custom": {"color": None, "$a.b": "x"}}, "custom", {"$a.b": "x"}),
        ({"custom": None}, "custom", {}),
        ({"locale": "pt-BR"}, "locale", "pt-BR"),
        ({"locale": "pt-BR"}, "effectiveLocale", "pt-BR"),
        ({"photoUrl": "https://example.com/a.png"}, "photoUrl", "https://example.com/a.png"),
        ({"role": "agent"}, "role", "agent"),
        ({"welcomeMessage": "Hi 🙂"}, "welcomeMessage", "Hi 🙂"),
    ],
)
def test_every_public_attribute_is_heard(
    gateway: RunningGateway, patch: dict[str, Any], field: str, value: object
) -> None:
    user_id = new_id("heard")
    gateway.set_user(user_id, name="Ann", custom={"color": "red"})
    with open_wire(gateway, TRANSPORT) as wire:
        wire.start(f"subscription($id: ID!) {{ userChanged(id: $id) {{ {field} }} }}", {"id": user_id}, "watch")
        assert wire.event("watch")[field] != value
        gateway.set_user(user_id, **patch)
        assert wire.event("watch") == {field: value}


def test_events_come_in_the_order_of_the_writes(gateway: RunningGateway) -> None:
    user_id = new_id("order")
    gateway.set_user(user_id, name="-1")
    last = 400
    with ExitStack() as stack:
        readers = [stack.enter_context(open_wire(gateway, TRANSPORT)) for _ in range(4)]
        writer = stack.enter_context(open_wire(gateway, TRANSPORT))
        for reader in readers:
            reader.watch(user_id, "watch")
            assert reader.event("watch")["name"] == "-1"

        def read(reader: Wire) -> list[int]:
            heard: list[int] = []
            while not heard or heard[-1] != last - 1:
                heard.append(int(reader.event("watch")["name"]))
            return heard

        with ThreadPoolExecutor(len(readers)) as pool:
            futures = [pool.submit(read, reader) for reader in readers]
            rename(writer, user_id, range(last))
            for future in futures:
                heard = future.result(PATIENCE)
                assert heard == sorted(set(heard))


def test_writers_at_the_same_time_never_make_a_watcher_go_back(gateway: RunningGateway) -> None:
    user_id = new_id("race")
    gateway.set_user(user_id, name="Ann")
    writers = 4
    each = 50
    with open_wire(gateway, TRANSPORT, max_queue=None) as wire:
        wire.watch(user_id, "watch")
        assert wire.event("watch")["custom"] == {}

        def write(writer: int) -> None:
            with open_wire(gateway, TRANSPORT) as own:
                mutation = "mutation($id: ID!, $c: Custom) { setUser(id: $id, input: {custom: $c}) { changed } }"
                for number in range(1, each + 1):
                    operation_id = own.start(mutation, {"id": user_id, "c": {f"writer {writer}": str(number)}})
                    assert own.expect(operation_id) == {"data": {"setUser": {"changed": True}}}
                    own.expect_complete(operation_id)

        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(write, range(writers)))
        done = {f"writer {writer}": str(each) for writer in range(writers)}
        before: dict[str, str] = {}
        while before != done:
            custom = wire.event("watch")["custom"]
            assert all(int(custom[key]) >= int(number) for key, number in before.items()), (before, custom)
            assert custom != before
            before = custom


def test_many_subscriptions_on_one_socket_each_hear_their_user(gateway: RunningGateway) -> None:
    user_ids = [new_id("one-of-many") for _ in range(50)]
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT, max_queue=None) as wire:
        for user_id in user_ids:
            wire.watch(user_id, f"watch {user_id}")
        first = [wire.receive() for _ in user_ids]
        assert {message["id"] for message in first} == {f"watch {user_id}" for user_id in user_ids}
        for user_id in reversed(user_ids):
            gateway.set_user(user_id, name=f"name of {user_id}")
            assert wire.event(f"watch {user_id}")["name"] == f"name of {user_id}"


@both
def test_nothing_is_heard_after_unsubscribing(gateway: RunningGateway, subprotocol: str) -> None:
    user_id = new_id("left")
    with open_wire(gateway, subprotocol) as wire:
        watchers = gateway.metric("userline_watchers")
        wire.watch(user_id, "leaves")
        assert wire.event("leaves") is None
        wire.watch(user_id, "stays")
        assert wire.event("stays") is None
        wire.stop("leaves")
        assert wire.is_alive()
        assert gateway.metric("userline_watchers") == watchers + 1
        gateway.set_user(user_id, name="Ann")
        assert wire.event("stays")["name"] == "Ann"
        assert wire.is_alive()


@both
def test_a_torn_connection_leaves_no_watcher_behind(gateway: RunningGateway, subprotocol: str) -> None:
    user_id = new_id("torn")
    with nothing_left_behind(gateway):
        watchers = gateway.metric("userline_watchers")
        with open_wire(gateway, subprotocol, max_queue=None) as wire:
            for number in range(100):
                wire.watch(user_id if number % 2 else new_id("torn"), f"watch {number}")
            for _ in range(100):
                wire.receive()
            assert gateway.metric("userline_watchers") == watchers + 100
            wire.tear()
        gateway.set_user(user_id, name="Ann")


def test_connections_torn_at_any_moment_leave_nothing_behind(gateway: RunningGateway) -> None:
    user_id = new_id("torn")
    with nothing_left_behind(gateway), open_wire(gateway, TRANSPORT) as writer:
        for number in range(40):
            with open_wire(gateway, TRANSPORT, init=False) as wire:
                if number % 4:
                    wire.send({"type": "connection_init"})
                for other in range(number % 4 * 10):
                    wire.watch(user_id, f"watch {other}")
                wire.tear()
            rename(writer, user_id, range(number, number + 1))
        assert writer.is_alive()
    assert "Traceback" not in gateway.log


def test_a_client_that_does_not_read_misses_all_but_the_newest(gateway: RunningGateway) -> None:
    """Its events are large, so that few of them fill what the sockets buffer in between.

    Few, because who reads nothing for 10 s is cut off, also where the machine is slow.
    """
    user_id = new_id("slow")
    changes = 400
    gateway.set_user(user_id, name="start", welcomeMessage="x" * 60_000)
    query = "subscription($id: ID!) { userChanged(id: $id) { name welcomeMessage } }"
    with (
        nothing_left_behind(gateway),
        open_wire(gateway, TRANSPORT, max_queue=1) as slow,
        open_wire(gateway, TRANSPORT) as writer,
    ):
        slow.start(query, {"id": user_id}, "watch")
        assert slow.event("watch")["name"] == "start"
        rename(writer, user_id, range(changes))
        assert gateway.data("query($id: ID!) { user(id: $id) { name } }", {"id": user_id}) == {
            "user": {"name": str(changes - 1)}
        }
        heard = [int(slow.event("watch")["name"])]
        while heard[-1] != changes - 1:
            heard.append(int(slow.event("watch")["name"]))
        assert heard == sorted(set(heard))
        assert len(heard) < changes
        assert slow.is_alive()


def test_a_client_that_does_not_read_delays_nobody(gateway: RunningGateway) -> None:
    user_id = new_id("slow")
    gateway.set_user(user_id, name="start", welcomeMessage="x" * 20_000)
    query = "subscription($id: ID!) { userChanged(id: $id) { name welcomeMessage } }"
    with (
        nothing_left_behind(gateway),
        open_wire(gateway, TRANSPORT, max_queue=1) as stuck,
        open_wire(gateway, TRANSPORT) as quick,
        open_wire(gateway, TRANSPORT) as writer,
    ):
        for number in range(500):
            stuck.start(query, {"id": user_id}, str(number))
        quick.watch(user_id, "watch")
        assert quick.event("watch")["name"] == "start"
        for number in range(20):
            rename(writer, user_id, range(number, number + 1))
            assert quick.event("watch")["name"] == str(number)
        stuck.tear()
        rename(writer, user_id, range(20, 21))
        assert quick.event("watch")["name"] == "20"
