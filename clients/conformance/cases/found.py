"""What scripts by chance (`chance/`) have found in one of the clients, each as a case of its line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clients.conformance.beginnings import hold_back, numbered, sizes, tell, watch_of, watching
from clients.conformance.gateway import refusal
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.gateway import Message
    from clients.conformance.world import World


# References and snapshots


@case(3, 14)
async def the_answer_to_a_write_is_the_same_object_while_nothing_else_changes(world: World) -> None:
    world.gateway.put("a", name="Ann")
    session, subscription = await watching(world)
    written = await session.set("a", name="Ann")
    assert written["user"] == subscription.shown[0]
    tell(world, {**world.gateway.users["a"], "version": "1", "name": "old"})
    await world.settle()
    assert (await session.set("a", name="Ann"))["user"] == subscription.shown[0]


@case(3, 13)
async def who_comes_back_is_another_one_even_if_it_looks_the_same(world: World) -> None:
    first = world.gateway.put("a", name="Ann")
    session, subscription = await watching(world)
    world.gateway.delete("a")
    second = world.gateway.set("a", name="Ann")
    await world.settle()
    assert [user and user["version"] for user in subscription.users] == [first["version"], None, second["version"]]
    assert await session.ask("delete", user="a") is True
    third = world.gateway.set("a", name="Ann")
    await world.settle()
    assert (await session.get("a"))["version"] == third["version"]


@case(26)
async def many_are_in_the_order_in_which_they_were_asked_for(world: World) -> None:
    ids = ["b", "0", "a"]
    world.gateway.answer_by(lambda _, __: None)
    session = await world.open()
    many = await session.subscribe_many([*ids, "b"])
    await world.settle()
    for user_id in reversed(ids):
        world.gateway.put(user_id)
        tell(world, world.gateway.users[user_id], user_id)
    await many.connected()
    assert [user_id for user_id, _ in many.shown[-1]["users"]] == ids
    before = len(many.shown)
    tell(world, world.gateway.put("a"), "a")
    await world.settle()
    assert len(many.shown) == before, "an equal snapshot"


# Answers in their order


@case(15)
async def what_comes_right_after_an_answer_is_looked_at_after_it(world: World) -> None:
    world.gateway.put("a", name="Ann")
    session, subscription = await watching(world)
    gateway = world.gateway

    def hook(end: Any, message: Message) -> bool:
        if message["type"] != "subscribe" or "setUser" not in message["payload"]["query"]:
            return False
        user = gateway.put("a", name="Bea")
        end.next(message["id"], {"setUser": {"user": user, "created": False, "changed": True}})
        end.next(watch_of(world), {"usersChanged": [{"id": "a", "user": None}]})  # without a breath between them
        return True

    gateway.hook = hook
    await session.set("a", name="Bea")
    assert await session.name_of("a") == "Bea"
    await world.settle()
    assert subscription.names == ["Ann", "Bea"]
    assert gateway.watched == [["a"], ["a"]], "whether there is nobody is asked anew"


# What is too large


@case(18)
async def a_message_is_as_large_as_the_gateway_allows_that_it_goes_to(world: World) -> None:
    world.gateway.limits = {"messageBytes": 200_000, "subscriptions": 1000, "watchedUsers": 5000}
    session = await world.open()
    assert (await session.set("a", name="x" * 150_000))["created"] is True
    world.gateway.limits = {"messageBytes": 10_000, "subscriptions": 1000, "watchedUsers": 5000}
    other = await world.open()
    large, small = other.start("set", user="b", input={"name": "x" * 20_000}), other.start("get", user="a")
    await world.fails(large, "INVALID_INPUT")
    assert await small is not None
    assert [each["payload"]["variables"] for each in world.gateway.socket.subscribed] == [{"ids": ["a"]}]
    assert other.errors == []


@case(18, 7)
async def an_id_that_is_too_large_for_the_gateway_ends_the_subscriptions_to_it_alone(world: World) -> None:
    world.gateway.limits = {"messageBytes": 1000, "subscriptions": 1000, "watchedUsers": 5000}
    session = await world.open()
    small, large = await session.subscribe_all(["a", "😀" * 255])
    assert (await small.connected())["type"] == "active"
    assert (await large.terminated())["error"]["code"] == "INVALID_INPUT"
    assert await small.type() == "active"
    assert session.errors == []


# Which operations there are


@case(9)
async def operations_are_put_together_when_they_are_more_than_half_of_an_odd_number(world: World) -> None:
    world.gateway.limits = {"messageBytes": 100_000, "subscriptions": 3, "watchedUsers": 100}
    session = await world.open()
    await (await session.subscribe("a")).connected()
    await (await session.subscribe("b")).connected()
    assert sorted(world.gateway.watched[-1]) == ["a", "b"]
    assert len(world.gateway.socket.operations) == 1


@case(7, 9)
async def requests_take_no_place_of_what_is_watched(world: World) -> None:
    session, _ = await watching(world)
    let_out = hold_back(world)
    writing = [session.start("set", user=user_id, input={"name": "x"}) for user_id in numbered(100)]
    await (await session.subscribe("b")).connected()
    assert sizes(world) == [1, 1], "there are two operations, and not more than 64"
    let_out()
    await asyncio.gather(*writing)
    world.gateway.limits = {"messageBytes": 100_000, "subscriptions": 4, "watchedUsers": 100}
    other = await world.open()
    let_out = hold_back(world)
    writing = [other.start("set", user=user_id, input={"name": "y"}) for user_id in numbered(10)]
    await world.settle()
    await (await other.subscribe("a")).connected()
    let_out()
    await asyncio.gather(*writing)
    assert len(world.gateway.live) == 2, "one of each session"


# The socket


@case(33, needs="clock")
async def requests_that_are_answered_at_once_need_it_too(world: World) -> None:
    session = await world.open()
    for number in range(16):
        await session.set("a", name=str(number))
        await world.advance(2.5)
    assert len(world.gateway.sockets) == 1
    await world.advance(32)
    assert world.gateway.live == []


@case(33, 28, needs="clock")
async def so_does_what_waits_to_be_tried_again(world: World) -> None:
    world.gateway.answer_by(
        lambda end, operation: end.tell(
            {"id": operation, "type": "error", "payload": [refusal("RATE_LIMITED", retryAfterSeconds=60)]}
        )
    )
    session = await world.open(timeout=600_000)
    subscription = await session.subscribe("a")
    await world.settle()
    world.gateway.hook = None
    await world.advance(50)
    assert len(world.gateway.live) == 1
    world.gateway.cut()
    await world.advance(1)
    assert len(world.gateway.live) == 1
    await world.advance(20)
    assert (await subscription.connected())["type"] == "active"
