"""The end of a session, sharing one, and the app: lines 39 to 41."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clients.conformance.beginnings import watching
from clients.conformance.gateway import scripted_gateway
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.gateway import Message
    from clients.conformance.world import World


@case(39, 21)
async def closing_ends_everything(world: World) -> None:
    session = await world.open()
    active = await session.subscribe("a")
    await active.connected()
    world.gateway.answer_by(lambda *_: None)
    pending, online, many = (
        await session.subscribe("b"),
        await session.subscribe_online("c"),
        await session.subscribe_many(["a", "d"]),
    )
    connected = asyncio.ensure_future(pending.connected())
    following = await active.iterate()
    await following()
    reading = asyncio.ensure_future(following())
    asking = [
        session.start("get", user="e"),
        session.start("set", user="a", input={"name": "A"}),
        session.start("app"),
        session.start("delete", user="a"),
    ]
    await world.settle()
    await session.close()
    for subscription in (active, pending, online, many):
        assert await subscription.terminated() == {"type": "unsubscribed"}
    for each in (*asking, connected):
        await world.fails(each, "SESSION_CLOSED")
    assert await reading == {"done": True}
    await session.close()
    await world.until(lambda: not world.gateway.live)
    commands: list[tuple[str, Message]] = [
        ("get", {"user": "a"}),
        ("set", {"user": "a", "input": {}}),
        ("delete", {"user": "a"}),
        ("app", {}),
        ("setToken", {"token": "x"}),
        ("subscribe", {"user": "a", "subscription": "never"}),
    ]
    for do, given in commands:
        await world.fails(session.start(do, **given), "SESSION_CLOSED")
    assert session.errors == []


@case(39, needs="clock")
async def closing_leaves_nothing_whatever_was_waited_for(world: World) -> None:
    """``World.close`` looks for what is left of each case; here it is closed in the middle of all kinds of waiting."""
    world.gateway.answer_by(lambda end, operation: end.refuse(operation, "RATE_LIMITED", retryAfterSeconds=50))
    resting = await world.open()
    await resting.subscribe("a")
    resting.start("get", user="b")
    await world.settle()
    world.gateway.door = "closed"
    pausing = await world.open()
    await pausing.subscribe("a")
    pausing.start("set", user="a", input={"name": "A"})
    await world.settle()
    world.gateway.door = "open"
    asking = await world.open(on_need_token=lambda _: None)
    await asking.subscribe("a")
    await world.settle()
    fresh = await world.open()
    await fresh.subscribe("a")
    for session in (resting, pausing, asking, fresh):
        await session.close()


@case(40, needs="share")
async def the_same_url_and_user_are_the_same_session_closed_when_all_have_closed_it(world: World) -> None:
    ann: dict[str, Any] = {"shared": True, "userId": "ann"}
    one, again = await world.open(**ann), await world.open(**ann)
    others = [await world.open(shared=True, userId="bob"), await world.open(userId="ann")]
    async with scripted_gateway() as elsewhere:
        others.append(await world.open(elsewhere.url, **ann))
        assert one.object == again.object
        assert len({one.object, *(other.object for other in others)}) == 4
        await one.close()
        await again.get("a")
        await again.close()
        await world.fails(again.start("get", user="a"), "SESSION_CLOSED")
        later = await world.open(**ann)
        assert later.object != one.object
        for session in (*others, later):
            await session.close()


@case(41, needs="clock")
async def the_app_is_asked_for_once_for_each_connection(world: World) -> None:
    session, _ = await watching(world)
    first, second = await asyncio.gather(session.ask("app"), session.ask("app"))
    assert first == second == await session.ask("app")
    assert {name: value for name, value in first.items() if name != "object"} == {
        "id": "test",
        "defaultLocale": "en",
        "roles": {"default": {"can": ["read"]}, "admin": {}},
    }
    assert len(world.gateway.subscribed) == 2
    world.gateway.cut()
    await world.settle()
    await world.advance(0.6)
    again = await session.ask("app")
    assert again["object"] != first["object"]
    assert len(world.gateway.subscribed) == 4


@case(41, needs="clock")
async def who_waits_for_the_app_together_fails_together(world: World) -> None:
    world.gateway.answer_by(lambda _, __: None)
    session = await world.open(timeout=4000)
    asking = [session.start("app") for _ in range(3)]
    await world.advance(4.1)
    for each in asking:
        await world.fails(each, "CONNECTION_TIMEOUT")
    assert len(world.gateway.subscribed) == 1
    world.gateway.hook = None
    assert (await session.ask("app"))["id"] == "test"


@case(41, needs="real")
async def the_app_of_a_real_gateway(world: World) -> None:
    session = await world.open(world.real)
    app = await session.ask("app")
    assert (app["id"], app["defaultLocale"]) == ("userline", "en")
    assert "default" in app["roles"]
