"""The connection: when there is one, how it comes back, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import statistics
from typing import TYPE_CHECKING

import pytest
from clients.python.tests.helpers import new_id, session_with
from tests.support.waiting import until

from userline_client import (
    Backoff,
    InvalidInput,
    Session,
    SessionClosed,
    Unauthenticated,
    Unsubscribed,
    UserlineError,
)

if TYPE_CHECKING:
    from clients.conformance.gateway import Gateway
    from tests.support.gateway import RunningGateway


NOWHERE = "ws://127.0.0.1:1/graphql"


@pytest.mark.behaviour(33)
async def test_an_idle_socket_is_closed_at_the_gateway_too(gateway: RunningGateway) -> None:
    sockets = gateway.metric("userline_sockets")
    async with session_with(gateway, idle_seconds=0.05) as session:
        await session.user(new_id()).get()
        await until(lambda: gateway.metric("userline_sockets") == sockets)
        assert await session.user(new_id()).get() is None


@pytest.mark.behaviour(34)
@pytest.mark.parametrize(("failures", "most"), [(1, 0.5), (2, 1.0), (4, 4.0), (5, 8.0), (6, 10.0), (10_000, 10.0)])
def test_the_jitter_is_full(failures: int, most: float) -> None:
    pauses = [Backoff().seconds(failures) for _ in range(1000)]
    assert 0 <= min(pauses) < most / 10
    assert most * 0.9 < max(pauses) <= most
    assert most * 0.4 < statistics.mean(pauses) < most * 0.6


@pytest.mark.behaviour(39)
@pytest.mark.parametrize("turns", range(12))
async def test_closing_at_any_moment_leaves_nothing_behind(gateway: RunningGateway, turns: int) -> None:
    async with session_with(gateway) as session:
        subscription = session.user(new_id()).subscribe()
        getting = asyncio.create_task(session.user(new_id()).get())
        for _ in range(turns * 3):
            await asyncio.sleep(0.001)
    assert await subscription.terminated == Unsubscribed()
    outcome = (await asyncio.gather(getting, return_exceptions=True))[0]
    assert outcome is None or isinstance(outcome, SessionClosed)
    del subscription, getting, outcome
    gc.collect()


@pytest.mark.behaviour(7)
@pytest.mark.parametrize("junk", ["many", -1, 0, None, [], 1.5])
async def test_what_is_no_limit_is_as_if_it_were_missing(scripted: Gateway, junk: object) -> None:
    for limits in (junk, {"messageBytes": junk, "subscriptions": junk, "watchedUsers": junk}):
        scripted.limits = limits
        async with session_with(scripted.url) as session:
            await asyncio.gather(*(session.user(str(number)).subscribe().connected for number in range(3)))
    assert [len(ids) for ids in scripted.watched] == [3, 3]


@pytest.mark.parametrize("url", ["http://127.0.0.1/graphql", "127.0.0.1:8000", "", "ws://", "ws:///graphql"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidInput):
        Session(url)


async def test_an_error_handler_that_raises_breaks_nothing(scripted: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    def fail(error: UserlineError) -> None:
        raise RuntimeError(f"of the application: {error}")

    scripted.refuse_token = lambda _: (4403, "Forbidden: No.")
    async with session_with(scripted.url, token="x", on_error=fail) as session:
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                await session.user("a").get()
    assert "of the application: No." in caplog.text


@pytest.mark.behaviour(40)
async def test_a_shared_session_is_that_of_its_event_loop() -> None:
    def elsewhere() -> Session:
        async def ask() -> Session:
            session = Session.shared(NOWHERE)
            await session.close()
            return session

        return asyncio.run(ask())

    async with Session.shared(NOWHERE) as here:
        assert await asyncio.to_thread(elsewhere) is not here
        async with Session.shared(NOWHERE) as same:
            assert same is here
        here.user("a").subscribe()
    with pytest.raises(SessionClosed):
        here.user("a").subscribe()
