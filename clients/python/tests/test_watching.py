"""Subscriptions, from pending to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from clients.python.tests.helpers import SOON, new_id, session_with
from clients.python.tests.scripted import user
from tests.support.waiting import until

from userline_client import (
    Active,
    BadUserInput,
    Failed,
    InvalidInput,
    Pending,
    ServerError,
    Session,
    SessionClosed,
    SubscriptionEnded,
    Unsubscribed,
)

if TYPE_CHECKING:
    from clients.python.tests.scripted import ScriptedGateway
    from tests.support.gateway import RunningGateway

    from userline_client import SubscriptionState, UserSnapshot


@pytest.mark.behaviour(12, 15)
async def test_states_from_pending_to_unsubscribed(gateway: RunningGateway) -> None:
    seen: list[UserSnapshot | None] = []
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        subscription = ref.subscribe(seen.append)
        states: list[SubscriptionState] = [subscription.state]
        await subscription.connected
        states.append(subscription.state)
        assert states == [Pending(), Active(None)]
        await ref.set(name="Ann")
        await until(lambda: len(seen) == 2)
        states.append(subscription.state)
        assert seen[1] is subscription.latest_snapshot
        assert [snapshot and snapshot.name for snapshot in seen] == [None, "Ann"]
        subscription.unsubscribe()
        states.append(subscription.state)
        subscription.unsubscribe()
        assert states[2:] == [Active(seen[1]), Unsubscribed()]
        assert await subscription.terminated is states[-1]
        await ref.set(name="Bob")
        assert len(seen) == 2
        assert subscription.latest_snapshot is seen[1]


@pytest.mark.behaviour(12)
def test_states_have_a_type_each() -> None:
    states: list[SubscriptionState] = [Pending(), Active(None), Unsubscribed(), Failed(SessionClosed())]
    assert [state.type for state in states] == ["pending", "active", "unsubscribed", "error"]


@pytest.mark.behaviour(13)
async def test_connected_resolves_with_the_first_active_state(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        subscription = session.user(new_id()).subscribe()
        first = await subscription.connected
        assert first == Active(None)
        await session.user(new_id()).set(name="Ann")
        assert await subscription.connected is first


@pytest.mark.behaviour(13, 14)
async def test_connected_rejects_if_it_ends_before(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        subscription = session.user(new_id()).subscribe()
        subscription.unsubscribe()
        with pytest.raises(SubscriptionEnded):
            await subscription.connected
        assert await subscription.terminated == Unsubscribed()


@pytest.mark.behaviour(14)
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


@pytest.mark.behaviour(12, 13, 14, 15, 19)
async def test_a_refusal_ends_the_subscription_as_error(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        first, second = session.user("a").subscribe(), session.user("a").subscribe()
        other = session.user("b").subscribe()
        await scripted.refuse(await scripted.expect("subscribe", "userChanged"), "BAD_USER_INPUT")
        await scripted.answer(await scripted.expect("subscribe", "userChanged"), userChanged=None)
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
        assert await other.connected == Active(None), "the session goes on"


@pytest.mark.behaviour(19)
async def test_an_active_subscription_that_is_refused_later_ends_as_error(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        subscription = session.user("a").subscribe()
        watch = await scripted.expect("subscribe", "userChanged")
        await scripted.answer(watch, userChanged=user("a", "Ann"))
        first = await subscription.connected
        await scripted.refuse(watch, "INTERNAL_SERVER_ERROR")
        ended = await subscription.terminated
        assert isinstance(ended, Failed)
        assert isinstance(ended.error, ServerError)
        assert await subscription.connected is first
        again = session.user("a").subscribe()
        await scripted.answer(await scripted.expect("subscribe", "userChanged"), userChanged=user("a", "Ann"))
        assert (await again.connected).latest_snapshot == first.latest_snapshot


@pytest.mark.behaviour(19)
@pytest.mark.parametrize("code", ["STORE_UNAVAILABLE", "RATE_LIMITED"])
async def test_a_refusal_that_passes_is_tried_again(scripted: ScriptedGateway, code: str) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        subscription = session.user("a").subscribe()
        for _ in range(3):
            await scripted.refuse(await scripted.expect("subscribe", "userChanged"), code)
        watch = await scripted.expect("subscribe", "userChanged")
        states = [subscription.state]
        await scripted.answer(watch, userChanged=None)
        assert await subscription.connected == Active(None)
        await scripted.refuse(watch, code)
        again = await scripted.expect("subscribe", "userChanged")
        states.append(subscription.state)
        assert states == [Pending(), Active(None)]
        await scripted.say("complete", id=again["id"])
        await scripted.answer(await scripted.expect("subscribe", "userChanged"), userChanged=user("a", "Ann"))
        await until(lambda: subscription.latest_snapshot is not None)


@pytest.mark.behaviour(16)
async def test_equal_subscriptions_share_one_on_the_wire(gateway: RunningGateway) -> None:
    user_id = new_id()
    async with session_with(gateway) as session:
        before = gateway.metric("userline_watchers")
        first, second = (session.user(user_id).subscribe() for _ in range(2))
        await asyncio.gather(first.connected, second.connected)
        third = session.user(user_id).subscribe()
        assert third.state == Pending()
        await third.connected
        assert gateway.metric("userline_watchers") - before == 1
        first.unsubscribe()
        gateway.set_user(user_id, name="Ann")
        await until(lambda: second.latest_snapshot is not None and third.latest_snapshot is second.latest_snapshot)
        second.unsubscribe()
        third.unsubscribe()
        await until(lambda: gateway.metric("userline_watchers") == before)


@pytest.mark.behaviour(16)
async def test_a_subscription_after_the_last_one_ended_hears_of_changes(gateway: RunningGateway) -> None:
    user_id = new_id()
    async with session_with(gateway) as session:
        async with session.user(user_id).subscribe() as subscription:
            await subscription.connected
        async with session.user(user_id).subscribe() as subscription:
            await subscription.connected
            gateway.set_user(user_id, name="Ann")
            await until(lambda: subscription.latest_snapshot is not None)


@pytest.mark.behaviour(17)
async def test_a_callback_that_raises_breaks_nothing(gateway: RunningGateway, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: UserSnapshot | None) -> None:
        raise RuntimeError("of the application")

    user_id = new_id()
    seen: list[UserSnapshot | None] = []
    async with session_with(gateway) as session:
        failing, other = session.user(user_id).subscribe(fail), session.user(user_id).subscribe(seen.append)
        await asyncio.gather(failing.connected, other.connected)
        gateway.set_user(user_id, name="Ann")
        await until(lambda: len(seen) == 2)
        assert failing.state == other.state
    assert caplog.text.count("RuntimeError: of the application") == 2


@pytest.mark.behaviour(17)
async def test_a_callback_may_unsubscribe_and_subscribe(gateway: RunningGateway) -> None:
    user_id = new_id()
    seen: list[str] = []
    async with session_with(gateway) as session:

        def change(_: UserSnapshot | None) -> None:
            seen.append("first")
            first.unsubscribe()
            second.unsubscribe()
            session.user(user_id).subscribe(lambda _: seen.append("third"))

        first = session.user(user_id).subscribe(change)
        second = session.user(user_id).subscribe(lambda _: seen.append("second"))
        await until(lambda: len(seen) >= 2)
        await asyncio.gather(first.terminated, second.terminated)
        assert seen == ["first", "third"]


def test_a_callback_that_is_a_coroutine_function_is_refused() -> None:
    async def never_awaited(_: UserSnapshot | None) -> None: ...

    with pytest.raises(InvalidInput):
        Session("ws://127.0.0.1:1/graphql").user("a").subscribe(never_awaited)  # type: ignore[arg-type]


@pytest.mark.behaviour(18)
async def test_changes_arrive_in_order_each_once_and_the_last_one_always(gateway: RunningGateway) -> None:
    user_id = new_id()
    seen: list[UserSnapshot | None] = []
    async with session_with(gateway) as reader, session_with(gateway) as writer:
        subscription = reader.user(user_id).subscribe(seen.append)
        await subscription.connected
        for number in range(200):
            await writer.user(user_id).set(name=str(number))
            await writer.user(user_id).set(email=f"{number}@example.com")  # nobody hears of it
        await until(lambda: seen[-1] is not None and seen[-1].name == "199")
    numbers = [int(snapshot.name) for snapshot in seen if snapshot is not None]
    assert numbers == sorted(set(numbers))


@pytest.mark.behaviour(18)
async def test_an_equal_snapshot_is_not_shown_twice_in_a_row(scripted: ScriptedGateway) -> None:
    seen: list[UserSnapshot | None] = []
    async with session_with(scripted.url) as session:
        session.user("a").subscribe(seen.append)
        watch = await scripted.expect("subscribe", "userChanged")
        for name in ("Ann", "Ann", "Bob", "Ann"):
            await scripted.answer(watch, userChanged=user("a", name))
        for shown in (None, None):
            await scripted.answer(watch, userChanged=shown)
        await until(lambda: seen and seen[-1] is None)
    assert [snapshot and snapshot.name for snapshot in seen] == ["Ann", "Bob", "Ann", None]


@pytest.mark.behaviour(12, 18)
async def test_iteration_gives_the_current_snapshot_and_each_that_follows(gateway: RunningGateway) -> None:
    user_id = new_id()
    names = []
    async with session_with(gateway) as session, session.user(user_id).subscribe() as subscription:
        async for snapshot in subscription:
            names.append(snapshot and snapshot.name)
            if snapshot is not None and snapshot.name == "2":
                subscription.unsubscribe()
            else:
                gateway.set_user(user_id, name=str(len(names)))
    assert names == [None, "1", "2"]


@pytest.mark.behaviour(18)
async def test_a_slow_reader_skips_what_is_in_between(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session, session.user("a").subscribe() as subscription:
        watch = await scripted.expect("subscribe", "userChanged")
        reader = aiter(subscription)
        for name in ("1", "2", "3"):
            await scripted.answer(watch, userChanged=user("a", name))
        await until(lambda: subscription.latest_snapshot is not None and subscription.latest_snapshot.name == "3")
        first = await anext(reader)
        assert first is not None
        assert first.name == "3"
        subscription.unsubscribe()
        with pytest.raises(StopAsyncIteration):
            await anext(reader)
