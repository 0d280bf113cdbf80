"""Subscriptions, from pending to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from clients.python.tests.helpers import new_id, session_with

from userline_client import (
    Active,
    Failed,
    InvalidInput,
    Pending,
    Session,
    SessionClosed,
    Unsubscribed,
)

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

    from userline_client import SubscriptionState, UserSnapshot


@pytest.mark.behaviour(19)
def test_states_have_a_type_each() -> None:
    states: list[SubscriptionState] = [Pending(), Active(None), Unsubscribed(), Failed(SessionClosed())]
    assert [state.type for state in states] == ["pending", "active", "unsubscribed", "error"]


@pytest.mark.behaviour(21)
async def test_terminated_can_be_awaited_by_many_who_may_give_up(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        subscription = session.user(new_id()).subscribe()
        for outcome in (subscription.connected, subscription.terminated):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(outcome, 0)
        await subscription.connected
        waiting = [asyncio.ensure_future(subscription.terminated) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        subscription.unsubscribe()
        assert await asyncio.gather(*waiting[1:]) == [Unsubscribed(), Unsubscribed()]


def test_a_callback_that_is_a_coroutine_function_is_refused() -> None:
    async def never_awaited(_: UserSnapshot | None) -> None: ...

    with pytest.raises(InvalidInput):
        Session("ws://127.0.0.1:1/graphql").user("a").subscribe(never_awaited)  # type: ignore[arg-type]
