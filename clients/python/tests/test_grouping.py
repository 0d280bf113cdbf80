"""Watches travel together, over as few operations and sockets as it takes, and leave nothing behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from clients.python.tests.helpers import SOON, session_with
from clients.python.tests.scripted import ScriptedGateway, user
from tests.support.waiting import until

from userline_client import Active, BadUserInput, Failed, TooManyWatches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clients.python.tests.clocks import ScriptedClock

    from userline_client import Session, UserSubscription

Message = dict[str, Any]


def numbered(count: int, start: int = 0) -> list[str]:
    return [f"user-{number}" for number in range(start, start + count)]


def watch(session: Session, ids: list[str]) -> list[UserSubscription]:
    return [session.user(user_id).subscribe() for user_id in ids]


async def all_active(subscriptions: list[UserSubscription]) -> None:
    await asyncio.gather(*(subscription.connected for subscription in subscriptions))


def ids_of(message: Message) -> list[str]:
    ids: list[str] = message["payload"]["variables"]["ids"]
    return ids


async def serve(scripted: ScriptedGateway, subscriptions: Iterable[UserSubscription]) -> list[Message]:
    """Answer every watch until none of these is pending and the client is silent, and return what it has said."""
    said = []
    while any(each.is_pending for each in subscriptions) or not scripted.is_silent:
        try:
            async with asyncio.timeout(0.02):
                message = await scripted.expect_any()
        except TimeoutError:
            continue
        said.append(message)
        if message["type"] == "subscribe":
            await scripted.tell(message)
    return said


def sizes(messages: list[Message]) -> list[int]:
    """The numbers of users of the operations that were begun; -1 for each that was ended."""
    return [len(ids_of(each)) if each["type"] == "subscribe" else -1 for each in messages]


@pytest.mark.behaviour(6)
async def test_what_begins_in_one_turn_is_one_operation(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        subscriptions = watch(session, ["a", "b", "a"])
        getting = [asyncio.create_task(session.user(user_id).get()) for user_id in ("b", "c", "c")]
        operation = await scripted.expect_watch("a", "b", "c")
        await scripted.tell(operation, user("a", "A"), "b", user("c", "C"))
        await all_active(subscriptions)
        assert [each and each.name for each in await asyncio.gather(*getting)] == [None, "C", "C"]
        assert scripted.is_silent


@pytest.mark.behaviour(6, 7)
@pytest.mark.parametrize(
    ("count", "limits", "expected"),
    [
        (1000, None, [1000]),
        (1001, None, [1000, 1]),
        (2500, {"messageBytes": 1_048_576}, [1000, 1000, 500]),
        (1000, {"messageBytes": 8_000}, 600),
        (3, {"messageBytes": "many", "subscriptions": -1, "watchedUsers": 0}, [3]),
    ],
)
async def test_an_operation_has_at_most_a_thousand_ids_and_fits_into_a_message(
    scripted: ScriptedGateway, count: int, limits: Any, expected: list[int] | int
) -> None:
    scripted.limits = limits
    async with session_with(scripted.url) as session:
        subscriptions = watch(session, numbered(count))
        said = await serve(scripted, subscriptions)
        await all_active(subscriptions)
    if isinstance(expected, int):
        assert max(sizes(said)) <= expected
        assert len(said) < 4
        assert all(len(str(each)) < limits["messageBytes"] for each in said)
    else:
        assert sizes(said) == expected
    assert [user_id for each in said for user_id in ids_of(each)] == numbered(count)


@pytest.mark.behaviour(6)
@pytest.mark.parametrize("letter", ["é", "🙂", '"', "\x01"], ids=["two bytes", "four bytes", "escaped", "control"])
@pytest.mark.parametrize("message_bytes", [65_536, 1_048_576])
async def test_long_ids_are_split_by_size(scripted: ScriptedGateway, letter: str, message_bytes: int) -> None:
    scripted.limits = {"messageBytes": message_bytes}
    scripted.most_bytes = message_bytes
    async with session_with(scripted.url) as session:
        subscriptions = watch(session, [f"{number:04}" + letter * 251 for number in range(1000)])
        said = await serve(scripted, subscriptions)
        await all_active(subscriptions)
    assert len(said) > 5 or message_bytes > 65_536
    assert sum(sizes(said)) == 1000


@pytest.mark.behaviour(7)
async def test_what_does_not_fit_goes_over_another_socket(scripted: ScriptedGateway) -> None:
    scripted.limits = {"watchedUsers": 1_500}
    async with session_with(scripted.url, idle_seconds=0.05) as session:
        subscriptions = watch(session, numbered(4000))
        said = await serve(scripted, subscriptions)
        await all_active(subscriptions)
        assert scripted.sockets == 3
        assert max(scripted.watched_over_sockets(said)) <= 1500
        assert len(said) == 5
        for subscription in subscriptions[1500:]:
            subscription.unsubscribe()
        assert len(session._core._watches.carriers._carriers) == 3


@pytest.mark.behaviour(7)
async def test_a_socket_has_no_more_subscriptions_than_it_may(scripted: ScriptedGateway) -> None:
    scripted.limits = {"subscriptions": 2, "watchedUsers": 100_000}
    async with session_with(scripted.url) as session:
        subscriptions = watch(session, numbered(4500))
        said = await serve(scripted, subscriptions)
        await all_active(subscriptions)
        assert scripted.sockets == 3
        assert sizes(said) == [1000, 1000, 1000, 1000, 500]


@pytest.mark.behaviour(7)
async def test_limits_that_shrink_while_away_send_the_surplus_elsewhere(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        subscriptions = watch(session, numbered(1200))
        await serve(scripted, subscriptions)
        await all_active(subscriptions)
        assert scripted.sockets == 1
        scripted.limits = {"watchedUsers": 1000}
        scripted.cut()
        await until(lambda: not session._core.connection.is_open)
        subscriptions.append(session.user("user-0").subscribe())
        subscriptions.append(session.user("user-1199").subscribe())
        said = await serve(scripted, subscriptions)
        assert sorted(sizes(said)) == [200, 1000]
        assert scripted.sockets == 3


@pytest.mark.behaviour(7)
async def test_more_than_the_sockets_of_a_session_carry_is_refused_at_once(scripted: ScriptedGateway) -> None:
    scripted.limits = {"watchedUsers": 10}
    async with session_with(scripted.url) as session:
        first = watch(session, numbered(1))
        await serve(scripted, first)
        subscriptions = watch(session, numbered(330, start=1))
        said = await serve(scripted, subscriptions)
        assert sum(sizes(said)) == 319
        assert scripted.sockets == 32
        ended = [each for each in subscriptions if isinstance(each.state, Failed)]
        assert len(ended) == 11
        assert all(isinstance(each.state, Failed) and isinstance(each.state.error, TooManyWatches) for each in ended)
        assert isinstance(first[0].state, Active)
        with pytest.raises(TooManyWatches):
            await session.user("another").get()


@pytest.mark.behaviour(8)
async def test_an_unwanted_watch_is_kept_up_to_date_and_wanted_again_without_a_request(
    scripted: ScriptedGateway, clock: ScriptedClock
) -> None:
    async with session_with(scripted.url) as session:
        subscriptions = watch(session, ["a", "b", "c"])
        operation = await scripted.expect_watch("a", "b", "c")
        await scripted.tell(operation)
        await all_active(subscriptions)
        subscriptions[0].unsubscribe()
        await clock.pass_time_slowly(31)
        await scripted.tell(operation, user("a", "Ann"))
        await until(lambda: session._core._watches._by_key["a"].snapshot is not None)
        again = session.user("a").subscribe()
        assert (await again.connected).latest_snapshot is not None
        assert await session.user("a").get() is again.latest_snapshot
        assert scripted.is_silent


@pytest.mark.behaviour(8)
async def test_an_operation_that_nobody_wants_is_ended(scripted: ScriptedGateway, clock: ScriptedClock) -> None:
    async with session_with(scripted.url) as session:
        subscriptions = watch(session, numbered(1000))
        operation = await scripted.expect_watch()
        await scripted.tell(operation)
        await all_active(subscriptions)
        for subscription in subscriptions:
            subscription.unsubscribe()
        await clock.pass_time_slowly(29)
        assert scripted.is_silent, "it lingers"
        await clock.pass_time_slowly(2)
        assert (await scripted.expect("complete"))["id"] == operation["id"]
        await asyncio.sleep(0.01)
        assert scripted.is_silent
        watches = session._core._watches
        assert (len(watches._by_key), len(watches._lingering), len(watches._watch_of)) == (0, 0, 0)


@pytest.mark.behaviour(8, 10)
async def test_with_fewer_than_half_wanted_those_are_watched_by_a_new_operation(
    scripted: ScriptedGateway, clock: ScriptedClock
) -> None:
    async with session_with(scripted.url) as session:
        subscriptions = watch(session, numbered(10))
        old = await scripted.expect_watch()
        await scripted.tell(old)
        await all_active(subscriptions)
        for subscription in subscriptions[5:]:
            subscription.unsubscribe()
        await clock.pass_time_slowly(31)
        assert scripted.is_silent, "half of them are wanted"
        subscriptions[4].unsubscribe()
        await clock.pass_time_slowly(31)
        assert (await scripted.expect("complete"))["id"] == old["id"]
        new = await scripted.expect_watch(*numbered(4))
        getting = asyncio.create_task(session.user("user-0").get())
        await scripted.tell(old, user("user-0", "from the old one"))
        await asyncio.sleep(0.02)
        assert all(subscription.state == Active(None) for subscription in subscriptions[:4])
        assert not getting.done()
        await scripted.tell(new, user("user-0", "Now"), *numbered(3, start=1))
        shown = await getting
        assert shown is not None
        assert shown.name == "Now"
        assert subscriptions[0].latest_snapshot is shown


@pytest.mark.behaviour(8)
async def test_a_list_that_scrolls_neither_leaks_nor_asks_for_everybody_again(
    scripted: ScriptedGateway, clock: ScriptedClock
) -> None:
    """1,000 rows; a row leaves and another one comes twice a second, for ten minutes."""
    async with session_with(scripted.url) as session:
        rows = watch(session, numbered(1000))
        said = await serve(scripted, rows)
        asked = watched = most = 0
        running: dict[str, int] = {said[0]["id"]: 1000}
        for number in range(1200):
            rows.pop(0).unsubscribe()
            rows += watch(session, numbered(1, start=1000 + number))
            clock.pass_time(0.5)
            while not isinstance(rows[-1].state, Active):
                message = await scripted.expect_any()
                if message["type"] == "subscribe":
                    running[message["id"]] = len(ids_of(message))
                    asked += len(ids_of(message))
                    await scripted.tell(message)
                    await asyncio.sleep(0)
                else:
                    del running[message["id"]]
                await _told(scripted)
            watched = sum(running.values())
            most = max(most, watched)
        assert len(rows) == 1000
        assert most <= 2 * (1000 + 60) + 60, "users are watched whom nobody wants"
        assert asked < 20_000, "everybody is asked for again and again"
        assert len(running) <= 70
        assert len(session._core._watches._by_key) <= most


async def _told(scripted: ScriptedGateway) -> None:
    """Let what was told arrive."""
    for _ in range(20):
        if not scripted.is_silent:
            return
        await asyncio.sleep(0)
    await asyncio.sleep(0.001)


@pytest.mark.behaviour(9)
async def test_many_small_operations_are_put_together(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        subscriptions = []
        running: dict[str, list[str]] = {}
        for number in range(300):
            subscriptions += watch(session, numbered(1, start=number))
            while not isinstance(subscriptions[-1].state, Active):
                message = await scripted.expect_any()
                if message["type"] == "subscribe":
                    running[message["id"]] = ids_of(message)
                    await scripted.tell(message)
                    await _told(scripted)
                else:
                    del running[message["id"]]
            assert len(running) <= 65
        assert sorted(user_id for ids in running.values() for user_id in ids) == sorted(numbered(300))
        assert all(subscription.state == Active(None) for subscription in subscriptions)


@pytest.mark.behaviour(9)
async def test_a_full_socket_is_cleared_of_the_unwanted_before_another_one_is_opened(
    scripted: ScriptedGateway, clock: ScriptedClock
) -> None:
    scripted.limits = {"watchedUsers": 100}
    async with session_with(scripted.url) as session:
        subscriptions = watch(session, numbered(100))
        await serve(scripted, subscriptions)
        for subscription in subscriptions[60:]:
            subscription.unsubscribe()
        await clock.pass_time_slowly(31)
        assert scripted.is_silent
        subscriptions = subscriptions[:60] + watch(session, numbered(40, start=200))
        said = await serve(scripted, subscriptions)
        await all_active(subscriptions)
        assert sizes(said) == [-1, 100]
        assert scripted.sockets == 1


@pytest.mark.behaviour(11)
async def test_the_first_events_may_tell_of_the_users_one_after_the_other(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        subscriptions = watch(session, ["a", "b"])
        operation = await scripted.expect_watch("a", "b")
        await scripted.tell(operation, user("b", "B"), user("somebody else", "X"))
        await subscriptions[1].connected
        assert subscriptions[0].state.type == "pending"
        await scripted.tell(operation, user("a", "A"))
        await subscriptions[0].connected


@pytest.mark.behaviour(11, 31)
async def test_an_entry_with_an_error_ends_that_user_alone(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        subscriptions = watch(session, ["a", "b", "c"])
        operation = await scripted.expect_watch("a", "b", "c")
        errors = [
            {"message": "No.", "path": ["usersChanged", 0, "user"], "extensions": {"code": "BAD_USER_INPUT"}},
            {"message": "Later.", "path": ["usersChanged", 1, "user"], "extensions": {"code": "STORE_UNAVAILABLE"}},
        ]
        entries = [{"id": user_id, "user": None} for user_id in "abc"]
        payload = {"data": {"usersChanged": entries}, "errors": errors}
        await scripted.say("next", id=operation["id"], payload=payload)
        ended = await subscriptions[0].terminated
        assert isinstance(ended, Failed)
        assert isinstance(ended.error, BadUserInput)
        assert await subscriptions[2].connected == Active(None)
        said = await serve(scripted, subscriptions)
        assert "b" in ids_of(said[-1])
        assert await subscriptions[1].connected == Active(None), "it was put off, not ended"
