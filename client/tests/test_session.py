"""Every sentence about subscriptions and references, against a real gateway over a real socket."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from tests.support.waiting import until

from userline_client import (
    UNSET,
    Active,
    BadUserInput,
    Failed,
    Forbidden,
    InvalidInput,
    NameRequired,
    Pending,
    Session,
    SessionClosed,
    SubscriptionEnded,
    Unauthenticated,
    Unsubscribed,
    UserlineError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from userline_client import UserSnapshot


def new_id() -> str:
    return f"user-{uuid4()}"


def operations(gateway: RunningGateway, name: str) -> float:
    """How many operations of this name the gateway has counted."""
    found = re.findall(
        rf'^userline_requests_total{{.*operation="{name}".*}} (\S+)$', gateway.http.get("/metrics").text, re.MULTILINE
    )
    return sum(map(float, found))


@asynccontextmanager
async def session_with(gateway: RunningGateway, **options: object) -> AsyncIterator[Session]:
    """Open a session; nothing of it is left behind."""
    before = asyncio.all_tasks()
    async with Session(gateway.websocket_url, **options) as session:  # type: ignore[arg-type]
        yield session
    assert asyncio.all_tasks() - before == set()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path_factory.mktemp("guarded"), env={"USERLINE_SECRET": SECRET})
    yield running
    assert running.stop() == 0, running.log


async def test_states_from_pending_to_unsubscribed(gateway: RunningGateway) -> None:
    seen: list[UserSnapshot | None] = []
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        subscription = ref.subscribe(seen.append)
        states = [subscription.state]
        await subscription.connected
        states.append(subscription.state)
        assert states == [Pending(), Active(None)]
        await ref.set(name="Ann")
        await until(lambda: len(seen) == 2)
        assert seen[1] is subscription.latest_snapshot
        assert [snapshot and snapshot.name for snapshot in seen] == [None, "Ann"]
        subscription.unsubscribe()
        subscription.unsubscribe()
        await subscription.terminated
        states.append(subscription.state)
        assert states[-1] == Unsubscribed()
        await ref.set(name="Bob")
        assert len(seen) == 2


async def test_connected_rejects_if_it_ends_before(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        subscription = session.user(new_id()).subscribe()
        subscription.unsubscribe()
        with pytest.raises(SubscriptionEnded):
            await subscription.connected
        await subscription.terminated


def test_references_are_used_again() -> None:
    session = Session("ws://127.0.0.1:1/graphql")
    assert session.user("x") is session.user("x")
    assert session.user("x").id == "x"
    for bad in ("", "x" * 256, "a\0b", "\ud800"):
        with pytest.raises(InvalidInput):
            session.user(bad)


async def test_gets_made_together_travel_together_and_again_cost_nothing(gateway: RunningGateway) -> None:
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


async def test_long_ids_are_split_by_size(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        refs = [session.user(f"{number:04}" + "é" * 251) for number in range(1000)]
        assert await asyncio.gather(*(ref.get() for ref in refs)) == [None] * 1000


async def test_a_watched_user_costs_no_request_and_is_coherent(gateway: RunningGateway) -> None:
    user_id = new_id()
    async with session_with(gateway) as session, session.user(user_id).subscribe() as subscription:
        await subscription.connected
        gateway.set_user(user_id, name="Ann")
        await until(lambda: subscription.latest_snapshot is not None)
        before = operations(gateway, "Users")
        assert await session.user(user_id).get() is subscription.latest_snapshot
        assert operations(gateway, "Users") == before


async def test_a_write_is_seen_by_the_next_get(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        assert await ref.get() is None
        written = await ref.set(name="Ann", custom={"a.b": "1"})
        assert (written.created, written.changed) == (True, True)
        assert await ref.get() == written.user


async def test_left_out_none_and_a_value_differ(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        created = await ref.create_if_not_exists(
            name="Ann", locale="nl", custom={"a": "1", "b": "2"}, email="a@example.com"
        )
        assert created.created
        assert not (await ref.create_if_not_exists(name="Bob")).created
        user = (await ref.set(name=UNSET, locale=None, custom={"a": None, "c": "3"})).user
        assert (user.name, user.locale, dict(user.custom)) == ("Ann", None, {"b": "2", "c": "3"})
        assert not (await ref.set()).changed


async def test_errors_are_those_of_the_gateway(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        with pytest.raises(NameRequired):
            await session.user(new_id()).set(locale="nl")
        with pytest.raises(BadUserInput) as caught:
            await session.user(new_id()).set(name="", locale="?")
        assert {problem.field for problem in caught.value.problems} == {"name", "locale"}


async def test_equal_subscriptions_share_one_on_the_wire(gateway: RunningGateway) -> None:
    user_id = new_id()
    async with session_with(gateway) as session:
        before = gateway.metric("userline_watchers")
        first, second = (session.user(user_id).subscribe() for _ in range(2))
        await asyncio.gather(first.connected, second.connected)
        third = session.user(user_id).subscribe()
        await third.connected
        assert gateway.metric("userline_watchers") - before == 1
        first.unsubscribe()
        gateway.set_user(user_id, name="Ann")
        await until(lambda: second.latest_snapshot is not None and third.latest_snapshot is second.latest_snapshot)


async def test_iteration_ends_with_the_subscription(gateway: RunningGateway) -> None:
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


async def test_a_callback_that_raises_breaks_nothing(gateway: RunningGateway, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: UserSnapshot | None) -> None:
        raise RuntimeError("of the application")

    async with session_with(gateway) as session:
        subscription = session.user(new_id()).subscribe(fail)
        await subscription.connected
        assert isinstance(subscription.state, Active)
    assert "of the application" in caplog.text


async def test_closing_ends_everything(gateway: RunningGateway) -> None:
    session = Session(gateway.websocket_url)
    subscription = session.user(new_id()).subscribe()
    getting = asyncio.create_task(session.user(new_id()).get())
    await asyncio.sleep(0)
    await session.close()
    await subscription.terminated
    with pytest.raises(SessionClosed):
        await getting
    with pytest.raises(SessionClosed):
        await session.user("x").get()


async def test_an_idle_session_closes_its_socket_and_comes_back(gateway: RunningGateway) -> None:
    async with session_with(gateway, idle_seconds=0.2) as session:
        await session.user(new_id()).get()
        await until(lambda: gateway.metric("userline_sockets") == 0)
        assert await session.user(new_id()).get() is None


async def test_tokens_are_asked_for_and_renewed_in_time(guarded: RunningGateway) -> None:
    asked = 0

    async def next_token() -> str:
        nonlocal asked
        asked += 1
        return token_of("ann", exp=int(time.time()) + 4)

    async with session_with(guarded, on_need_token=next_token) as session:
        subscription = session.user("ann").subscribe()
        await subscription.connected
        assert session.current_user is session.user("ann")
        socket = guarded.metric("userline_sockets")
        await until(lambda: asked >= 3)
        assert guarded.metric("userline_sockets") == socket
        await session.user("ann").set(name=f"Ann {uuid4()}")
        with pytest.raises(Forbidden):
            await session.user("bob").set(name="Bob")


async def test_a_token_renewed_a_hundred_times(guarded: RunningGateway) -> None:
    async with session_with(guarded, token=token_of("cat")) as session:
        seen: list[UserSnapshot | None] = []
        subscription = session.user("cat").subscribe(seen.append)
        await subscription.connected
        for number in range(100):
            session.set_token(token_of("cat", n=number))
            await session.user("cat").set(name=str(number))
        await until(lambda: seen[-1] is not None and seen[-1].name == "99")
        assert guarded.metric("userline_sockets") == 1
        assert all(old != new for old, new in itertools.pairwise(seen))


async def test_a_token_that_is_refused_ends_it_all(guarded: RunningGateway) -> None:
    errors: list[UserlineError] = []
    async with session_with(guarded, token="nonsense", on_error=errors.append) as session:
        subscription = session.user("ann").subscribe()
        with pytest.raises(Unauthenticated):
            await session.user("ann").get()
        await subscription.terminated
        assert isinstance(subscription.state, Failed)
        assert isinstance(subscription.state.error, Unauthenticated)
        with pytest.raises(Unauthenticated):
            await subscription.connected
        assert len(errors) == 1
        session.set_token(token_of("ann"))
        await session.user("ann").get()


async def test_a_token_that_expires_and_has_no_successor(guarded: RunningGateway) -> None:
    async with session_with(
        guarded, token=token_of("ann", exp=int(time.time()) + 2), on_error=lambda _: None
    ) as session:
        subscription = session.user("ann").subscribe()
        await subscription.connected
        async with asyncio.timeout(20):
            await subscription.terminated
        assert isinstance(subscription.state, Failed)
