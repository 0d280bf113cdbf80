"""Tokens: shown, renewed, asked for, refused."""

from __future__ import annotations

import asyncio
import itertools
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from clients.conformance.proxy import proxy_to
from clients.python.tests.helpers import SOON, new_id, session_with
from tests.support.tokens import token_of
from tests.support.waiting import until

from userline_client import Active, Disconnected, Failed, Unauthenticated

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

    from userline_client import UserlineError, UserSnapshot


@pytest.mark.behaviour(42)
async def test_a_token_renewed_a_hundred_times_disturbs_nothing(guarded: RunningGateway) -> None:
    user_id = new_id()
    async with (
        proxy_to(int(guarded.url.rpartition(":")[2])) as proxy,
        session_with(proxy.url, token=token_of(user_id)) as session,
    ):
        seen: list[UserSnapshot | None] = []
        subscription = session.user(user_id).subscribe(seen.append)
        await subscription.connected
        for number in range(100):
            session.set_token(token_of(user_id, n=number))
            await session.user(user_id).set(name=str(number))
        await until(lambda: seen[-1] is not None and seen[-1].name == "99")
        assert all(old != new for old, new in itertools.pairwise(seen))
        assert proxy.accepted == 1


@pytest.mark.behaviour(42)
async def test_the_token_of_somebody_else_gets_a_socket_of_its_own(guarded: RunningGateway) -> None:
    ann, bob = new_id(), new_id()
    async with session_with(guarded, token=token_of(ann)) as session:
        owners = [session.current_user]
        seen: list[UserSnapshot | None] = []
        subscription = session.user(bob).subscribe(seen.append)
        await subscription.connected
        session.set_token(token_of(bob))
        owners.append(session.current_user)
        await session.user(bob).set(name="Bob")
        await until(lambda: len(seen) == 2)
        session.set_token(token_of(None))
        owners.append(session.current_user)
        assert owners == [session.user(ann), session.user(bob), None]
        await session.user(ann).set(name="Ann")
        assert isinstance(subscription.state, Active)


@pytest.mark.behaviour(43)
async def test_a_token_is_asked_for_when_there_is_none_and_before_it_expires(guarded: RunningGateway) -> None:
    user_id = new_id()
    asked: list[float] = []

    async def next_token() -> str:
        asked.append(time.monotonic())
        return token_of(user_id, exp=int(time.time()) + 4)

    async with (
        proxy_to(int(guarded.url.rpartition(":")[2])) as proxy,
        session_with(proxy.url, on_need_token=next_token) as session,
    ):
        await asyncio.sleep(0.05)
        assert not asked, "nothing has been needed yet"
        subscription = session.user(user_id).subscribe()
        await subscription.connected
        await until(lambda: len(asked) >= 3)
        await session.user(user_id).set(name="Still here")
        assert proxy.accepted == 1
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(asked)), "asked more often than needed"


@pytest.mark.behaviour(43)
@pytest.mark.parametrize("bad", ["nonsense", token_of("x", exp=1)], ids=["nonsense", "expired"])
async def test_a_token_is_asked_for_when_one_is_refused(guarded: RunningGateway, bad: str) -> None:
    user_id = new_id()
    asked = 0

    def next_token() -> str:
        nonlocal asked
        asked += 1
        return token_of(user_id)

    async with session_with(guarded, token=bad, on_need_token=next_token) as session:
        subscription = session.user(user_id).subscribe()
        await subscription.connected
        assert asked == 1
        session.set_token("nonsense")  # refused on the live socket
        await session.user(user_id).set(name="Ann")
        await until(lambda: subscription.latest_snapshot is not None)
        assert asked == 2


@pytest.mark.behaviour(43)
async def test_a_clock_that_is_ahead_does_not_ask_without_end(guarded: RunningGateway) -> None:
    """Every token looks as if it had expired long ago."""
    user_id = new_id()
    asked = 0

    def next_token() -> str:
        nonlocal asked
        asked += 1
        return token_of(user_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("userline_client.tokens.time", SimpleNamespace(time=lambda: 3e9))
        async with session_with(guarded, on_need_token=next_token, backoff=SOON) as session:
            assert await session.user(user_id).get() is None
            await asyncio.sleep(1)
            assert asked == 1
        async with session_with("ws://127.0.0.1:1/graphql", on_need_token=next_token, timeout=0.5) as session:
            with pytest.raises(Disconnected):
                await session.user(user_id).get()
    assert asked < 20, "the pauses between attempts grow"


@pytest.mark.behaviour(44)
async def test_a_token_that_is_refused_ends_it_all_until_there_is_another(guarded: RunningGateway) -> None:
    user_id = new_id()
    errors: list[UserlineError] = []
    async with session_with(guarded, token="nonsense", on_error=errors.append) as session:
        subscription = session.user(user_id).subscribe()
        asking = [session.user(user_id).get(), session.user(new_id()).get(), session.user(user_id).set(name="A")]
        for outcome in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(outcome, Unauthenticated)
        ended = await subscription.terminated
        assert isinstance(ended, Failed)
        with pytest.raises(Unauthenticated):
            await subscription.connected
        assert errors == [ended.error]
        session.set_token(token_of(user_id))
        assert await session.user(user_id).get() is None
        again = session.user(user_id).subscribe()
        await again.connected
        assert len(errors) == 1


@pytest.mark.behaviour(43)
async def test_who_never_makes_a_token_is_waited_for_until_one_is_set(guarded: RunningGateway) -> None:
    ended: list[str] = []

    async def never() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("no longer waited for")
        return ""

    user_id = new_id()
    async with session_with(guarded, on_need_token=never, timeout=0.3) as session:
        with pytest.raises(Disconnected, match="on_need_token has returned no token"):
            await session.user(user_id).get()
        assert ended == []
        session.set_token(token_of(user_id))
        assert await session.user(user_id).get() is None
        assert ended == ["no longer waited for"]


@pytest.mark.behaviour(43)
async def test_a_token_that_is_cancelled_is_one_that_failed(guarded: RunningGateway) -> None:
    """What the application awaits for it may be a task of its own, which it cancels."""
    user_id = new_id()
    asked = 0

    async def next_token() -> str:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise asyncio.CancelledError
        return token_of(user_id)

    async with session_with(guarded, on_need_token=next_token, backoff=SOON) as session:
        assert await session.user(user_id).get() is None
    assert asked == 3


@pytest.mark.behaviour(44)
async def test_a_next_token_that_is_refused_too_ends_it_all(guarded: RunningGateway) -> None:
    errors: list[UserlineError] = []
    asked = 0

    def next_token() -> str:
        nonlocal asked
        asked += 1
        return "nonsense"

    async with session_with(guarded, token="nonsense", on_need_token=next_token, on_error=errors.append) as session:
        subscription = session.user("a").subscribe()
        ended = await subscription.terminated
        assert isinstance(ended, Failed)
        assert isinstance(ended.error, Unauthenticated)
        assert asked == 1
        assert errors == [ended.error]


@pytest.mark.behaviour(44)
async def test_a_token_that_expires_and_has_no_successor(guarded: RunningGateway) -> None:
    errors: list[UserlineError] = []
    token = token_of("ann", exp=int(time.time()) + 2)
    async with session_with(guarded, token=token, on_error=errors.append) as session:
        subscription = session.user(new_id()).subscribe()
        await subscription.connected
        async with asyncio.timeout(20):
            ended = await subscription.terminated
        assert isinstance(ended, Failed)
        assert errors == [ended.error]
        assert isinstance(ended.error, Unauthenticated)
