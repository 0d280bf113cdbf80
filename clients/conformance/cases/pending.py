"""Nothing is pending for ever: line 29."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clients.conformance.beginnings import refuse_next, watching
from clients.conformance.gateway import refusal
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.world import World


PASSING = ("STORE_UNAVAILABLE", "RATE_LIMITED")


@case(29, needs="clock", each=PASSING)
async def who_is_still_pending_after_15_s_is_told_the_refusal(world: World, code: str) -> None:
    session = await world.open()
    active = await session.subscribe("active")
    await active.connected()
    refuse_next(world, [refusal(code, retryAfterSeconds=4) for _ in range(50)])
    pending = await session.subscribe("a")
    getting = session.start("get", user="b")
    await world.advance(14.5)
    assert await pending.type() == "pending"
    assert not getting.done()
    await world.advance(1)
    assert (await pending.error())["code"] == code
    await world.fails(getting, code)
    assert await active.type() == "active"


@case(29, needs="clock")
async def a_gateway_that_says_nothing_is_not_waited_for_without_end(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    first = await session.subscribe("a")
    getting = session.start("get", user="b")
    await world.advance(10)
    later = await session.subscribe("a")
    await world.advance(4.5)
    assert await first.type() == "pending"
    await world.advance(1)
    assert (await first.error())["code"] == "CONNECTION_TIMEOUT"
    await world.fails(first.connected(), "CONNECTION_TIMEOUT")
    await world.fails(getting, "CONNECTION_TIMEOUT")
    assert await later.type() == "pending", "each has its own time"
    await world.advance(10)
    assert await later.type() == "error"


@case(29, needs="clock")
async def the_time_is_that_of_the_session(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open(timeout=2000)
    subscription = await session.subscribe("a")
    getting, writing = session.start("get", user="b"), session.start("set", user="a", input={"name": "A"})
    await world.advance(1.8)
    assert await subscription.type() == "pending"
    await world.advance(0.4)
    assert (await subscription.error())["code"] == "CONNECTION_TIMEOUT"
    await world.fails(getting, "CONNECTION_TIMEOUT")
    await world.fails(writing, "CONNECTION_TIMEOUT")


@case(29, needs="clock")
async def without_a_connection_it_stays_pending_and_a_get_ends(world: World) -> None:
    world.gateway.door = "closed"
    session = await world.open()
    subscription = await session.subscribe("a")
    getting = session.start("get", user="a")
    await world.advance(15.2)
    await world.fails(getting, "DISCONNECTED")
    await world.advance(60)
    assert await subscription.type() == "pending"
    world.gateway.door = "open"
    await world.advance(10.1)
    assert await subscription.type() == "active"


@case(29, needs="clock")
async def a_get_of_a_watched_user_runs_out_of_time_too(world: World) -> None:
    session, subscription = await watching(world)
    world.gateway.door = "closed"
    world.gateway.cut()
    await world.settle()
    getting = session.start("get", user="a")
    await world.advance(15.5)
    await world.fails(getting, "DISCONNECTED")
    assert await subscription.type() == "active"


@case(29, needs="clock", each=(1013, 4430, 4431, 4503))
async def a_refusal_of_a_socket_counts(world: World, code: int) -> None:
    world.gateway.door = (code, "There are too many")
    session = await world.open()
    subscription = await session.subscribe("a")
    getting = session.start("get", user="b")
    await world.advance(14)
    assert await subscription.type() == "pending"
    await world.advance(16)
    error = await subscription.error()
    assert (error["code"], error["closeCode"]) == ("CONNECTION_REFUSED", code)
    assert "There are too many" in error["message"]
    refused = await world.fails(getting, "CONNECTION_REFUSED", "DISCONNECTED")
    assert "There are too many" in refused.told["message"]
    world.gateway.door = "open"
    again = await session.subscribe("a")
    await world.advance(10.1)
    assert await again.type() == "active"


@case(29, needs="clock")
async def a_lost_connection_does_not_put_off_the_end_of_what_was_refused(world: World) -> None:
    refuse_next(world, [refusal("STORE_UNAVAILABLE", retryAfterSeconds=60) for _ in range(50)])
    session = await world.open()
    subscription = await session.subscribe("a")
    for _ in range(5):
        await world.advance(3)
        world.gateway.cut()
    await world.advance(0.5)
    assert (await subscription.error())["code"] == "STORE_UNAVAILABLE"


@case(29, needs="clock")
async def the_time_before_a_lost_connection_does_not_count(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    subscription = await session.subscribe("a")
    for _ in range(6):
        await world.advance(9)
        world.gateway.cut()
    assert await subscription.type() == "pending"
    world.gateway.hook = None
    await world.advance(10.1)
    assert await subscription.type() == "active"


@case(29, needs="clock", each=("it was left", "it ran out of time"))
async def a_refusal_of_long_ago_does_not_count(world: World, end: str) -> None:
    refuse_next(world, [refusal("RATE_LIMITED", retryAfterSeconds=300) for _ in range(50)])
    session = await world.open()
    refused = await session.subscribe("a")
    await world.until(lambda: world.gateway.subscribed)
    await world.settle()
    if end == "it was left":
        await refused.unsubscribe()
    await world.advance(50)
    world.gateway.hook = None
    world.gateway.door = "closed"
    world.gateway.cut()
    await world.settle()
    later = await session.subscribe("a")
    await world.advance(40)
    assert await later.type() == "pending", "there is no connection, and nobody has refused this one"
    world.gateway.door = "open"
    await world.advance(10.1)
    assert await later.type() == "active"
    assert len(world.gateway.subscribed) == 2, "and it is asked for once"
    await world.advance(300)
    assert len(world.gateway.subscribed) == 2
