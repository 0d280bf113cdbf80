"""Versions, own writes and deletions: lines 12 to 18."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clients.conformance.gateway import refusal
from clients.conformance.table import case

if TYPE_CHECKING:
    from collections.abc import Callable

    from clients.conformance.gateway import Message
    from clients.conformance.world import Session, Subscription, World


async def watching(world: World, user: str = "a") -> tuple[Session, Subscription]:
    """Return a session and its active subscription to a user."""
    session = await world.open()
    subscription = await session.subscribe(user)
    await subscription.connected()
    return session, subscription


def hold_back(world: World, of: str = "mutation") -> Callable[[], None]:
    """Hold back the answers to what has this in its document; return what lets them out."""
    held: list[Callable[[], None]] = []
    gateway = world.gateway

    def hook(end: Any, message: Message) -> bool:
        if message["type"] != "subscribe" or of not in message["payload"]["query"]:
            return False
        held.append(lambda: gateway.run(end, message["id"], message["payload"]))
        return True

    def let_out() -> None:
        gateway.hook = None
        for answer in held:
            answer()

    gateway.hook = hook
    return let_out


def watch_of(world: World, number: int = 0) -> str:
    """Return the id of an operation that watches."""
    watches = [each for each in world.gateway.subscribed if "usersChanged" in each["payload"]["query"]]
    return str(watches[number]["id"])


def tell(world: World, user: Message | None, user_id: str = "a", watch: int = 0) -> None:
    """Send an event about one user."""
    operation = watch_of(world, watch)
    world.gateway.socket.next(operation, {"usersChanged": [{"id": user_id, "user": user}]})


# Which state counts


@case(12, needs="clock")
async def a_lower_version_is_not_taken_on_the_next_connection_neither(world: World) -> None:
    old = world.gateway.put("a", name="old")
    world.gateway.set("a", name="new")
    _, subscription = await watching(world)
    tell(world, old)
    world.gateway.cut()
    world.gateway.users["a"] = old  # another gateway, which is behind
    await world.advance(0.6)
    assert subscription.names == ["new"]
    world.gateway.set("a", name="newest")
    await world.settle()
    assert subscription.names == ["new", "newest"]


@case(12, 14)
async def answers_that_come_in_another_order_are_put_in_order(world: World) -> None:
    world.gateway.put("a", name="0")
    session, subscription = await watching(world)
    held: list[tuple[str, Message]] = []

    def hook(_: Any, message: Message) -> bool:
        if message["type"] != "subscribe":
            return False
        held.append((message["id"], world.gateway.put("a", **message["payload"]["variables"]["input"])))
        return True

    world.gateway.hook = hook
    writing = [session.start("set", user="a", input={"name": name}) for name in ("1", "2")]
    await world.until(lambda: len(held) == 2)
    for operation, user in reversed(held):
        world.gateway.socket.next(operation, {"setUser": {"user": user, "created": False, "changed": True}})
        world.gateway.socket.complete(operation)
    await asyncio.gather(*writing)
    assert await session.name_of("a") == "2"
    assert subscription.names == ["0", "2"]


@case(12, 25)
async def an_equal_version_changes_nothing(world: World) -> None:
    user = world.gateway.put("a", name="one")
    _, subscription = await watching(world)
    tell(world, user)
    tell(world, {**user, "name": "of the same version"})
    await world.settle()
    assert subscription.names == ["one"]


@case(13)
async def nothing_ends_what_was_and_a_late_snapshot_stays_out(world: World) -> None:
    old = world.gateway.put("a", name="old")
    _, subscription = await watching(world)
    world.gateway.delete("a")
    tell(world, old)
    await world.settle()
    assert subscription.names == ["old", None]
    world.gateway.set("a", name="back")
    await world.settle()
    assert subscription.names == ["old", None, "back"]


@case(13, needs="clock")
async def an_equal_version_is_taken_after_a_nothing_that_an_operation_began_with(world: World) -> None:
    user = world.gateway.put("a", name="there")
    _, subscription = await watching(world)
    world.gateway.cut()
    del world.gateway.users["a"]  # a gateway that has not heard of it yet
    await world.advance(0.6)
    world.gateway.users["a"] = user
    world.gateway.changed(["a"])
    await world.settle()
    assert subscription.names == ["there", None, "there"]


@case(13, 16, needs="clock")
async def a_late_snapshot_of_who_was_deleted_stays_out_after_a_lost_connection_too(world: World) -> None:
    alive = world.gateway.put("a", name="Ann")
    session, subscription = await watching(world)
    assert await session.ask("delete", user="a") is True
    tell(world, alive)
    world.gateway.cut()
    world.gateway.users["a"] = alive
    await world.advance(0.6)
    assert await session.get("a") is None
    world.gateway.set("a", name="Bea")
    await world.settle()
    assert subscription.names == ["Ann", None, "Bea"]


# Own writes


@case(14)
async def an_own_write_is_shown_at_once_and_its_event_shows_nothing(world: World) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    world.gateway.is_telling = False
    result = await session.set("a", name="two")
    assert (result["user"]["user"]["name"], result["created"], result["changed"]) == ("two", False, True)
    assert subscription.names == ["one", "two"]
    assert await session.ask("get", user="a") == result["user"] == subscription.shown[-1]
    world.gateway.is_telling = True
    world.gateway.changed(["a"])
    await world.settle()
    assert subscription.names == ["one", "two"]
    assert len(world.gateway.watched) == 1, "no get asks the gateway for it"


@case(14, 17)
async def a_creation_is_an_own_write_too(world: World) -> None:
    session, subscription = await watching(world)
    result = await session.ask("createIfNotExists", user="a", input={"name": "A"})
    assert (result["created"], result["user"]["user"]["name"]) == (True, "A")
    again = await session.ask("createIfNotExists", user="a", input={"name": "B"})
    assert (again["created"], again["user"]["user"]["name"]) == (False, "A")
    await world.settle()
    assert subscription.names == [None, "A"]


@case(14)
async def a_watch_that_begins_after_a_write_does_not_show_what_was_before(world: World) -> None:
    before = world.gateway.put("a", name="before")
    session = await world.open()
    await session.set("a", name="after")
    world.gateway.users["a"] = before  # a gateway that has not heard of it
    assert await session.name_of("a") == "after"


@case(14, needs="real")
async def writes_of_many_at_once_are_each_seen_by_their_next_get(world: World) -> None:
    session = await world.open(world.real)
    user = f"writes {id(world)}"
    await session.set(user, name="W")

    async def write(key: str) -> None:
        for number in range(15):
            await session.set(user, custom={key: str(number)})
            seen = await session.get(user)
            assert int(seen["custom"][key]) == number, "a get went back behind an own write"

    subscription = await session.subscribe(user)
    await subscription.connected()
    await asyncio.gather(*(write(f"key {number}") for number in range(4)))
    versions = [int(shown["version"]) for shown in subscription.users]
    assert versions == sorted(set(versions))


@case(15)
async def nothing_that_may_be_older_than_a_write_is_not_shown_and_the_gateway_is_asked_anew(world: World) -> None:
    world.gateway.put("a", name="one")
    world.gateway.put("b")
    session = await world.open()
    subscription, other = await session.subscribe_all(["a", "b"])
    await other.connected()
    world.gateway.is_telling = False  # its events are late
    written = (await session.set("a", name="two"))["user"]["user"]
    let_out = hold_back(world, "usersChanged")
    tell(world, None)
    await world.until(lambda: len(world.gateway.watched) == 2)
    assert world.gateway.watched[1] == ["a"], "by an operation of its own"
    getting = session.start("get", user="a")
    tell(world, {**written, "name": "from the old one", "version": str(int(written["version"]) + 1)})
    await world.settle()
    assert not getting.done(), "it waits for its first event, which decides"
    let_out()
    assert (await getting)["user"] == written
    assert subscription.names == ["one", "two"]
    assert await other.type() == "active"


@case(15)
async def it_is_asked_once_and_if_it_says_so_again_that_is_so(world: World) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    world.gateway.is_telling = False
    await session.set("a", name="two")
    world.gateway.delete("a")
    tell(world, None)
    await world.settle()
    assert subscription.names == ["one", "two", None]
    assert await session.get("a") is None
    assert len(world.gateway.watched) == 2


@case(15)
async def once_an_event_has_told_of_the_write_nothing_is_news(world: World) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    await session.set("a", name="two")
    await world.settle()
    world.gateway.delete("a")
    await world.settle()
    assert subscription.names == ["one", "two", None]
    assert len(world.gateway.watched) == 1


@case(15)
async def nothing_while_a_write_is_under_way_is_shown_then_its_answer_and_the_gateway_is_asked(world: World) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    let_out = hold_back(world)
    writing = session.start("set", user="a", input={"name": "two"})
    await world.until(lambda: len(world.gateway.subscribed) == 2)
    world.gateway.delete("a")
    await world.settle()
    assert subscription.names == ["one", None]
    world.gateway.is_telling = False
    let_out()
    let_out_watch = hold_back(world, "usersChanged")
    await writing
    getting = session.start("get", user="a")
    await world.settle()
    assert subscription.names == ["one", None, "two"]
    assert len(world.gateway.watched) == 2
    assert not getting.done(), "it waits for the first event of the new operation"
    world.gateway.delete("a")
    let_out_watch()
    assert await getting is None
    assert subscription.names == ["one", None, "two", None]


@case(15)
async def what_a_write_that_failed_has_done_is_told_by_events(world: World) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    world.gateway.answer_by(lambda end, operation: end.refuse(operation, "STORE_UNAVAILABLE"))
    await world.fails(session.set("a", name="two"), "STORE_UNAVAILABLE")
    assert subscription.names == ["one"]
    world.gateway.set("a", name="two")
    await world.settle()
    assert subscription.names == ["one", "two"]
    world.gateway.delete("a")
    await world.settle()
    assert subscription.names == ["one", "two", None]


# Deletions


@case(16)
async def a_deletion_says_whether_there_was_somebody_and_is_shown_at_once(world: World) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    world.gateway.is_telling = False
    assert await session.ask("delete", user="a") is True
    assert subscription.names == ["one", None]
    assert await session.get("a") is None
    for user in ("a", "nobody"):
        assert await session.ask("delete", user=user) is False
    world.gateway.is_telling = True
    world.gateway.changed(["a"])
    await world.settle()
    assert subscription.names == ["one", None]
    assert len(world.gateway.watched) == 1


@case(16)
async def what_has_come_while_a_deletion_was_under_way_is_decided_by_events(world: World) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)

    def hook(_: Any, message: Message) -> bool:
        return bool(message["type"] == "subscribe" and "deleteUser" in message["payload"]["query"])

    world.gateway.hook = hook
    deleting = session.start("delete", user="a")
    await world.until(lambda: len(world.gateway.subscribed) == 2)
    world.gateway.set("a", name="two")
    await world.until(lambda: subscription.names == ["one", "two"])
    world.gateway.is_telling = False
    world.gateway.set("a", name="created anew")
    operation = world.gateway.subscribed[1]["id"]
    world.gateway.socket.next(operation, {"deleteUser": {"deleted": True}})
    world.gateway.socket.complete(operation)
    assert await deleting is True
    await world.settle()
    assert subscription.names == ["one", "two", "created anew"]


@case(15, 16)
async def nothing_while_an_own_deletion_is_under_way_is_shown(world: World) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    world.gateway.is_telling = False
    await session.set("a", name="two")
    world.gateway.is_telling = True
    let_out = hold_back(world)
    deleting = session.start("delete", user="a")
    await world.until(lambda: len(world.gateway.subscribed) == 3)
    world.gateway.delete("a")
    await world.settle()
    assert subscription.names == ["one", "two", None]
    let_out()
    assert await deleting is False
    await world.settle()
    assert subscription.names == ["one", "two", None]
    assert len(world.gateway.watched) == 1


# What is sent, and what is refused


@case(17)
async def left_out_null_and_a_value_are_three_things(world: World) -> None:
    session = await world.open()
    inputs: list[Message] = [
        {"name": "A"},
        {"name": "A", "locale": None, "custom": {"x": "1", "y": None}, "photoUrl": "https://x/"},
        {"custom": None, "welcomeMessage": None, "role": "admin"},
        {"email": ["a@example.com"], "phone": None, "pushTokens": {"fcm:1": True, "apns:2": None}},
        {},
    ]
    for given in inputs:
        await session.set("a", **given)
    assert [each["payload"]["variables"] for each in world.gateway.subscribed] == [
        {"id": "a", "input": given} for given in inputs
    ]


@case(17, needs="real")
async def a_gateway_takes_them_for_three_things(world: World) -> None:
    session = await world.open(world.real)
    user = f"three {id(world)}"
    created = await session.ask(
        "createIfNotExists", user=user, input={"name": "Ann", "locale": "nl", "custom": {"a": "1", "b": "2"}}
    )
    assert created["created"] is True
    now = (await session.set(user, locale=None, custom={"a": None, "c": "3"}))["user"]["user"]
    assert (now["name"], now["locale"], now["custom"]) == ("Ann", None, {"b": "2", "c": "3"})
    now = (await session.set(user, custom=None, photoUrl="https://example.com/a.png"))["user"]["user"]
    assert (now["custom"], now["photoUrl"]) == ({}, "https://example.com/a.png")
    assert (await session.set(user))["changed"] is False
    error = await world.fails(session.set(user, name=" ", locale="?"), "BAD_USER_INPUT")
    assert [problem["field"] for problem in error.told["problems"]] == ["name", "locale"]
    await world.fails(session.set(f"nobody {id(world)}", locale="nl"), "NAME_REQUIRED")


CODES = (
    "BAD_USER_INPUT",
    "NAME_REQUIRED",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "USER_SYNC_DISABLED",
    "STORE_UNAVAILABLE",
    "RATE_LIMITED",
    "OPERATION_TOO_COMPLEX",
    "DOCUMENT_NOT_TRUSTED",
    "PERSISTED_QUERY_NOT_FOUND",
    "PERSISTED_QUERY_NOT_SUPPORTED",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "INTERNAL_SERVER_ERROR",
)
"""Those of the gateway: a test holds them to its table."""


@case(18)
async def refusals_are_errors_of_their_own_kinds_and_are_not_repeated(world: World) -> None:
    problems = [{"field": "name", "message": "too long"}, {"field": "locale", "message": "none"}]
    code = ""

    def hook(end: Any, message: Message) -> bool:
        if message["type"] == "subscribe":
            error = refusal(code, field="name", problems=problems, retryAfterSeconds=2)
            end.next(message["id"], None, [error])
            end.complete(message["id"])
        return bool(message["type"] == "subscribe")

    world.gateway.hook = hook
    session = await world.open()
    kinds: dict[str, str] = {}
    for code in (*CODES, "OF_A_LATER_VERSION", "constructor"):
        error = await world.fails(session.set("a", name="x"), code)
        assert error.told["message"] == f"Refused: {code}."
        assert error.told["retryAfterSeconds"] == 2
        kinds[code] = error.told["kind"]
        if code in {"BAD_USER_INPUT", "NAME_REQUIRED"}:
            assert (error.told["field"], error.told["problems"]) == ("name", problems)
    await world.settle()
    assert len(world.gateway.subscribed) == len(kinds), "each was sent once"
    assert len({kinds[each] for each in CODES}) == len(CODES)
    assert kinds["OF_A_LATER_VERSION"] == kinds["constructor"] not in {kinds[each] for each in CODES}


@case(18, 31)
async def a_refusal_as_error_is_understood_too(world: World) -> None:
    world.gateway.answer_by(lambda end, operation: end.refuse(operation, "FORBIDDEN"))
    session = await world.open()
    for do in ("set", "createIfNotExists"):
        await world.fails(session.start(do, user="a", input={"name": "x"}), "FORBIDDEN")
    await world.fails(session.start("delete", user="a"), "FORBIDDEN")
    await world.fails(session.start("app"), "FORBIDDEN")


@case(18, needs="clock")
async def a_refusal_that_passes_is_told_and_not_tried_again_for_a_write(world: World) -> None:
    world.gateway.answer_by(lambda end, operation: end.refuse(operation, "RATE_LIMITED", retryAfterSeconds=1))
    session = await world.open()
    await world.fails(session.set("a", name="x"), "RATE_LIMITED")
    await world.advance(20)
    assert len(world.gateway.subscribed) == 1


@case(18)
async def what_cannot_be_sent_is_refused_at_once(world: World) -> None:
    session = await world.open()
    unsendable: list[Message] = [
        {"name": "\ud800"},
        {"custom": {"\udc00": "x"}},
        {"custom": {"x": "a\udc00b"}},
        {"locale": {"$unsendable": True}},
        {"custom": {"x": {"$unsendable": True}}},
    ]
    for given in unsendable:
        await world.fails(session.set("a", **given), "INVALID_INPUT")
    await world.settle()
    assert world.gateway.connections == []
    world.gateway.limits = {"messageBytes": 100_000}
    await session.set("a", name="x" * 60_000)
    await world.fails(session.set("a", name="x" * 100_000), "INVALID_INPUT")
    await world.fails(session.set("a", name="🙂" * 25_000), "INVALID_INPUT")
    await session.set("a", name="🙂" * 20_000)
    assert len(world.gateway.subscribed) == 2
    assert len(world.gateway.connections) == 1
