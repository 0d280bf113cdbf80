"""A dead peer, a sleep of the machine, a page that comes back: lines 37 and 38."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clients.conformance.beginnings import watching
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.world import World


@case(37, needs="clock")
async def a_dead_peer_is_found_within_15_s(world: World) -> None:
    world.gateway.put("a", name="before")
    session, subscription = await watching(world)
    await world.advance(3)
    world.gateway.set("a", name="the last that came")
    await world.settle()
    world.gateway.socket.swallow()
    world.gateway.put("a", name="after")
    await world.advance(8)
    assert len(world.gateway.connections) == 1, "it has 5 and 7 s"
    await world.advance(7.5)
    assert len(world.gateway.live) == 2
    assert subscription.names == ["before", "the last that came", "after"]
    assert session.errors == []


@case(37, needs="clock")
async def a_peer_that_answers_lives_on(world: World) -> None:
    _, subscription = await watching(world)
    await world.advance(100)
    assert len(world.gateway.connections) == 1
    assert await subscription.type() == "active"


@case(37, needs="clock")
async def a_peer_that_only_talks_lives_on(world: World) -> None:
    """It answers no ping, and sends what it has to say."""
    _, subscription = await watching(world)
    world.gateway.hook = lambda _, message: message["type"] == "ping"
    for number in range(15):
        world.gateway.set("a", name=str(number))
        await world.advance(3)
    assert len(world.gateway.connections) == 1
    assert subscription.names[-1] == "14"


@case(37, needs="clock")
async def so_does_who_stood_still_itself(world: World) -> None:
    await watching(world)
    for seconds in (2, 6, 20, 3600):
        await world.advance(2)
        await world.block(seconds)
        await world.advance(2)
        await world.advance(2)
    assert len(world.gateway.connections) == 1


@case(37, needs="clock")
async def who_stood_still_gives_a_peer_3_s(world: World) -> None:
    await watching(world)
    await world.advance(2)
    world.gateway.socket.swallow()
    await world.block(60)
    await world.advance(2)
    assert len(world.gateway.connections) == 1
    await world.advance(3)
    assert len(world.gateway.live) == 2


@case(37, needs="clock")
async def a_page_that_runs_once_a_minute_finds_its_peer_gone_too(world: World) -> None:
    await watching(world)
    world.gateway.socket.swallow()
    for _ in range(6):
        await world.block(60)
        await world.advance_alone(0.001)
        await world.settle()
    assert len(world.gateway.connections) > 1


@case(37, needs="clock")
async def a_socket_that_never_opens_is_given_up_and_one_that_is_not_acknowledged(world: World) -> None:
    world.gateway.door = "silent"
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.advance(11)
    assert len(world.gateway.connections) > 1
    world.gateway.door = "open"
    world.gateway.is_deaf = True
    for end in world.gateway.connections:
        end.cut()
    await world.advance(2)
    opened = len(world.gateway.sockets)
    assert opened
    await world.advance(22)
    assert len(world.gateway.sockets) > opened
    world.gateway.is_deaf = False
    await world.advance(21)
    assert await subscription.type() == "active"


@case(38, needs="clock", each=((-3600, False), (0.5, False), (4, False), (7, True), (8 * 3600, True)))
async def a_sleep_of_the_machine_is_found_at_once(world: World, given: tuple[float, bool]) -> None:
    seconds, is_sleep = given
    world.gateway.put("a", name="before")
    _, subscription = await watching(world)
    await world.advance(10)
    world.gateway.put("a", name="after")
    await world.sleep(seconds)
    await world.advance(1.6)
    assert len(world.gateway.connections) == 1 + is_sleep
    assert subscription.names == (["before", "after"] if is_sleep else ["before"])
    await world.advance(20)
    assert len(world.gateway.connections) == 1 + is_sleep


@case(38, needs="clock")
async def and_a_pause_is_over(world: World) -> None:
    await watching(world)
    world.gateway.cut(1012, "retry after 100 s")
    await world.advance(2)
    assert world.gateway.live == []
    await world.sleep(60)
    await world.advance(1.1)
    assert len(world.gateway.live) == 1


@case(38, needs="clock")
async def a_dead_socket_after_a_sleep_is_not_waited_for(world: World) -> None:
    await watching(world)
    for number in range(2):
        world.gateway.socket.swallow()
        await world.sleep(600)
        await world.advance(1.6)
        assert len(world.gateway.connections) == number + 2


@case(38, needs="clock browser")
async def a_page_that_comes_back_ends_a_pause(world: World) -> None:
    session, subscription = await watching(world)
    for event in ("online", "pageshow", "visibilitychange"):
        world.gateway.cut(1012, "retry after 100 s")
        await world.advance(5)
        assert world.gateway.live == []
        await world.ask("page", event="visibilitychange", hidden=True)
        await world.settle()
        assert world.gateway.live == [], "it is hidden"
        await world.ask("page", event=event)
        await world.advance(0.1)
        assert len(world.gateway.live) == 1, event
    assert await subscription.type() == "active"
    assert session.errors == []


@case(38, 37, needs="clock browser")
async def and_asks_a_live_socket(world: World) -> None:
    await watching(world)
    for event in ("online", "pageshow", "visibilitychange"):
        await world.ask("page", event=event)
        await world.advance(5)
    assert len(world.gateway.connections) == 1, "it answers"
    world.gateway.socket.swallow()
    await world.ask("page", event="online")
    await world.advance(3.7)  # three ticks, and the first pause
    assert len(world.gateway.connections) == 2, "it does not"


@case(38, needs="clock browser")
async def an_event_of_a_page_does_not_disturb_a_handshake(world: World) -> None:
    world.gateway.door = "silent"
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.until(lambda: world.gateway.connections)
    await world.ask("page", event="pageshow")
    await world.settle()
    assert len(world.gateway.connections) == 1
    world.gateway.door = "open"
    world.gateway.connections[0].transport.resume_reading()
    await subscription.connected()
    assert len(world.gateway.connections) == 1
