"""Which state counts, and deletions: lines 12, 13 and 16."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clients.conformance.beginnings import hold_back, tell, watching
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.gateway import Message
    from clients.conformance.world import World


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


@case(13, needs="clock")
async def an_equal_version_is_taken_after_a_nothing_of_an_operation_that_had_told_an_older_one(world: World) -> None:
    old = world.gateway.put("a", name="old")
    user = world.gateway.put("a", name="there")
    _, subscription = await watching(world)
    world.gateway.cut()
    world.gateway.users["a"] = old  # a gateway that is behind, and hears of a deletion from before
    await world.advance(0.6)
    assert subscription.names == ["there"]
    del world.gateway.users["a"]
    world.gateway.changed(["a"])
    await world.settle()
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
        return bool(message["type"] == "subscribe" and _is_deletion(message))

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


@case(16)
async def a_deletion_counts_for_who_begins_to_watch_meanwhile(world: World) -> None:
    """The watch that there was when it began has ended."""
    asked: list[str] = []
    world.gateway.answer_by(lambda _, operation: asked.append(operation))
    session = await world.open()
    refused = await session.subscribe("a")
    deleting = session.start("delete", user="a")
    await world.until(lambda: len(asked) == 2)
    watch, deletion = (each["id"] for each in sorted(world.gateway.subscribed, key=_is_deletion))
    world.gateway.socket.refuse(watch, "FORBIDDEN")
    assert (await refused.terminated())["type"] == "error"
    subscription = await session.subscribe("a")
    await world.until(lambda: len(asked) == 3)
    world.gateway.socket.next(deletion, {"deleteUser": {"deleted": True}})
    world.gateway.socket.complete(deletion)
    assert await deleting is True
    await world.settle()
    assert subscription.names == [None]


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


def _is_deletion(message: Message) -> bool:
    return "deleteUser" in message["payload"]["query"]
