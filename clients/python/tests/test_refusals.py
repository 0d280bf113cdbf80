"""What the gateway refuses: told as an error, or tried again, and never for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from clients.python.tests.helpers import SOON, session_with
from clients.python.tests.scripted import ScriptedGateway, user
from tests.support.waiting import until

from userline_client import (
    Active,
    Backoff,
    BadUserInput,
    ConnectionRefused,
    ConnectionTimeout,
    Disconnected,
    Failed,
    GraphQLValidationFailed,
    Pending,
    ProtocolError,
    RateLimited,
    ServerError,
    StoreUnavailable,
    UserlineError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from clients.python.tests.clocks import ScriptedClock

PASSING = ["STORE_UNAVAILABLE", "RATE_LIMITED"]
SLOW = Backoff(base=3600, ceiling=3600)


@pytest.fixture(params=["error", "next and complete"])
def refuse(scripted: ScriptedGateway, request: pytest.FixtureRequest) -> Callable[..., Awaitable[None]]:
    """Both forms of a refusal."""
    return scripted.refuse if request.param == "error" else scripted.refuse_as_result


@pytest.mark.behaviour(19, 20, 21, 22, 31)
async def test_a_refusal_ends_the_subscriptions_as_error(
    scripted: ScriptedGateway, refuse: Callable[..., Awaitable[None]]
) -> None:
    async with session_with(scripted.url) as session:
        first, second = session.user("a").subscribe(), session.user("a").subscribe()
        getting = asyncio.create_task(session.user("b").get())
        await refuse(await scripted.expect_watch("a", "b"), "BAD_USER_INPUT")
        for subscription in (first, second):
            with pytest.raises(BadUserInput):
                await subscription.connected
            ended = await subscription.terminated
            assert isinstance(ended, Failed)
            assert isinstance(ended.error, BadUserInput)
            subscription.unsubscribe()
            assert subscription.state is ended
            with pytest.raises(BadUserInput):
                await anext(aiter(subscription))
        with pytest.raises(BadUserInput):
            await getting
        other = session.user("b").subscribe()
        while (message := await scripted.expect_any())["type"] == "complete":
            pass
        await scripted.tell(message)
        assert await other.connected == Active(None), "the session goes on"


@pytest.mark.behaviour(31)
async def test_an_active_subscription_that_is_refused_later_ends_as_error(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        subscription = session.user("a").subscribe()
        watch = await scripted.expect_watch()
        await scripted.tell(watch, user("a", "Ann"))
        first = await subscription.connected
        await scripted.refuse(watch, "INTERNAL_SERVER_ERROR")
        ended = await subscription.terminated
        assert isinstance(ended, Failed)
        assert isinstance(ended.error, ServerError)
        assert await subscription.connected is first
        again = session.user("a").subscribe()
        await scripted.tell(await scripted.expect_watch(), user("a", "Ann"))
        assert (await again.connected).latest_snapshot == first.latest_snapshot


@pytest.mark.behaviour(28, 30)
@pytest.mark.parametrize("code", PASSING)
async def test_a_refusal_that_passes_is_tried_again(
    scripted: ScriptedGateway, code: str, refuse: Callable[..., Awaitable[None]]
) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        subscription = session.user("a").subscribe()
        getting = asyncio.create_task(session.user("a").get())
        for _ in range(3):
            await refuse(await _next_watch(scripted), code)
        watch = await _next_watch(scripted)
        states = [subscription.state]
        await scripted.tell(watch)
        assert await subscription.connected == Active(None)
        assert await getting is None
        await refuse(watch, code)
        again = await _next_watch(scripted)
        states.append(subscription.state)
        assert states == [Pending(), Active(None)]
        await scripted.say("complete", id=again["id"])
        await scripted.tell(await _next_watch(scripted), user("a", "Ann"))
        await until(lambda: subscription.latest_snapshot is not None)


async def _next_watch(scripted: ScriptedGateway) -> dict[str, Any]:
    while (message := await scripted.expect_any())["type"] == "complete":
        pass
    assert message["type"] == "subscribe"
    return message


@pytest.mark.behaviour(18, 28)
@pytest.mark.parametrize("seconds", [0.3, 1, 7.5])
async def test_the_gateway_says_when_to_come_back(
    scripted: ScriptedGateway, clock: ScriptedClock, seconds: float
) -> None:
    async with session_with(scripted.url, backoff=SLOW) as session:
        session.user("a").subscribe()
        await scripted.refuse(await scripted.expect_watch("a"), "RATE_LIMITED", retryAfterSeconds=seconds)
        await until(lambda: session._core._watches._resting._timers)
        clock.pass_time(seconds * 0.99)
        await asyncio.sleep(0.02)
        assert scripted.is_silent
        clock.pass_time(seconds * 0.12)
        await scripted.tell(await scripted.expect_watch("a"))


@pytest.mark.parametrize("told", [None, "3", True, -1, 0, float("nan"), [], pytest.param(10**400, id="huge")])
def test_what_is_no_time_to_come_back_is_none(told: Any) -> None:
    error = RateLimited("No.", {"retryAfterSeconds": told})
    assert error.retry_after in (None, 300.0)
    assert Backoff(base=0).after(error, 1) < 400


@pytest.mark.behaviour(29)
@pytest.mark.parametrize("code", PASSING)
async def test_who_is_still_pending_after_the_timeout_is_told_the_refusal(
    scripted: ScriptedGateway, clock: ScriptedClock, code: str
) -> None:
    async with session_with(scripted.url, backoff=Backoff(base=2, ceiling=2)) as session:
        active = session.user("active").subscribe()
        await scripted.tell(await scripted.expect_watch("active"))
        await active.connected
        pending = [session.user(user_id).subscribe() for user_id in ("a", "b")]
        for _ in range(16):
            while not scripted.is_silent:
                message = await scripted.expect_any()
                if message["type"] == "subscribe":
                    await scripted.refuse(message, code)
            await asyncio.sleep(0.005)
            clock.pass_time(1)
            await asyncio.sleep(0.005)
        for subscription in pending:
            ended = await subscription.terminated
            assert isinstance(ended, Failed)
            assert ended.error.code == code
        assert active.state == Active(None)
        assert not session._core._watches._pending


@pytest.mark.behaviour(29)
async def test_a_gateway_that_says_nothing_is_not_waited_for_without_end(
    scripted: ScriptedGateway, clock: ScriptedClock
) -> None:
    async with session_with(scripted.url) as session:
        subscription = session.user("a").subscribe()
        await scripted.expect_watch("a")
        clock.pass_time(14)
        assert subscription.state == Pending()
        clock.pass_time(2)
        with pytest.raises(ConnectionTimeout):
            await subscription.connected
        later = session.user("a").subscribe()
        clock.pass_time(14)
        assert later.is_pending, "each has its own time"
        clock.pass_time(2)
        assert isinstance(await later.terminated, Failed)


@pytest.mark.behaviour(29)
@pytest.mark.parametrize("code", [4430, 4431, 4503])
async def test_sockets_that_are_refused_end_what_is_pending_with_that(
    scripted: ScriptedGateway, clock: ScriptedClock, code: int
) -> None:
    scripted.refusal = (code, "There are too many")
    async with session_with(scripted.url, backoff=SOON) as session:
        subscription = session.user("a").subscribe()
        await until(lambda: scripted.sockets > 3)
        assert subscription.state == Pending()
        clock.pass_time(16)
        with pytest.raises(ConnectionRefused, match="There are too many") as caught:
            await subscription.connected
        assert caught.value.close_code == code
        later = session.user("a").subscribe()
        scripted.refusal = None
        await scripted.tell(await scripted.expect_watch("a"))
        await later.connected


@pytest.mark.behaviour(29)
@pytest.mark.parametrize("code", [4431, 4503])
async def test_a_get_over_refused_sockets_says_so(scripted: ScriptedGateway, code: int) -> None:
    scripted.refusal = (code, "There are too many")
    async with session_with(scripted.url, backoff=SOON, timeout=0.3) as session:
        with pytest.raises(Disconnected, match="There are too many"):
            await session.user("a").get()


@pytest.mark.behaviour(29)
@pytest.mark.parametrize("code", PASSING)
async def test_a_get_that_is_refused_until_its_time_is_over_says_so(scripted: ScriptedGateway, code: str) -> None:
    async with session_with(scripted.url, timeout=0.3, backoff=Backoff(base=1, ceiling=1)) as session:
        getting = asyncio.create_task(session.user("a").get())
        watch = await scripted.expect_watch("a")
        await scripted.refuse(watch, code, retryAfterSeconds=60)
        with pytest.raises((StoreUnavailable, RateLimited)) as caught:
            await getting
        assert caught.value.code == code


@pytest.mark.behaviour(29)
async def test_without_a_connection_it_stays_pending_however_long(clock: ScriptedClock) -> None:
    async with session_with("ws://127.0.0.1:1/graphql", backoff=SOON) as session:
        subscription = session.user("a").subscribe()
        for _ in range(10):
            clock.pass_time(60)
            await asyncio.sleep(0.01)
        assert subscription.state == Pending()


@pytest.mark.behaviour(29)
async def test_a_socket_that_is_lost_while_it_is_pending_starts_its_time_anew(
    scripted: ScriptedGateway, clock: ScriptedClock
) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        subscription = session.user("a").subscribe()
        for _ in range(3):
            await scripted.expect_watch("a")
            clock.pass_time(10)
            scripted.cut()
        await scripted.tell(await scripted.expect_watch("a"))
        await subscription.connected


@pytest.mark.behaviour(32)
@pytest.mark.parametrize(
    "told", [None, user("a", "Ann"), {}, "x", [None], [{}], [{"id": 5, "user": None}], [{"id": "a"}]]
)
async def test_events_of_another_form_are_an_error_that_says_so(scripted: ScriptedGateway, told: Any) -> None:
    async with session_with(scripted.url) as session:
        subscription = session.user("a").subscribe()
        await scripted.tell_raw(await scripted.expect_watch("a"), {"usersChanged": told})
        with pytest.raises(ProtocolError, match=r"usersChanged|event"):
            await subscription.connected


@pytest.mark.behaviour(32)
async def test_a_gateway_without_the_fields_is_an_error_at_once(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        subscription = session.user("a").subscribe()
        getting = asyncio.create_task(session.user("a").get())
        await scripted.refuse(await scripted.expect_watch("a"), "GRAPHQL_VALIDATION_FAILED")
        for awaited in (subscription.connected, getting):
            with pytest.raises(GraphQLValidationFailed):
                await awaited


@pytest.mark.behaviour(31)
@pytest.mark.parametrize("payload", [None, [], {}, [{}], [{"message": 5}]])
async def test_an_error_that_is_none_ends_the_operation(scripted: ScriptedGateway, payload: Any) -> None:
    async with session_with(scripted.url) as session:
        subscription = session.user("a").subscribe()
        watch = await scripted.expect_watch("a")
        await scripted.say("error", id=watch["id"], payload=payload)
        with pytest.raises(UserlineError):
            await subscription.connected
