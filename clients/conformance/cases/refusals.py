"""What the gateway refuses: lines 28 to 32."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from clients.conformance.beginnings import refuse_next, user_without, watching
from clients.conformance.gateway import refusal
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.world import World

PASSING = ("STORE_UNAVAILABLE", "RATE_LIMITED")
FORMS = ("error", "next and complete")


@case(28, 29, needs="clock random", each=PASSING)
async def what_passes_is_tried_again_when_the_gateway_says_and_a_tenth_later(world: World, code: str) -> None:
    world.gateway.put("a", name="Ann")
    await world.random(0.99)
    refuse_next(world, [refusal(code, retryAfterSeconds=3)])
    session = await world.open()
    subscription = await session.subscribe("a")
    getting = session.start("get", user="a")
    await world.advance(3.2)
    assert len(world.gateway.subscribed) == 1
    assert await subscription.type() == "pending"
    await world.advance(0.1)
    assert subscription.names == ["Ann"]
    assert (await getting)["user"]["name"] == "Ann"
    await world.random(0)
    refuse_next(world, [refusal(code, retryAfterSeconds=3)])
    other = await session.subscribe("b")
    await world.advance(2.9)
    assert await other.type() == "pending"
    await world.advance(0.15)
    assert await other.type() == "active"


@case(28, needs="clock random", each=FORMS)
async def without_its_word_after_growing_pauses(world: World, form: str) -> None:
    await world.random(0.999)
    refuse_next(world, [refusal("STORE_UNAVAILABLE") for _ in range(4)], form)
    session = await world.open()
    subscription = await session.subscribe("a")
    times = []
    for _ in range(32):
        before = len(world.gateway.subscribed)
        await world.advance(0.25)
        if len(world.gateway.subscribed) > before:
            times.append(world.now)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert [round(pause * 2) / 2 for pause in pauses] in ([0.5, 1, 2, 4], [0, 1, 2, 4]), pauses
    assert await subscription.type() == "active"


@case(28, needs="clock")
async def so_is_what_the_gateway_completes(world: World) -> None:
    refuse_next(world, [None, None])
    session = await world.open()
    subscription = await session.subscribe("a")
    getting = session.start("get", user="a")
    await world.advance_until(lambda: subscription.shown, 5)
    assert await getting is None
    assert len(world.gateway.subscribed) == 3
    world.gateway.socket.complete(world.gateway.subscribed[2]["id"])
    world.gateway.put("a", name="Ann")
    await world.advance_until(lambda: len(subscription.shown) == 2, 5)


@case(28, needs="clock")
async def what_nobody_uses_any_more_is_not_tried_again(world: World) -> None:
    refuse_next(world, [refusal("STORE_UNAVAILABLE", retryAfterSeconds=3)])
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.until(lambda: world.gateway.subscribed)
    await world.settle()
    await subscription.unsubscribe()
    await world.advance(10)
    assert len(world.gateway.subscribed) == 1
    again = await session.subscribe("a")
    await again.connected()


@case(28, 35)
async def what_only_lingers_is_let_go_and_asked_for_anew_at_once(world: World) -> None:
    session = await world.open()
    await session.get("a")
    world.gateway.socket.refuse(world.gateway.subscribed[0]["id"], "RATE_LIMITED", retryAfterSeconds=60)
    await world.settle()
    assert await session.get("a") is None
    assert len(world.gateway.subscribed) == 2


# What was active, and what has ended


@case(30, 28, needs="clock", each=PASSING)
async def what_was_active_stays_so_while_what_passes_is_tried_again(world: World, code: str) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    world.gateway.socket.refuse(world.gateway.subscribed[0]["id"], code, retryAfterSeconds=20)
    await world.settle()
    world.gateway.set("a", name="two")
    getting = session.start("get", user="a")
    await world.advance(15.5)
    await world.fails(getting, code)
    await world.advance(4)
    assert await subscription.type() == "active"
    assert subscription.names == ["one"]
    await world.advance(3)
    assert subscription.names == ["one", "two"]


@case(31, each=FORMS)
async def any_other_refusal_ends_the_subscriptions_to_its_users(world: World, form: str) -> None:
    session = await world.open()
    other = await session.subscribe("other")
    await other.connected()
    refuse_next(world, [refusal("FORBIDDEN")], form)
    first, second = world.new_subscription(), world.new_subscription()
    getting = world.together(
        [
            *(
                world.command("subscribe", session=session.name, subscription=each.name, user="a")
                for each in (first, second)
            ),
            world.command("get", session=session.name, user="a"),
        ]
    )[2]
    for subscription in (first, second):
        assert (await subscription.terminated())["error"]["code"] == "FORBIDDEN"
    await world.fails(getting, "FORBIDDEN")
    assert await other.type() == "active"
    assert session.errors == []
    again = await session.subscribe("a")
    await again.connected()


@case(31)
async def also_of_what_was_active(world: World) -> None:
    world.gateway.put("a", name="Ann")
    session, subscription = await watching(world)
    other = await session.subscribe("b")
    await other.connected()
    first = await subscription.connected()
    world.gateway.socket.refuse(world.gateway.subscribed[0]["id"], "INTERNAL_SERVER_ERROR")
    assert (await subscription.terminated())["error"]["code"] == "INTERNAL_SERVER_ERROR"
    assert await subscription.connected() == first
    assert await other.type() == "active"


@case(31, each=tuple(enumerate((None, [], {}, [{}], [{"message": 5}], "x"))))
async def an_error_that_is_none_ends_the_operation(world: World, given: tuple[int, Any]) -> None:
    session = await world.open()
    other = await session.subscribe("other")
    await other.connected()
    world.gateway.answer_by(lambda end, operation: end.tell({"id": operation, "type": "error", "payload": given[1]}))
    subscription = await session.subscribe("a")
    assert (await subscription.terminated())["type"] == "error"
    assert await other.type() == "active"


FORMS_OF_OTHERS: tuple[Any, ...] = (
    None,
    {"id": "a", "user": None},
    {},
    "x",
    [None],
    [{"id": "a", "user": {}}],
    [{"id": "a", "user": user_without("version")}],
    [{"id": "a", "user": {**user_without("version"), "version": "1.5"}}],
)


@case(32, each=tuple(enumerate(FORMS_OF_OTHERS)))
async def events_of_another_form_are_an_error_that_says_so(world: World, given: tuple[int, Any]) -> None:
    world.gateway.answer_by(lambda end, operation: end.next(operation, {"usersChanged": given[1]}))
    session = await world.open()
    subscription = await session.subscribe("a")
    assert (await subscription.terminated())["error"]["code"] == "PROTOCOL_ERROR"
    await world.fails(session.get("a"), "PROTOCOL_ERROR")
    assert session.errors == []


@case(32)
async def a_gateway_without_the_fields_is_an_error_at_once(world: World) -> None:
    refuse_next(world, [refusal("GRAPHQL_VALIDATION_FAILED") for _ in range(9)])
    session = await world.open()
    subscription = await session.subscribe("a")
    getting = session.start("get", user="a")
    assert (await subscription.terminated())["error"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    await world.fails(getting, "GRAPHQL_VALIDATION_FAILED")
