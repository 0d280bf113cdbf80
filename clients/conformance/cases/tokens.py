"""Tokens: lines 42 to 44."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clients.conformance.table import case
from clients.conformance.world import token_of

if TYPE_CHECKING:
    from clients.conformance.world import World

TINY = {"messageBytes": 100_000, "subscriptions": 10, "watchedUsers": 1}
"""So that each user has a socket of its own."""


@case(42, needs="clock")
async def the_token_travels_in_connection_init_and_a_new_one_in_a_ping_on_every_live_socket(world: World) -> None:
    world.gateway.limits = TINY
    one, two = token_of(n=1), token_of(n=2)
    session = await world.open(token=one)
    subscriptions = await session.subscribe_all("ab")
    for subscription in subscriptions:
        await subscription.connected()
    inits = [end.received[0] for end in world.gateway.live]
    assert inits == [{"type": "connection_init", "payload": {"Authorization": f"Bearer {one}"}}] * 2
    await session.ask("setToken", token=two)
    await world.settle()
    for end in world.gateway.live:
        assert {"type": "ping", "payload": {"Authorization": f"Bearer {two}"}} in end.received
    await world.advance(1)
    assert len(world.gateway.connections) == 2
    world.gateway.cut()
    await world.advance(0.6)
    await world.advance(0.6)
    assert [end.token for end in world.gateway.live] == [two, two]
    assert [len(each.shown) for each in subscriptions] == [1, 1]


@case(42)
async def without_a_token_there_is_none_on_the_wire(world: World) -> None:
    session = await world.open()
    await session.get("a")
    assert world.gateway.socket.received[0].get("payload") in (None, {})


@case(42, needs="clock")
async def the_token_of_somebody_else_gets_sockets_of_its_own(world: World) -> None:
    session = await world.open(token=token_of("ann"))
    subscription = await session.subscribe("a")
    await subscription.connected()
    others = [token_of("bob"), token_of(None), token_of("ann")]
    for number, token in enumerate(others):
        await session.ask("setToken", token=token)
        await world.advance(0.6)
        assert [end.token for end in world.gateway.live] == [token]
        assert len(world.gateway.sockets) == number + 2
        world.gateway.set("a", name=str(number))
    await world.settle()
    assert subscription.names == [None, "0", "1", "2"]
    assert await subscription.type() == "active"


@case(42)
async def the_gateways_pings_are_answered(world: World) -> None:
    session = await world.open()
    await session.get("a")
    for ping in ({"type": "ping"}, {"type": "ping", "payload": {"now": 1}}):
        world.gateway.socket.tell(ping)
        await world.until(lambda: world.gateway.socket.received[-1]["type"] == "pong")
        await world.settle()
    assert world.gateway.socket.types == ["connection_init", "subscribe", "pong", "pong"]


@case(42)
async def a_token_is_a_string_that_a_header_could_carry(world: World) -> None:
    session = await world.open()
    for token in ("", "ä", "a\nb", "a\0"):
        await world.fails(session.start("setToken", token=token), "INVALID_INPUT")
        await world.fails(world.open(token=token), "INVALID_INPUT")
    for token in ("x", "a.b.c", "a.bnVsbA.c", "a.W10.c", "."):
        await session.ask("setToken", token=token)
    await session.get("a")
    assert world.gateway.socket.token == "."


# Who makes tokens


@case(43)
async def who_makes_tokens_is_asked_when_there_is_none_once_for_all_sockets(world: World) -> None:
    world.gateway.limits = TINY
    session = await world.open(on_need_token=lambda ask: token_of(n=ask))
    await world.settle()
    assert session.asks == 0, "nothing needs a socket"
    for subscription in await session.subscribe_all("abc"):
        await subscription.connected()
    assert session.asks == 1
    assert {end.token for end in world.gateway.live} == {token_of(n=1)}
    assert len(world.gateway.live) == 3


@case(43, needs="clock")
async def who_has_a_token_is_not_asked(world: World) -> None:
    session = await world.open(token=token_of(), on_need_token=lambda _: token_of(n=2))
    await session.get("a")
    await world.advance(10)
    assert session.asks == 0


@case(43, needs="clock")
async def it_is_asked_before_a_token_expires(world: World) -> None:
    world.gateway.limits = TINY
    await world.advance_alone(0)
    session = await world.open(on_need_token=lambda _: token_of(expires_at=world.wall + 100))
    subscriptions = await session.subscribe_all("abc")
    for subscription in subscriptions:
        await subscription.connected()
    await world.advance(60)
    assert session.asks == 1
    await world.advance(39)
    assert session.asks == 2
    await world.advance(200)
    assert 4 <= session.asks <= 5
    assert len(world.gateway.connections) == 3
    tokens = {end.token for end in world.gateway.live}
    assert len(tokens) == 1
    assert tokens != {world.gateway.live[0].received[0]["payload"]["Authorization"].removeprefix("Bearer ")}
    assert [len(each.shown) for each in subscriptions] == [1] * 3


@case(43, needs="clock")
async def one_that_is_over_is_not_shown(world: World) -> None:
    await world.advance_alone(0)
    session = await world.open(token=token_of(expires_at=world.wall - 5), on_need_token=lambda _: token_of(n=2))
    await session.get("a")
    assert session.asks == 1
    assert [end.token for end in world.gateway.sockets] == [token_of(n=2)]


@case(43, needs="clock", each=(4403, 4410))
async def after_a_refusal_there_is_another_token(world: World, code: int) -> None:
    world.gateway.limits = TINY
    session = await world.open(on_need_token=lambda ask: token_of(n=1) if ask == 1 else None)
    subscriptions = await session.subscribe_all("abc")
    for subscription in subscriptions:
        await subscription.connected()
    world.gateway.cut(code, "Token no longer valid")
    await world.until(lambda: session.asks == 2)
    await world.advance(0.6)
    session.answer(token_of(n=2))
    for _ in range(3):
        await world.advance(0.6)
    assert session.asks == 2, "once for all sockets"
    assert [end.token for end in world.gateway.live] == [token_of(n=2)] * 3
    assert await world.types(subscriptions) == ["active"] * 3
    assert session.errors == []


@case(43)
async def the_next_token_is_shown_at_once(world: World) -> None:
    world.gateway.refuse_token = lambda token: (4403, "Forbidden") if token == token_of(n=1) else None
    session = await world.open(on_need_token=lambda ask: token_of(n=ask))
    await session.get("a")
    assert [end.token for end in world.gateway.sockets] == [token_of(n=1), token_of(n=2)]


@case(43, needs="clock")
async def if_asking_fails_it_is_asked_again_after_a_pause(world: World) -> None:
    session = await world.open(on_need_token=lambda ask: RuntimeError("no") if ask < 3 else None)
    subscription = await session.subscribe("a")
    await world.settle()
    assert session.asks == 1
    await world.advance_until(lambda: session.asks == 3, 3)
    assert world.gateway.connections == []
    assert len(world.logged) == 2
    getting = session.start("get", user="a")
    await world.advance(15.5)
    await world.fails(getting, "DISCONNECTED")
    assert await subscription.type() == "pending"
    # A token that is set meanwhile ends the waiting for it.
    await session.ask("setToken", token=token_of(n=5))
    await subscription.connected()
    assert world.gateway.socket.token == token_of(n=5)
    assert session.asks == 3


@case(43, needs="clock")
async def a_renewal_that_fails_is_tried_again_and_disturbs_nothing(world: World) -> None:
    await world.advance_alone(0)

    def need(ask: int) -> str | Exception:
        return RuntimeError("no") if ask == 2 else token_of(expires_at=world.wall + 100)

    session = await world.open(on_need_token=need)
    subscription = await session.subscribe("a")
    await subscription.connected()
    await world.advance(97.5)
    assert session.asks == 3
    await world.advance(5)
    assert len(world.gateway.connections) == 1
    assert await subscription.type() == "active"


@case(43, needs="clock", each=(-3600, -1))
async def a_clock_that_is_wrong_does_not_make_it_ask_without_end(world: World, seconds: float) -> None:
    await world.advance_alone(0)
    session = await world.open(on_need_token=lambda _: token_of(expires_at=world.wall + seconds))
    subscription = await session.subscribe("a")
    await world.advance(100)
    assert session.asks == 1
    assert len(world.gateway.connections) == 1
    assert await subscription.type() == "active"


@case(43, needs="clock", each=(86_400 * 365, 2**40, 1e300))
async def a_token_that_lasts_for_long_is_not_asked_for_again(world: World, seconds: float) -> None:
    await world.advance_alone(0)
    session = await world.open(on_need_token=lambda _: token_of(expires_at=world.wall + seconds))
    subscription = await session.subscribe("a")
    await world.advance(10)
    assert await subscription.type() == "active"
    assert (session.asks, len(world.gateway.connections)) == (1, 1)


@case(38, 43, needs="clock")
async def an_hour_of_sleep_with_an_expired_token_is_one_call(world: World) -> None:
    await world.advance_alone(0)
    world.gateway.put("a", name="before")
    session = await world.open(on_need_token=lambda _: token_of(expires_at=world.wall + 600))
    subscription = await session.subscribe("a")
    await subscription.connected()
    await world.advance(5)
    world.gateway.put("a", name="after")
    await world.sleep(3600)
    await world.advance(3)
    assert session.asks == 2
    assert subscription.names == ["before", "after"]
    assert await subscription.type() == "active"
    assert len(world.gateway.live) == 1
