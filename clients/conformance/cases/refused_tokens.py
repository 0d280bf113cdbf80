"""Tokens that are refused for good: lines 40 to 44."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clients.conformance.table import case
from clients.conformance.world import token_of

if TYPE_CHECKING:
    from clients.conformance.world import World


TINY = {"messageBytes": 100_000, "subscriptions": 10, "watchedUsers": 1}
"""So that each user has a socket of its own."""


@case(44, needs="clock")
async def with_nobody_to_ask_a_refused_token_ends_everything_and_the_application_is_told_once(world: World) -> None:
    world.gateway.limits = TINY
    session = await world.open(token=token_of())
    subscriptions = await session.subscribe_all("abc")
    for subscription in subscriptions:
        await subscription.connected()
    world.gateway.answer_by(lambda *_: None)
    writing = session.start("set", user="a", input={"name": "A"})
    await world.settle()
    world.gateway.hook = None
    world.gateway.refuse_token = lambda token: None if token == "good" else (4403, "Forbidden: the token is not good.")
    world.gateway.cut(4403, "Forbidden: the token is not good.")
    for subscription in subscriptions:
        error = (await subscription.terminated())["error"]
        assert error["code"] == "UNAUTHENTICATED"
        assert "the token is not good" in error["message"]
        assert "Forbidden" not in error["message"]
    await world.fails(writing, "UNAUTHENTICATED")
    await world.advance(30)
    assert len(session.errors) == 1
    assert len(world.gateway.sockets) == 3
    await session.ask("setToken", token="good")
    assert await session.get("a") is None


@case(44, needs="clock")
async def if_the_next_token_is_refused_too_that_is_the_end(world: World) -> None:
    world.gateway.refuse_token = lambda _: (4403, "Forbidden")
    session = await world.open(on_need_token=lambda ask: token_of(n=ask))
    subscription = await session.subscribe("a")
    getting = session.start("get", user="b")
    assert (await subscription.terminated())["error"]["code"] == "UNAUTHENTICATED"
    await world.fails(getting, "UNAUTHENTICATED")
    await world.advance(20)
    assert session.asks == 2
    assert len(session.errors) == 1
    world.gateway.refuse_token = None
    await session.ask("setToken", token="good")
    getting = session.start("get", user="a")
    await world.advance(10.1)
    assert await getting is None


@case(42, 43, 44, needs="clock")
async def a_token_that_is_set_when_one_is_refused_is_used(world: World) -> None:
    """The gateway refuses one socket for a token that has been replaced by then."""
    session = await world.open(token=token_of(n=1))
    subscription = await session.subscribe("a")
    await subscription.connected()
    end = world.gateway.socket
    world.gateway.hook = lambda _, message: message["type"] == "ping"
    await asyncio.gather(session.ask("setToken", token=token_of(n=2)))
    await world.settle()
    world.gateway.hook = None
    world.gateway.refuse_token = lambda token: (4403, "Forbidden") if token == token_of(n=2) else None
    end.end(4403, "Forbidden: somebody else's")
    assert (await subscription.terminated())["error"]["code"] == "UNAUTHENTICATED"
    await session.ask("setToken", token=token_of(n=3))
    await session.get("a")
    assert len(session.errors) == 1


@case(40, 42, needs="share")
async def a_shared_session_takes_no_token_of_another_user(world: World) -> None:
    session = await world.open(shared=True, userId="ann", token=token_of("ann"))
    await world.fails(session.start("setToken", token=token_of("bob")), "INVALID_INPUT")
    await world.fails(world.open(shared=True, userId="ann", token=token_of("bob")), "INVALID_INPUT")
    await session.ask("setToken", token=token_of("ann", n=2))
    again = await world.open(shared=True, token=token_of("ann", n=3))
    assert again.object == session.object
    await session.get("a")
    assert world.gateway.socket.token == token_of("ann", n=3)
