"""Own writes: lines 14 and 15."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clients.conformance.beginnings import hold_back, tell, watching
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.world import World


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
