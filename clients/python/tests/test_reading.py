"""Gets: how they travel, and what they may be answered from."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from clients.python.tests.helpers import SOON, new_id, operations, session_with
from clients.python.tests.scripted import ScriptedGateway, user
from tests.support.waiting import until

from userline_client import Disconnected, StoreUnavailable

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway


@pytest.mark.behaviour(4, 5, 6)
async def test_1500_gets_at_once_are_two_operations_and_repeated_none(gateway: RunningGateway) -> None:
    ids = [new_id() for _ in range(1500)]
    gateway.set_user(ids[7], name="Seven")
    async with session_with(gateway) as session:
        refs = [session.user(user_id) for user_id in ids]
        before = operations(gateway, "Users")
        first = await asyncio.gather(*(ref.get() for ref in refs))
        assert operations(gateway, "Users") - before == 2
        again = await asyncio.gather(*(ref.get() for ref in refs))
        assert operations(gateway, "Users") - before == 2
        assert all(old is new for old, new in zip(first, again, strict=True))
        assert first[7] is not None
        assert first[7].name == "Seven"


@pytest.mark.behaviour(4)
async def test_a_user_who_is_asked_for_twice_is_read_once(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        getting = [asyncio.create_task(session.user(user_id).get()) for user_id in ("a", "b", "a")]
        request = await scripted.expect("subscribe", "users")
        assert request["payload"]["variables"] == {"ids": ["a", "b"]}
        getting.append(asyncio.create_task(session.user("a").get()))
        getting[0].cancel()
        await asyncio.sleep(0.01)
        await scripted.answer(request, users=[user("a", "Ann"), None])
        answers = await asyncio.gather(*getting, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert [answer and answer.name for answer in answers[1:] if not isinstance(answer, BaseException)] == [
            None,
            "Ann",
            "Ann",
        ]
        assert scripted.is_silent


@pytest.mark.behaviour(5)
@pytest.mark.parametrize("letter", ["é", "🙂", '"', "\x01"], ids=["two bytes", "four bytes", "escaped", "control"])
async def test_long_ids_are_split_by_size(gateway: RunningGateway, letter: str) -> None:
    async with session_with(gateway) as session:
        refs = [session.user(f"{number:04}" + letter * 251) for number in range(1000)]
        before = operations(gateway, "Users")
        assert await asyncio.gather(*(ref.get() for ref in refs)) == [None] * 1000
        assert operations(gateway, "Users") - before > 5


@pytest.mark.behaviour(6)
async def test_a_watched_user_costs_no_request(gateway: RunningGateway) -> None:
    user_id = new_id()
    async with session_with(gateway) as session, session.user(user_id).subscribe() as subscription:
        before = operations(gateway, "Users")
        assert await session.user(user_id).get() is None
        assert subscription.state.type == "active", "the get waits for the first snapshot"
        gateway.set_user(user_id, name="Ann")
        await until(lambda: subscription.latest_snapshot is not None)
        assert await session.user(user_id).get() is subscription.latest_snapshot
        assert operations(gateway, "Users") == before


@pytest.mark.behaviour(6)
async def test_after_thirty_seconds_a_user_is_read_again(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("userline_client.cache.time", clock)
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        before = operations(gateway, "Users")
        for seconds, reads in ((0.0, 1), (29.9, 1), (30.1, 2)):
            clock.monotonic = lambda now=seconds: now
            await ref.get()
            assert operations(gateway, "Users") - before == reads


@pytest.mark.behaviour(7)
async def test_an_answer_that_was_overtaken_by_an_event_does_not_bring_back_the_past(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        ref = session.user("a")
        getting = asyncio.create_task(ref.get())
        read = await scripted.expect("subscribe", "users")
        async with ref.subscribe() as subscription:
            await scripted.tell(await scripted.expect_watch(), user("a", "New"))
            await subscription.connected
            await scripted.answer(read, users=[user("a", "Old")])
            assert await getting is subscription.latest_snapshot
        await scripted.expect("complete")
        assert await ref.get() is subscription.latest_snapshot
        assert scripted.is_silent


@pytest.mark.behaviour(8)
async def test_a_write_is_seen_by_the_next_get_without_a_request(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        assert await ref.get() is None
        before = operations(gateway, "Users")
        for name in ("Ann", "Bob"):
            written = await ref.set(name=name)
            assert await ref.get() is written.user
        assert operations(gateway, "Users") == before


@pytest.mark.behaviour(8)
async def test_a_get_after_writes_does_not_join_a_read_from_before_them(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        ref = session.user("a")
        early = asyncio.create_task(ref.get())
        early_read = await scripted.expect("subscribe", "users")
        writing = [asyncio.create_task(ref.set(name=name)) for name in ("1", "2")]
        writes = [await scripted.expect("subscribe", "setUser") for _ in writing]
        for name, write in zip("12", writes, strict=True):
            await scripted.answer(write, setUser={"user": user("a", name), "created": False, "changed": True})
        await asyncio.gather(*writing)
        late = asyncio.create_task(ref.get())
        late_read = await scripted.expect("subscribe", "users")
        await scripted.answer(early_read, users=[user("a", "0")])
        await scripted.answer(late_read, users=[user("a", "2")])
        assert (await late) is not None
        answers = [answer and answer.name for answer in await asyncio.gather(early, late, ref.get())]
        assert answers == ["0", "2", "2"]


@pytest.mark.behaviour(8)
async def test_a_get_after_a_write_is_not_answered_by_an_event_from_before_it(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session, session.user("a").subscribe() as subscription:
        ref = session.user("a")
        watch = await scripted.expect_watch()
        await scripted.tell(watch, user("a", "0"))
        await subscription.connected
        writing = asyncio.create_task(ref.set(name="2"))
        write = await scripted.expect("subscribe", "setUser")
        await scripted.answer(write, setUser={"user": user("a", "2"), "created": False, "changed": True})
        await writing
        await scripted.tell(watch, user("a", "1"))  # was on its way
        await until(lambda: _name(subscription.latest_snapshot) == "1")
        getting = asyncio.create_task(ref.get())
        await scripted.answer(await scripted.expect("subscribe", "users"), users=[user("a", "2")])
        assert _name(await getting) == "2"
        await scripted.tell(watch, user("a", "2"))
        await until(lambda: _name(subscription.latest_snapshot) == "2")
        assert _name(await ref.get()) == "2"
        assert scripted.is_silent


@pytest.mark.behaviour(8)
async def test_writes_of_many_at_once_are_each_seen_by_their_next_get(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        watched, unwatched = session.user(new_id()), session.user(new_id())
        await asyncio.gather(watched.set(name="W"), unwatched.set(name="U"))

        async def write(key: str) -> None:
            for number in range(40):
                for ref in (watched, unwatched):
                    await ref.set(custom={key: str(number)})
                    seen = await ref.get()
                    assert seen is not None
                    assert int(seen.custom[key]) == number, "a get went back behind an own write"

        async with watched.subscribe() as subscription:
            await subscription.connected
            await asyncio.gather(*(write(f"key {number}") for number in range(5)))


@pytest.mark.behaviour(8)
async def test_a_write_that_may_have_been_done_is_not_guessed_at(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        ref = session.user("a")
        getting = asyncio.create_task(ref.get())
        await scripted.answer(await scripted.expect("subscribe", "users"), users=[user("a", "0")])
        await getting
        writing = asyncio.create_task(ref.set(name="1"))
        await scripted.refuse(await scripted.expect("subscribe", "setUser"), "STORE_UNAVAILABLE")
        with pytest.raises(StoreUnavailable):
            await writing
        getting = asyncio.create_task(ref.get())
        await scripted.answer(await scripted.expect("subscribe", "users"), users=[user("a", "1")])
        assert _name(await getting) == "1"


@pytest.mark.behaviour(9)
async def test_what_was_read_is_forgotten_with_the_connection(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        getting = asyncio.create_task(session.user("a").get())
        await scripted.answer(await scripted.expect("subscribe", "users"), users=[user("a", "Ann")])
        await getting
        watching = session.user("b").subscribe()
        await scripted.tell(await scripted.expect_watch(), user("b", "Bob"))
        await watching.connected
        scripted.cut()
        await scripted.tell(await scripted.expect_watch(), user("b", "Bob"))
        getting = asyncio.create_task(session.user("a").get())
        await scripted.answer(await scripted.expect("subscribe", "users"), users=[user("a", "Bea")])
        assert _name(await getting) == "Bea"


@pytest.mark.behaviour(9)
async def test_a_watched_user_is_answered_from_the_first_event_after_a_lost_connection(
    scripted: ScriptedGateway,
) -> None:
    async with session_with(scripted.url, backoff=SOON) as session, session.user("a").subscribe() as subscription:
        await scripted.tell(await scripted.expect_watch(), user("a", "Before"))
        await subscription.connected
        scripted.cut()
        again = await scripted.expect_watch()
        getting = asyncio.create_task(session.user("a").get())
        await scripted.tell(again, user("a", "After"))
        assert _name(await getting) == "After"
        assert scripted.is_silent


@pytest.mark.behaviour(9)
async def test_a_get_of_a_watched_user_runs_out_of_time_too() -> None:
    async with session_with("ws://127.0.0.1:1/graphql", timeout=0.1) as session, session.user("a").subscribe():
        with pytest.raises(Disconnected):
            await session.user("a").get()


def _name(snapshot: object) -> str | None:
    return getattr(snapshot, "name", None)
