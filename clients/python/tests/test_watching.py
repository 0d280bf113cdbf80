"""Subscriptions, from pending to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

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
    Session,
    SessionClosed,
    SubscriptionEnded,
    Unsubscribed,
    UserOnline,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clients.python.tests.scripted import ScriptedGateway
    from tests.support.gateway import RunningGateway

    from userline_client import SubscriptionState, UserSnapshot


@pytest.mark.behaviour(19, 22)
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


@pytest.mark.behaviour(19)
def test_states_have_a_type_each() -> None:
    states: list[SubscriptionState] = [Pending(), Active(None), Unsubscribed(), Failed(SessionClosed())]
    assert [state.type for state in states] == ["pending", "active", "unsubscribed", "error"]


@pytest.mark.behaviour(20)
async def test_connected_resolves_with_the_first_active_state(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        subscription = session.user(new_id()).subscribe()
        first = await subscription.connected
        assert first == Active(None)
        await session.user(new_id()).set(name="Ann")
        assert await subscription.connected is first


@pytest.mark.behaviour(20, 21)
async def test_connected_rejects_if_it_ends_before(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        subscription = session.user(new_id()).subscribe()
        subscription.unsubscribe()
        with pytest.raises(SubscriptionEnded):
            await subscription.connected
        assert await subscription.terminated == Unsubscribed()


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


@pytest.mark.behaviour(23)
async def test_equal_subscriptions_share_one_watch(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        first, second = (session.user("a").subscribe() for _ in range(2))
        watch = await scripted.expect_watch("a")
        await scripted.tell(watch, user("a", "Ann"))
        await asyncio.gather(first.connected, second.connected)
        third = session.user("a").subscribe()
        assert third.state == Pending()
        await asyncio.sleep(0)
        assert third.state == first.state, "one turn later"
        first.unsubscribe()
        await scripted.tell(watch, user("a", "Bea"))
        await until(lambda: third.latest_snapshot is not None and third.latest_snapshot.name == "Bea")
        assert second.latest_snapshot is third.latest_snapshot
        assert scripted.is_silent


@pytest.mark.behaviour(23)
async def test_a_subscription_after_the_last_one_ended_hears_of_changes(gateway: RunningGateway) -> None:
    user_id = new_id()
    async with session_with(gateway) as session:
        async with session.user(user_id).subscribe() as subscription:
            await subscription.connected
        async with session.user(user_id).subscribe() as subscription:
            await subscription.connected
            gateway.set_user(user_id, name="Ann")
            await until(lambda: subscription.latest_snapshot is not None)


@pytest.mark.behaviour(24)
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


@pytest.mark.behaviour(24)
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


@pytest.mark.behaviour(25)
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


@pytest.mark.behaviour(25)
async def test_an_equal_snapshot_is_not_shown_twice_in_a_row(scripted: ScriptedGateway) -> None:
    seen: list[UserSnapshot | None] = []
    async with session_with(scripted.url) as session:
        session.user("a").subscribe(seen.append)
        watch = await scripted.expect_watch()
        for name in ("Ann", "Ann", "Bob", "Ann"):
            await scripted.tell(watch, user("a", name))
        for _ in range(2):
            await scripted.tell(watch)
        await until(lambda: seen and seen[-1] is None)
    assert [snapshot and snapshot.name for snapshot in seen] == ["Ann", "Bob", "Ann", None]


@pytest.mark.behaviour(19, 25)
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


@pytest.mark.behaviour(25)
async def test_a_slow_reader_skips_what_is_in_between(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session, session.user("a").subscribe() as subscription:
        watch = await scripted.expect_watch()
        reader = aiter(subscription)
        for name in ("1", "2", "3"):
            await scripted.tell(watch, user("a", name))
        await until(lambda: subscription.latest_snapshot is not None and subscription.latest_snapshot.name == "3")
        first = await anext(reader)
        assert first is not None
        assert first.name == "3"
        subscription.unsubscribe()
        with pytest.raises(StopAsyncIteration):
            await anext(reader)


@pytest.mark.behaviour(26)
async def test_many_are_one_subscription(scripted: ScriptedGateway) -> None:
    seen: list[dict[str, str | None]] = []

    def note(users: Mapping[str, UserSnapshot | None]) -> None:
        seen.append({user_id: None if snapshot is None else snapshot.name for user_id, snapshot in users.items()})

    async with session_with(scripted.url) as session:
        refs = session.users(["b", "a", "b"])
        subscription = refs.subscribe(note)
        watch = await scripted.expect_watch("b", "a")
        await scripted.tell(watch, "a")
        await asyncio.sleep(0.02)
        assert subscription.state == Pending()
        await scripted.tell(watch, user("b", "Bob"))
        first = await subscription.connected
        assert list(first.latest_snapshot) == ["b", "a"]
        with pytest.raises(TypeError):
            cast("Any", first.latest_snapshot)["a"] = None
        await scripted.tell(watch, user("a", "Ann"), user("b", "Bea"))
        await until(lambda: len(seen) == 2)
        assert seen == [{"a": None, "b": "Bob"}, {"a": "Ann", "b": "Bea"}], "shown together"
        assert [each and each.name for each in await refs.get()] == ["Bea", "Ann", "Bea"]
        assert refs.ids == ("b", "a", "b")
        subscription.unsubscribe()
        assert await subscription.terminated == Unsubscribed()
        await scripted.tell(watch, user("a", "Ada"))
        empty = session.users([]).subscribe()
        assert dict((await empty.connected).latest_snapshot) == {}
        assert await session.users([]).get() == []
        assert len(seen) == 2


@pytest.mark.behaviour(26)
async def test_many_end_with_the_error_of_one(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        single = session.user("a").subscribe()
        subscription = session.users(["a", "b"]).subscribe()
        operation = await scripted.expect_watch("a", "b")
        error = {"message": "No.", "path": ["usersChanged", 0], "extensions": {"code": "BAD_USER_INPUT"}}
        entries = [{"id": "b", "user": None}, {"id": "a", "user": None}]
        await scripted.say("next", id=operation["id"], payload={"data": {"usersChanged": entries}, "errors": [error]})
        with pytest.raises(BadUserInput):
            await subscription.connected
        assert isinstance(await subscription.terminated, Failed)
        assert await single.connected == Active(None)
    with pytest.raises(InvalidInput):
        Session("ws://127.0.0.1:1/graphql").users(["a", ""])


@pytest.mark.behaviour(27)
async def test_who_is_connected(scripted: ScriptedGateway) -> None:
    seen: list[UserOnline] = []
    async with session_with(scripted.url, backoff=SOON) as session:
        first, second = session.user("a").subscribe_online(seen.append), session.user("a").subscribe_online()
        for is_connected, name in ((False, "Ann"), (True, "Bea")):
            watch = await scripted.expect("subscribe", "userOnlineChanged")
            assert watch["payload"]["variables"] == {"id": "a"}
            told = {"isConnected": is_connected, "user": user("a", name)}
            await scripted.answer(watch, userOnlineChanged=told)
            await until(lambda expected=name: seen and seen[-1].user and seen[-1].user.name == expected)  # type: ignore[misc]
            scripted.cut()
        watch = await scripted.expect("subscribe", "userOnlineChanged")
        await scripted.answer(watch, userOnlineChanged={"isConnected": False, "user": None})
        await until(lambda: len(seen) == 3)
        assert [each.is_connected for each in seen] == [False, True, False]
        assert second.state == first.state == Active(UserOnline(None, is_connected=False))
        assert scripted.is_silent


@pytest.mark.behaviour(7, 27)
async def test_who_is_connected_takes_part_in_the_limits(scripted: ScriptedGateway) -> None:
    scripted.limits = {"subscriptions": 10}
    async with session_with(scripted.url) as session:
        subscriptions = [session.user(str(number)).subscribe_online() for number in range(25)]
        for _ in subscriptions:
            watch = await scripted.expect("subscribe", "userOnlineChanged")
            told = {"isConnected": False, "user": None}
            await scripted.tell_raw(watch, {"userOnlineChanged": told})
        await asyncio.gather(*(subscription.connected for subscription in subscriptions))
        assert scripted.sockets == 3
