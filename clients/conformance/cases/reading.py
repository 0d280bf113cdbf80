"""One way to know a user, a watch that lingers; and what events say: lines 4, 5, 10 and 11."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clients.conformance.beginnings import numbered, sizes
from clients.conformance.gateway import refusal
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.gateway import End
    from clients.conformance.world import World


# What a get costs


@case(4, 6)
async def what_begins_in_a_turn_is_one_operation_each_user_once(world: World) -> None:
    ids = numbered(1000)
    for user_id in ids[::100]:
        world.gateway.put(user_id)
    session = await world.open()
    subscribing = [
        world.command("subscribe", session=session.name, subscription=world.new_name("s"), user=user_id)
        for user_id in ids
    ]
    getting = [world.command("get", session=session.name, user=user_id) for user_id in ids]
    answers = await asyncio.gather(*world.together(subscribing + getting))
    got = [shown and shown["user"]["name"] for shown in answers[1000:]]
    assert got == [user_id if number % 100 == 0 else None for number, user_id in enumerate(ids)]
    await world.settle()
    assert len(world.gateway.connections) == 1
    assert world.gateway.socket.types == ["connection_init", "subscribe"]
    assert sizes(world) == [1000]
    assert world.gateway.watched[0] == ids
    await session.get("u7")
    await session.ask("getMany", users=ids)
    assert len(world.gateway.subscribed) == 1, "what is watched costs nothing"


@case(6)
async def what_begins_together_on_an_open_socket_is_one_operation(world: World) -> None:
    session = await world.open()
    await session.get("first")
    await session.subscribe_all(["a", "b", "a", "c"])
    await world.settle()
    assert world.gateway.watched == [["first"], ["a", "b", "c"]]
    await session.ask("getMany", users=["d", "c", "e", "d"])
    assert world.gateway.watched[2:] == [["d", "e"]]


@case(4)
async def a_get_joins_a_watch_that_begins(world: World) -> None:
    held: list[tuple[End, str]] = []
    world.gateway.answer_by(lambda end, operation: held.append((end, operation)))
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.until(lambda: held)
    getting = session.start("get", user="a")
    await world.settle()
    assert not getting.done()
    world.gateway.put("a", name="Ann")
    end, operation = held[0]
    world.gateway.run(end, operation, world.gateway.subscribed[0]["payload"])
    shown = await getting
    await subscription.connected()
    assert shown == subscription.shown[0], "the same object"
    assert len(held) == 1


@case(4, 35, needs="clock")
async def a_get_waits_while_its_watch_comes_back(world: World) -> None:
    world.gateway.put("a", name="before")
    session = await world.open()
    subscription = await session.subscribe("a")
    await subscription.connected()
    world.gateway.cut()
    world.gateway.set("a", name="after")
    await world.settle()
    getting = session.start("get", user="a")
    await world.settle()
    assert not getting.done()
    await world.advance_until(getting.done, 1)
    assert (await getting)["user"]["name"] == "after"
    assert sizes(world) == [1, 1]


@case(4, needs="cancel")
async def who_gives_up_waiting_takes_nothing_from_others(world: World) -> None:
    held: list[tuple[End, str]] = []
    world.gateway.answer_by(lambda end, operation: held.append((end, operation)))
    session = await world.open()
    commands = [world.command("get", session=session.name, user=user_id) for user_id in ("a", "b", "a")]
    getting = world.together(commands)
    await world.until(lambda: held)
    await world.ask("cancel", command=commands[0]["id"])
    await world.settle()
    world.gateway.hook = None
    end, operation = held[0]
    world.gateway.put("a", name="Ann")
    world.gateway.run(end, operation, world.gateway.subscribed[0]["payload"])
    assert (await getting[2])["user"]["name"] == "Ann"
    assert await getting[1] is None
    assert len(world.gateway.subscribed) == 1


# Lingering


@case(5, needs="clock")
async def a_watch_lingers_for_30_s_after_its_last_use_and_is_live(world: World) -> None:
    world.gateway.put("a", name="old")
    session = await world.open(idle=3_600_000)
    assert await session.name_of("a") == "old"
    world.gateway.set("a", name="new")
    await world.advance(29)
    assert await session.name_of("a") == "new"
    await world.advance(29)
    subscription = await session.subscribe("a")
    await subscription.connected()
    await world.advance(60)
    await subscription.unsubscribe()
    await world.advance(29)
    assert await session.name_of("a") == "new"
    await world.advance(29.8)
    assert world.gateway.socket.types == ["connection_init", "subscribe"]
    await world.advance(0.4)
    assert world.gateway.socket.types == ["connection_init", "subscribe", "complete"]
    await session.get("a")
    assert len(world.gateway.subscribed) == 2


@case(5, needs="real")
async def what_another_session_wrote_is_seen_without_a_request(world: World) -> None:
    session, writer = await world.open(world.real), await world.open(world.real)
    user = f"{world.real} {id(world)}"
    assert await session.get(user) is None
    for number in range(5):
        await writer.set(user, name=f"Name {number}")
        for _ in range(200):
            if await session.name_of(user) == f"Name {number}":
                break
            await asyncio.sleep(0.005)
        assert await session.name_of(user) == f"Name {number}"
    if await writer.ask("delete", user=user):
        for _ in range(200):
            if await session.get(user) is None:
                break
            await asyncio.sleep(0.005)
        assert await session.get(user) is None


@case(5)
async def at_most_2000_watches_linger(world: World) -> None:
    session = await world.open()
    await session.ask("getMany", users=numbered(2600))
    await world.settle()
    # The first 600 are let go: most of the first operation, so that what is wanted of it is watched anew.
    assert sizes(world) == [1000, 1000, 600, 400]
    assert world.gateway.watched[3] == numbered(400, 600)
    assert world.gateway.socket.completed == [world.gateway.subscribed[0]["id"]]


# What events say


@case(10, 11)
async def what_was_not_asked_for_is_not_looked_at(world: World) -> None:
    world.gateway.put("a")
    session = await world.open()
    subscription = await session.subscribe("a")
    await subscription.connected()
    end, stranger = world.gateway.socket, world.gateway.put("stranger", name="of an event")
    end.next(world.gateway.subscribed[0]["id"], {"usersChanged": [{"id": "stranger", "user": stranger}]})
    end.next("an operation that is none", {"usersChanged": [{"id": "a", "user": None}]})
    end.complete("another one")
    await world.settle()
    assert await subscription.type() == "active"
    assert len(subscription.shown) == 1
    world.gateway.put("stranger", name="as it is")
    assert await session.name_of("stranger") == "as it is"
    assert len(world.gateway.subscribed) == 2


@case(11)
async def the_first_events_may_tell_of_the_users_one_after_the_other(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    first, second = await session.subscribe_all(["a", "b"])
    await world.until(lambda: world.gateway.subscribed)
    operation = world.gateway.subscribed[0]["id"]
    getting = session.start("get", user="a")
    world.gateway.socket.next(operation, {"usersChanged": [{"id": "b", "user": world.gateway.put("b")}]})
    await second.connected()
    assert await first.type() == "pending"
    assert not getting.done()
    world.gateway.socket.next(operation, {"usersChanged": [{"id": "a", "user": None}]})
    assert await getting is None
    assert await first.type() == "active"


@case(11, 31, 28, needs="clock")
async def an_entry_with_an_error_ends_that_user_alone(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    subscriptions = await session.subscribe_all(["a", "b", "c"])
    await world.until(lambda: world.gateway.subscribed)
    world.gateway.hook = None
    errors = [
        {**refusal("BAD_USER_INPUT"), "path": ["usersChanged", 0, "user"]},
        {**refusal("STORE_UNAVAILABLE", retryAfterSeconds=1), "path": ["usersChanged", 1, "user"]},
    ]
    entries = [{"id": user_id, "user": None} for user_id in "abc"]
    world.gateway.socket.next(world.gateway.subscribed[0]["id"], {"usersChanged": entries}, errors)
    await subscriptions[2].connected()
    assert await world.types(subscriptions) == ["error", "pending", "active"]
    assert (await subscriptions[0].error())["code"] == "BAD_USER_INPUT"
    await world.advance(1.2)
    assert await world.types(subscriptions) == ["error", "active", "active"], "it was put off, not ended"
    assert "b" in world.gateway.watched[-1]
