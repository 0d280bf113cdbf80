"""Gets: a watch that lingers, which answers those that come after, and own writes and deletions beside it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from clients.python.tests.helpers import SOON, new_id, session_with, subscribe_operations
from clients.python.tests.scripted import ScriptedGateway, user
from tests.support.gateway import RunningGateway
from tests.support.waiting import until

from userline_client import Disconnected, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from clients.python.tests.clocks import ScriptedClock

    from userline_client import UserSnapshot


def _name(snapshot: object) -> str | None:
    return getattr(snapshot, "name", None)


@pytest.mark.behaviour(4, 5, 6)
async def test_1500_gets_at_once_are_two_operations_and_repeated_none(gateway: RunningGateway) -> None:
    ids = [new_id() for _ in range(1500)]
    gateway.set_user(ids[7], name="Seven")
    async with session_with(gateway) as session:
        refs = [session.user(user_id) for user_id in ids]
        before = subscribe_operations(session)
        first = await asyncio.gather(*(ref.get() for ref in refs))
        assert subscribe_operations(session) - before == 2
        again = await asyncio.gather(*(ref.get() for ref in refs))
        assert subscribe_operations(session) - before == 2
        assert all(old is new for old, new in zip(first, again, strict=True))
        assert _name(first[7]) == "Seven"


@pytest.mark.behaviour(4)
async def test_who_gives_up_waiting_takes_nothing_from_the_others(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        getting = [asyncio.create_task(session.user(user_id).get()) for user_id in ("a", "b", "a")]
        watch = await scripted.expect_watch("a", "b")
        getting.append(asyncio.create_task(session.user("a").get()))
        getting[0].cancel()
        await asyncio.sleep(0.01)
        await scripted.tell(watch, user("a", "Ann"), "b")
        answers = await asyncio.gather(*getting, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert [_name(answer) for answer in answers[1:]] == [None, "Ann", "Ann"]
        assert scripted.is_silent


@pytest.mark.behaviour(4)
async def test_a_get_waits_for_the_first_snapshot_of_a_watch_and_joins_it(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        getting = asyncio.create_task(session.user("a").get())
        watch = await scripted.expect_watch("a")
        subscription = session.user("a").subscribe()
        await scripted.tell(watch, user("a", "Ann"))
        assert await getting is (await subscription.connected).latest_snapshot
        await scripted.tell(watch, user("a", "Bea"))
        await until(lambda: _name(subscription.latest_snapshot) == "Bea")
        assert await session.user("a").get() is subscription.latest_snapshot
        assert scripted.is_silent


@pytest.mark.behaviour(5)
@pytest.mark.parametrize("other_gateway", [False, True], ids=["the same gateway", "another gateway"])
async def test_a_get_shows_what_another_session_wrote_100_ms_ago_without_a_request(
    two_gateways: tuple[RunningGateway, RunningGateway], *, other_gateway: bool
) -> None:
    first, second = two_gateways
    user_id = new_id()
    async with session_with(first) as session, session_with(second if other_gateway else first) as writer:
        assert await session.user(user_id).get() is None
        before = subscribe_operations(session)
        for number in range(10):
            await writer.user(user_id).set(name=f"Name {number}")
            await asyncio.sleep(0.1)
            assert _name(await session.user(user_id).get()) == f"Name {number}"
        await writer.user(user_id).delete()
        await asyncio.sleep(0.1)
        assert await session.user(user_id).get() is None
        assert subscribe_operations(session) == before


@pytest.mark.behaviour(5)
async def test_it_lingers_for_30_seconds_after_the_last_use(scripted: ScriptedGateway, clock: ScriptedClock) -> None:
    async with session_with(scripted.url, idle_seconds=3600) as session:
        getting = asyncio.create_task(session.user("a").get())
        watch = await scripted.expect_watch("a")
        await scripted.tell(watch, user("a", "Ann"))
        assert _name(await getting) == "Ann"
        for _ in range(3):
            clock.pass_time(29)
            assert _name(await session.user("a").get()) == "Ann"
        clock.pass_time(29)
        subscription = session.user("a").subscribe()
        await subscription.connected
        clock.pass_time(3600)
        subscription.unsubscribe()
        await clock.pass_time_slowly(29)
        assert _name(await session.user("a").get()) == "Ann"
        assert scripted.is_silent
        await clock.pass_time_slowly(31)
        assert (await scripted.expect("complete"))["id"] == watch["id"]
        getting = asyncio.create_task(session.user("a").get())
        await scripted.tell(await scripted.expect_watch("a"), user("a", "Bea"))
        assert _name(await getting) == "Bea"


@pytest.mark.behaviour(5)
async def test_at_most_2000_linger_those_used_last(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        for start in range(0, 6000, 1000):
            getting = [asyncio.create_task(session.user(str(start + number)).get()) for number in range(1000)]
            while (message := await scripted.expect_any())["type"] == "complete":
                pass
            await scripted.tell(message)
            await asyncio.gather(*getting)
        watches = session._core._watches
        await until(lambda: len(watches._by_key) == 2000)
        assert len(watches._lingering) == 2000
        assert set(watches._by_key) == {str(number) for number in range(4000, 6000)}
        assert scripted.sockets == 1


@pytest.mark.behaviour(14)
async def test_a_write_is_seen_by_the_next_get_without_a_request(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        assert await ref.get() is None
        before = subscribe_operations(session)
        for name in ("Ann", "Bob"):
            written = await ref.set(name=name)
            assert await ref.get() is written.user
        assert subscribe_operations(session) - before == 2, "the writes themselves"


@pytest.mark.behaviour(14)
async def test_the_answer_to_a_write_is_shown_at_once_and_its_event_not_again(scripted: ScriptedGateway) -> None:
    seen: list[UserSnapshot | None] = []
    async with session_with(scripted.url) as session:
        ref = session.user("a")
        subscription = ref.subscribe(seen.append)
        watch = await scripted.expect_watch("a")
        await scripted.tell(watch, user("a", "0"))
        await subscription.connected
        writing = asyncio.create_task(ref.set(name="2"))
        write = await scripted.expect("subscribe", "setUser")
        on_its_way, written = user("a", "1"), user("a", "2")
        await scripted.answer(write, setUser={"user": written, "created": False, "changed": True})
        assert (await writing).user is subscription.latest_snapshot
        await scripted.tell(watch, on_its_way)
        await scripted.tell(watch, written)
        await scripted.tell(watch, user("a", "3"))
        await until(lambda: _name(seen[-1]) == "3")
        assert [_name(snapshot) for snapshot in seen] == ["0", "2", "3"]
        assert scripted.is_silent


@pytest.mark.behaviour(14)
async def test_a_watch_that_begins_after_a_write_does_not_show_what_was_before(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        ref = session.user("a")
        before = user("a", "Before")
        writing = asyncio.create_task(ref.set(name="After"))
        write = await scripted.expect("subscribe", "setUser")
        await scripted.answer(write, setUser={"user": user("a", "After"), "created": False, "changed": True})
        await writing
        subscription = ref.subscribe()
        await scripted.tell(await scripted.expect_watch("a"), before)
        assert _name((await subscription.connected).latest_snapshot) == "After"
        assert _name(await ref.get()) == "After"


@pytest.mark.behaviour(14)
async def test_answers_in_the_wrong_order_are_put_in_order(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        ref = session.user("a")
        subscription = ref.subscribe()
        await scripted.tell(await scripted.expect_watch("a"))
        await subscription.connected
        writing = [asyncio.create_task(ref.set(name=name)) for name in ("1", "2")]
        writes = [await scripted.expect("subscribe", "setUser") for _ in writing]
        users = [user("a", name) for name in ("1", "2")]
        for write, written in reversed(list(zip(writes, users, strict=True))):
            await scripted.answer(write, setUser={"user": written, "created": False, "changed": True})
        await asyncio.gather(*writing)
        assert _name(subscription.latest_snapshot) == "2"
        assert _name(await ref.get()) == "2"


@pytest.mark.behaviour(14)
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


@pytest.mark.behaviour(15)
async def test_nothing_after_an_unconfirmed_write_is_asked_about(scripted: ScriptedGateway) -> None:
    seen: list[UserSnapshot | None] = []
    async with session_with(scripted.url) as session:
        ref, other = session.user("a"), session.user("b").subscribe()
        subscription = ref.subscribe(seen.append)
        watch = await scripted.expect_watch("b", "a")
        await scripted.tell(watch, user("a", "0"), "b")
        await asyncio.gather(subscription.connected, other.connected)
        writing = asyncio.create_task(ref.set(name="1"))
        write = await scripted.expect("subscribe", "setUser")
        written = user("a", "1")
        await scripted.answer(write, setUser={"user": written, "created": False, "changed": True})
        await writing
        await scripted.tell(watch, "a")
        anew = await scripted.expect_watch("a")
        getting = asyncio.create_task(ref.get())
        await asyncio.sleep(0.01)
        assert not getting.done()
        await scripted.tell(watch, user("a", "from the old operation"))
        await scripted.tell(anew, written)
        assert _name(await getting) == "1"
        await scripted.tell(anew, "a")
        await until(lambda: len(seen) == 3)
        assert [_name(snapshot) for snapshot in seen] == ["0", "1", None]
        assert scripted.is_silent


@pytest.mark.behaviour(15)
async def test_nothing_that_comes_while_a_write_is_under_way_is_asked_about(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        ref = session.user("a")
        subscription = ref.subscribe()
        writing = asyncio.create_task(ref.set(name="1"))
        write, watch = await scripted.expect("subscribe"), await scripted.expect("subscribe")
        if "usersChanged" in write["payload"]["query"]:
            write, watch = watch, write
        await scripted.tell(watch)
        assert (await subscription.connected).latest_snapshot is None
        await scripted.answer(write, setUser={"user": user("a", "1"), "created": True, "changed": True})
        await writing
        assert _name(subscription.latest_snapshot) == "1"
        getting = asyncio.create_task(ref.get())
        assert (await scripted.expect("complete"))["id"] == watch["id"]
        await scripted.tell(await scripted.expect_watch("a"))
        assert await getting is None, "it has been deleted since"


@pytest.mark.behaviour(15)
async def test_a_write_that_may_have_been_done_is_told_by_events(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        ref = session.user("a")
        subscription = ref.subscribe()
        watch = await scripted.expect_watch("a")
        await scripted.tell(watch, user("a", "0"))
        await subscription.connected
        writing = asyncio.create_task(ref.set(name="1"))
        await scripted.refuse(await scripted.expect("subscribe", "setUser"), "STORE_UNAVAILABLE")
        with pytest.raises(StoreUnavailable):
            await writing
        await scripted.tell(watch, user("a", "1"))
        await until(lambda: _name(subscription.latest_snapshot) == "1")


@pytest.mark.behaviour(16)
async def test_a_deletion_is_seen_by_everybody(two_gateways: tuple[RunningGateway, RunningGateway]) -> None:
    first, second = two_gateways
    user_id = new_id()
    seen: list[UserSnapshot | None] = []
    async with session_with(first) as session, session_with(second) as other:
        ref = session.user(user_id)
        await ref.set(name="Ann")
        watching = other.user(user_id).subscribe(seen.append)
        own = ref.subscribe()
        await asyncio.gather(watching.connected, own.connected)
        assert await ref.delete()
        assert own.latest_snapshot is None
        assert await ref.get() is None
        await until(lambda: len(seen) == 2)
        assert not await ref.delete()
        await asyncio.sleep(0.1)
        again = await ref.set(name="Bea")
        assert again.created
        assert _name(own.latest_snapshot) == "Bea"
        await until(lambda: len(seen) == 3)
        assert [_name(snapshot) for snapshot in seen] == ["Ann", None, "Bea"]
        versions = [int(snapshot.version) for snapshot in seen if snapshot is not None]
        assert versions == sorted(set(versions))


@pytest.mark.behaviour(13, 16)
async def test_a_late_snapshot_of_a_deleted_user_stays_out(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        ref = session.user("a")
        subscription = ref.subscribe()
        alive = user("a", "Ann")
        watch = await scripted.expect_watch("a")
        await scripted.tell(watch, alive)
        await subscription.connected
        deleting = asyncio.create_task(ref.delete())
        await scripted.answer(await scripted.expect("subscribe", "deleteUser"), deleteUser={"deleted": True})
        assert await deleting
        assert subscription.latest_snapshot is None
        await scripted.tell(watch, alive)
        scripted.cut()
        watch = await scripted.expect_watch("a")
        await scripted.tell(watch, alive)
        assert await ref.get() is None
        await scripted.tell(watch, user("a", "Bea"))
        await until(lambda: _name(subscription.latest_snapshot) == "Bea")


@pytest.mark.behaviour(35)
async def test_what_only_lingers_is_let_go_with_the_connection(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        getting = asyncio.create_task(session.user("a").get())
        subscription = session.user("b").subscribe()
        await scripted.tell(await scripted.expect_watch("b", "a"), user("a", "Ann"), user("b", "Bob"))
        await asyncio.gather(getting, subscription.connected)
        scripted.cut()
        await scripted.tell(await scripted.expect_watch("b"), user("b", "Bob"))
        getting = asyncio.create_task(session.user("a").get())
        await scripted.tell(await scripted.expect_watch("a"), user("a", "Bea"))
        assert _name(await getting) == "Bea"


@pytest.mark.behaviour(4, 35)
async def test_a_get_waits_for_the_first_event_after_a_lost_connection(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=SOON) as session, session.user("a").subscribe() as subscription:
        await scripted.tell(await scripted.expect_watch(), user("a", "Before"))
        await subscription.connected
        scripted.cut()
        again = await scripted.expect_watch()
        getting = asyncio.create_task(session.user("a").get())
        await scripted.tell(again, user("a", "After"))
        assert _name(await getting) == "After"
        assert scripted.is_silent


@pytest.mark.behaviour(29)
async def test_a_get_of_a_watched_user_runs_out_of_time_too() -> None:
    async with session_with("ws://127.0.0.1:1/graphql", timeout=0.1) as session, session.user("a").subscribe():
        with pytest.raises(Disconnected):
            await session.user("a").get()


@pytest.mark.behaviour(41)
async def test_the_app_is_asked_for_once_for_each_connection(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        for default in ("en", "nl"):
            asking = [asyncio.create_task(session.app()) for _ in range(3)]
            roles = [
                {"name": "default", "settings": {}},
                {"name": "admin", "settings": {"canBan": True, "color": "red"}},
            ]
            app = {"id": "chat", "defaultLocale": default, "roles": roles}
            await scripted.answer(await scripted.expect("subscribe", "app"), app=app)
            first, *others = await asyncio.gather(*asking)
            assert all(other is first for other in others)
            assert await session.app() is first
            assert (first.id, first.default_locale, first.roles["admin"]["canBan"]) == ("chat", default, True)
            assert list(first.roles) == ["default", "admin"]
            assert scripted.is_silent
            scripted.cut()
            await until(lambda: not session._core.connection.is_open)


@pytest.mark.behaviour(3, 41)
async def test_the_app_of_a_real_gateway(tmp_path: Path) -> None:
    (tmp_path / "roles.json").write_text('{"default": {}, "admin": {"canBan": true}}')
    env = {"USERLINE_ROLES": str(tmp_path / "roles.json"), "USERLINE_DEFAULT_LOCALE": "nl", "USERLINE_APP_ID": "chat"}
    running = RunningGateway(tmp_path, env=env)
    try:
        async with session_with(running) as session:
            app = await session.app()
            assert (app.id, app.default_locale) == ("chat", "nl")
            assert app.roles["admin"]["canBan"] is True
            user = (await session.user("a").set(name="A", role="admin")).user
            assert (user.locale, user.effective_locale) == (None, "nl")
            user = (await session.user("a").set(locale="fr")).user
            assert (user.locale, user.effective_locale) == ("fr", "fr")
            assert user.version.isdecimal()
    finally:
        running.stop()
