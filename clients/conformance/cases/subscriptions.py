"""Subscriptions: lines 19 to 27."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clients.conformance.beginnings import hold_back, watching
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.world import World


@case(19, 20, 21, 22)
async def from_pending_to_active_to_unsubscribed(world: World) -> None:
    user = world.gateway.put("a")
    let_out = hold_back(world, "usersChanged")
    session = await world.open()
    name = world.new_subscription()
    told = await session.ask("subscribe", subscription=name.name, user="a")
    assert told == {"type": "pending"}
    connected = world.start("connected", subscription=name.name)
    terminated = world.start("terminated", subscription=name.name)
    await world.until(lambda: world.gateway.subscribed)
    assert not connected.done()
    let_out()
    first = await connected
    assert first["type"] == "active"
    assert first["latestSnapshot"]["user"] == user
    assert await name.state() == first
    assert not terminated.done()
    for _ in range(2):
        await name.unsubscribe()
    assert await terminated == await name.state() == {"type": "unsubscribed"}
    assert await name.connected() == first, "it stays what it was"
    world.gateway.set("a", name="later")
    await world.settle()
    assert len(name.shown) == 1


@case(19, 25)
async def what_can_be_iterated_over_gives_the_current_one_and_those_that_follow(world: World) -> None:
    world.gateway.put("a", name="0")
    _, subscription = await watching(world)
    following = await subscription.iterate()
    assert (await following())["value"]["user"]["name"] == "0"
    waiting = asyncio.ensure_future(following())
    await world.settle()
    assert not waiting.done()
    world.gateway.set("a", name="1")
    assert (await waiting)["value"]["user"]["name"] == "1"
    for name in ("2", "3", "4"):
        world.gateway.set("a", name=name)
        await world.settle()
    assert (await following())["value"]["user"]["name"] == "4", "who is slow misses some, never the last one"
    world.gateway.delete("a")
    assert await following() == {"done": False, "value": None}
    waiting = asyncio.ensure_future(following())
    await world.settle()
    await subscription.unsubscribe()
    assert await waiting == {"done": True}
    assert await following() == {"done": True}
    assert subscription.names == ["0", "1", "2", "3", "4", None]


@case(25)
async def an_equal_one_is_not_given_twice_in_a_row_to_who_is_slow(world: World) -> None:
    world.gateway.put("a", name="0")
    _, subscription = await watching(world)
    following = await subscription.iterate()
    await following()
    for name in ("1", "0"):
        world.gateway.set("a", name=name)
        await world.settle()
    waiting = asyncio.ensure_future(following())
    await world.settle()
    assert not waiting.done(), "what is there is what was given last"
    world.gateway.set("a", name="2")
    assert (await waiting)["value"]["user"]["name"] == "2"


@case(19, 31)
async def an_iteration_ends_with_the_error_of_the_subscription(world: World) -> None:
    world.gateway.put("a")
    _, subscription = await watching(world)
    following = await subscription.iterate()
    await following()
    waiting = asyncio.ensure_future(following())
    await world.settle()
    world.gateway.socket.refuse(world.gateway.subscribed[0]["id"], "FORBIDDEN")
    await world.fails(waiting, "FORBIDDEN")


@case(20, 21, 22)
async def what_ends_before_its_first_snapshot_rejects_connected(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    first, second = await session.subscribe_all(["a", "b"])
    connected = asyncio.ensure_future(first.connected())
    await world.settle()
    for subscription in (first, second):  # of the second one nobody listens
        await subscription.unsubscribe()
        assert await subscription.terminated() == {"type": "unsubscribed"}
    await world.fails(connected, "SUBSCRIPTION_ENDED")
    await world.fails(second.connected(), "SUBSCRIPTION_ENDED")
    await world.settle()
    assert world.logged == []


@case(19, 20, 21, 22, 31)
async def from_pending_to_error(world: World) -> None:
    world.gateway.answer_by(lambda end, operation: end.refuse(operation, "FORBIDDEN"))
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.fails(subscription.connected(), "FORBIDDEN")
    ended = await subscription.terminated()
    assert (ended["type"], ended["error"]["code"]) == ("error", "FORBIDDEN")
    await subscription.unsubscribe()
    assert await subscription.state() == ended, "it stays what it is"
    assert subscription.shown == []


@case(23)
async def one_that_comes_later_is_active_one_turn_later(world: World) -> None:
    world.gateway.put("a", name="Ann")
    session, first = await watching(world)
    second = world.new_subscription()
    told = await session.ask("subscribe", subscription=second.name, user="a")
    assert told == {"type": "pending"}
    await world.ask("sync")
    assert await second.state() == await first.state()
    assert second.shown == first.shown
    await first.unsubscribe()
    world.gateway.set("a", name="Bea")
    await world.settle()
    assert (first.names, second.names) == (["Ann"], ["Ann", "Bea"])
    third = world.new_subscription()
    subscribe = world.command("subscribe", session=session.name, subscription=third.name, user="a")
    unsubscribe = world.command("unsubscribe", subscription=third.name)
    await asyncio.gather(*world.together([subscribe, unsubscribe]))
    await world.settle()
    assert third.shown == []
    assert len(world.gateway.subscribed) == 1


@case(24)
async def what_a_callback_raises_is_logged_and_breaks_nothing(world: World) -> None:
    world.gateway.put("a", name="0")
    session = await world.open()
    raising = await session.subscribe("a", callback="raise")
    other = await session.subscribe("a")
    await other.connected()
    world.gateway.set("a", name="1")
    await world.settle()
    assert raising.names == other.names == ["0", "1"]
    assert await world.types([raising, other]) == ["active", "active"]
    assert len(world.logged) == 2
    assert all("of the application" in text for text in world.logged)


@case(24)
async def a_callback_may_subscribe_and_unsubscribe(world: World) -> None:
    world.gateway.put("a", name="0")
    session = await world.open()
    first, second, third = (world.new_subscription() for _ in range(3))
    callback = [
        {"do": "unsubscribe", "subscription": first.name},
        {"do": "unsubscribe", "subscription": second.name},
        {"do": "subscribe", "session": session.name, "subscription": third.name, "user": "a"},
    ]
    subscribe = [
        world.command("subscribe", session=session.name, subscription=first.name, user="a", callback=callback),
        world.command("subscribe", session=session.name, subscription=second.name, user="a"),
    ]
    await asyncio.gather(*world.together(subscribe))
    await world.until(lambda: third.shown)
    world.gateway.set("a", name="1")
    await world.settle()
    assert (first.names, second.names, third.names) == (["0"], [], ["0", "1"])


@case(25)
async def an_equal_snapshot_is_not_shown_twice_in_a_row(world: World) -> None:
    world.gateway.put("a", name="Ann")
    _, subscription = await watching(world)
    for name in ("Ann", "Bob", "Bob", "Ann"):
        world.gateway.set("a", name=name)
    world.gateway.delete("a")
    world.gateway.changed(["a"])
    await world.settle()
    assert subscription.names == ["Ann", "Bob", "Ann", None]


@case(25, 14, needs="real")
async def changes_come_in_order_each_once_and_the_last_one_always(world: World) -> None:
    reader, writer = await world.open(world.real), await world.open(world.real)
    user = f"order {id(world)}"
    subscription = await reader.subscribe(user)
    await subscription.connected()
    for number in range(60):
        await writer.set(user, name=str(number))
        await writer.set(user, email=[f"{number}@example.com"])  # nobody hears of it
    await world.until(lambda: subscription.names[-1] == "59")
    numbers = [int(name) for name in subscription.names if name is not None]
    assert numbers == sorted(set(numbers))
