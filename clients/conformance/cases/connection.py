"""When there is a socket, and how it comes back: lines 33 to 36."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from clients.conformance.beginnings import watching
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.world import World


# When there is a socket


@case(33, needs="clock")
async def a_socket_is_made_when_something_needs_it_and_closed_30_s_after_nothing_does(world: World) -> None:
    session = await world.open()
    await world.settle()
    assert world.gateway.connections == []
    subscription = await session.subscribe("a")
    await world.advance(100)
    assert len(world.gateway.live) == 1, "it is needed"
    await subscription.unsubscribe()
    await world.advance(28)
    assert len(world.gateway.live) == 1
    await world.advance(4)
    assert world.gateway.live == []
    await world.advance(30)
    assert len(world.gateway.connections) == 1
    await session.get("a")
    assert len(world.gateway.live) == 1


@case(33, needs="clock")
async def lingering_watches_alone_do_not_need_it(world: World) -> None:
    session = await world.open(idle=5000)
    await session.get("a")
    await world.advance(4)
    assert len(world.gateway.live) == 1
    await world.advance(3)
    assert world.gateway.live == []


@case(33, needs="clock")
async def what_is_watched_for_nobody_does_not_need_it(world: World) -> None:
    session = await world.open(idle=5000)
    await session.get("a")
    world.gateway.answer_by(lambda _, __: None)
    name = world.new_name("s")
    subscribe = world.command("subscribe", session=session.name, subscription=name, user="b")
    await asyncio.gather(*world.together([subscribe, world.command("unsubscribe", subscription=name)]))
    await world.settle()
    assert len(world.gateway.subscribed) == 2
    await world.advance(4)
    assert len(world.gateway.live) == 1
    await world.advance(3)
    assert world.gateway.live == []


@case(5, 33, needs="clock")
async def who_is_served_from_what_lingers_uses_it(world: World) -> None:
    session = await world.open(idle=5000)
    for _ in range(8):
        await session.get("a")
        await world.advance(4)
    assert len(world.gateway.connections) == len(world.gateway.subscribed) == 1
    await world.advance(3)
    assert world.gateway.live == []


@case(33, 34, needs="clock random")
async def after_a_socket_that_nothing_needed_another_is_made_at_once(world: World) -> None:
    await world.random(1)
    world.gateway.answer_by(lambda _, __: None)
    session = await world.open(idle=5000, timeout=4000)
    asking = session.start("set", user="a", input={"name": "A"})
    await world.advance(5)
    await world.fails(asking, "CONNECTION_TIMEOUT")
    await world.advance(10)
    assert world.gateway.live == []
    world.gateway.hook = None
    assert await session.get("a") is None
    assert len(world.gateway.connections) == 2


@case(33, needs="clock status")
async def a_socket_that_nothing_needs_is_not_told_as_one_that_was_lost(world: World) -> None:
    session = await world.open()
    await session.get("a")
    await world.advance(70)
    assert world.gateway.live == []
    assert session.statuses == ["connecting", "connected", "idle"]
    await session.get("b")
    assert session.statuses[3:] == ["connecting", "connected"]


@case(33, needs="clock")
async def nor_does_a_request_that_is_done_but_one_under_way_does(world: World) -> None:
    session = await world.open(idle=5000)
    await session.set("a", name="A")
    await world.advance(7)
    assert world.gateway.live == []
    world.gateway.answer_by(lambda *_: None)
    writing = session.start("set", user="a", input={"name": "B"})
    await world.advance(10)
    assert len(world.gateway.live) == 1
    message = world.gateway.subscribed[1]
    world.gateway.run(world.gateway.socket, message["id"], message["payload"])
    await writing
    await world.advance(7)
    assert world.gateway.live == []


# How it comes back


@case(34, needs="clock random")
async def pauses_grow_to_10_s_and_the_first_is_up_to_half_a_second(world: World) -> None:
    await world.random(0.999)
    _, subscription = await watching(world)
    world.gateway.door = "closed"
    lost = world.now
    world.gateway.cut()
    times = [lost]
    for _ in range(100):
        before = len(world.gateway.connections)
        await world.advance(0.5)
        if len(world.gateway.connections) > before:
            times.append(world.now)
        if len(times) == 9:
            break
    pauses = [later - earlier for earlier, later in itertools.pairwise(times[1:])]
    assert all(abs(pause - most) <= 0.51 for pause, most in zip(pauses, (1, 2, 4, 8, 10, 10, 10), strict=True)), pauses
    assert await subscription.type() == "active"


@case(34, needs="clock random", each=(0.1, 0.5, 0.9))
async def the_jitter_is_full_after_the_first_loss_too(world: World, chance: float) -> None:
    await watching(world)
    await world.random(chance)
    world.gateway.cut()
    await world.advance(0.5 * chance - 0.02)
    assert len(world.gateway.connections) == 1
    await world.advance(0.04)
    assert len(world.gateway.connections) == 2
    # The second failure in a row has up to a second.
    world.gateway.door = "closed"
    world.gateway.answer_by(lambda *_: None)
    world.gateway.cut()
    await world.advance_until(lambda: len(world.gateway.connections) == 3, 2, 0.05)
    await world.advance(chance - 0.07)
    assert len(world.gateway.connections) == 3
    await world.advance(0.2)
    assert len(world.gateway.connections) == 4


@case(34, needs="clock random")
async def a_connection_that_has_worked_makes_the_pauses_short_again(world: World) -> None:
    _, subscription = await watching(world)
    await world.random(0.999)
    for number in range(2):
        world.gateway.door = "closed"
        world.gateway.cut()
        await world.advance(20)
        world.gateway.door = "open"
        await world.advance(10.1)
        world.gateway.set("a", name=str(number))
        await world.settle()
        assert subscription.names[-1] == str(number)
    world.gateway.cut()
    await world.advance(0.6)
    assert len(world.gateway.live) == 1


COMING_BACK = (1000, 1001, 1002, 1007, 1011, 1012, 1013, 3999, 4408, 4430, 4431, 4499, 4503, 4999)


@case(34, 45, needs="clock", each=COMING_BACK)
async def a_close_code_that_is_answered_by_coming_back_when_the_gateway_says(world: World, code: int) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    world.gateway.cut(code, "This gateway is being stopped; retry after 0.7 s")
    await world.advance(0.69)
    assert len(world.gateway.connections) == 1
    world.gateway.set("a", name="two")
    await world.advance(0.02)
    assert len(world.gateway.live) == 1
    assert subscription.names == ["one", "two"]
    assert await subscription.type() == "active"
    assert session.errors == []


@case(34, needs="clock", each=("retry after 2 s", "wait; retry after 2.0 s please"))
async def its_word_is_understood_wherever_it_stands(world: World, reason: str) -> None:
    await watching(world)
    world.gateway.cut(1012, reason)
    await world.advance(1.95)
    assert len(world.gateway.connections) == 1
    await world.advance(0.1)
    assert len(world.gateway.connections) == 2


@case(35, needs="clock")
async def after_a_loss_all_that_is_wanted_is_one_operation_and_shown_only_if_it_differs(world: World) -> None:
    ids = [f"u{number}" for number in range(60)]
    session = await world.open()
    subscriptions = []
    for user_id in ids:
        world.gateway.put(user_id)
        subscriptions.append(await session.subscribe(user_id))
    await subscriptions[-1].connected()
    await session.get("lingers")
    await world.settle()
    world.gateway.cut()
    await world.settle()
    world.gateway.set("u7", name="new")
    world.gateway.set("u8")  # what only servers see
    await world.advance(0.6)
    assert [sorted(message["payload"]["variables"]["ids"]) for message in world.gateway.socket.subscribed] == [
        sorted(ids)
    ]
    assert [len(each.shown) for each in subscriptions] == [2 if each == "u7" else 1 for each in ids]
    assert await world.types(subscriptions) == ["active"] * 60


@case(36, needs="clock")
async def requests_under_way_are_sent_again_until_they_are_answered(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    asking = [
        session.start("set", user="a", input={"name": "A"}),
        session.start("createIfNotExists", user="b", input={"name": "B"}),
        session.start("delete", user="c"),
        session.start("app"),
        session.start("get", user="d"),
    ]
    await world.until(lambda: len(world.gateway.subscribed) == 5)
    for _ in range(2):
        world.gateway.cut()
        await world.advance(1.1)
    assert len(world.gateway.live) == 1
    payloads = [sorted(str(message["payload"]) for message in end.subscribed) for end in world.gateway.sockets]
    assert payloads[0] == payloads[1] == payloads[2]
    world.gateway.hook = None
    for message in world.gateway.socket.subscribed:
        world.gateway.run(world.gateway.socket, message["id"], message["payload"])
    results = await asyncio.gather(*asking)
    assert results[0]["user"]["user"]["name"] == "A"
    assert results[2] is False


@case(36, needs="clock")
async def or_until_their_time_runs_out_and_then_the_gateway_is_told(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    asking = [session.start("set", user="a", input={"name": "B"}), session.start("app")]
    await world.advance(14.5)
    assert not any(each.done() for each in asking)
    await world.advance(1)
    for each in asking:
        await world.fails(each, "CONNECTION_TIMEOUT")
    await world.settle()
    assert sorted(world.gateway.socket.completed) == sorted(each["id"] for each in world.gateway.subscribed)
    # What comes too late is not looked at.
    world.gateway.run(world.gateway.socket, world.gateway.subscribed[0]["id"], world.gateway.subscribed[0]["payload"])
    await world.settle()
    world.gateway.hook = None
    assert await session.name_of("a") == "B"


@case(36, needs="clock")
async def without_a_connection_the_error_says_why(world: World) -> None:
    world.gateway.door = "closed"
    session = await world.open()
    writing = session.start("set", user="a", input={"name": "A"})
    await world.advance(15.5)
    error = await world.fails(writing, "DISCONNECTED")
    assert error.told["kind"] not in {"ConnectionTimeout", "Error"}
    world.gateway.door = "open"
    writing = session.start("set", user="a", input={"name": "A"})
    await world.advance(10.1)
    await writing
    world.gateway.door = (1012, "it is being moved")
    world.gateway.cut(1012, "it is being moved")
    await world.settle()
    writing = session.start("set", user="a", input={"name": "B"})
    await world.advance(15.5)
    assert "it is being moved" in (await world.fails(writing, "DISCONNECTED")).told["message"]


@case(36, needs="cancel")
async def a_request_that_nobody_waits_for_any_more_is_ended(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    command = world.command("set", session=session.name, user="a", input={"name": "A"})
    (writing,) = world.together([command])
    await world.until(lambda: world.gateway.subscribed)
    await world.ask("cancel", command=command["id"])
    await world.fails(writing)
    await world.until(lambda: world.gateway.socket.completed)
