"""Connections cut again and again: nothing is missed, nothing is shown twice, nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from typing import TYPE_CHECKING

import pytest
from clients.conformance.proxy import Proxy, proxy_to
from clients.python.tests.helpers import SOON, new_id, session_with
from tests.support.gateway import RunningGateway
from tests.support.ports import free_port
from tests.support.waiting import until

from userline_client import Active, Unsubscribed

if TYPE_CHECKING:
    from pathlib import Path

    from userline_client import Session, UserSnapshot, UserSubscription

DROPS = 500


class Watching:
    """Watches users, and notes what it is shown of each."""

    def __init__(self, session: Session, ids: list[str]) -> None:
        self.seen: dict[str, list[UserSnapshot | None]] = {user_id: [] for user_id in ids}
        self.subscriptions: dict[str, UserSubscription] = {
            user_id: session.user(user_id).subscribe(seen.append) for user_id, seen in self.seen.items()
        }

    async def ends_with(self, writer: Session) -> None:
        """Wait until everything shows what is the case; what was shown before must have been in order."""
        for user_id, subscription in self.subscriptions.items():
            last = await writer.user(user_id).get()
            await until(lambda s=subscription, expected=last: s.latest_snapshot == expected)  # type: ignore[misc]
            assert isinstance(subscription.state, Active)
        for snapshots in self.seen.values():
            assert all(old != new for old, new in itertools.pairwise(snapshots)), "an equal snapshot was shown again"
            numbers = [int(snapshot.name) for snapshot in snapshots if snapshot is not None]
            assert numbers == sorted(numbers), "an older snapshot was shown after a newer one"


@pytest.mark.behaviour(25, 34, 35, 36, 39)
async def test_500_drops_at_random_points(gateway: RunningGateway) -> None:
    asyncio.get_running_loop().set_debug(True)
    asyncio.get_running_loop().slow_callback_duration = 60
    chosen = random.Random(1)
    ids = [new_id() for _ in range(5)]

    def budget() -> int | None:
        """Of every other connection, cut in the middle of the handshake, of a message or of a close."""
        return chosen.choice([None, chosen.randrange(1, 2000)])

    async def ask_on(session: Session, proxy: Proxy) -> None:
        own = session.user(new_id())
        for number in itertools.count():
            await asyncio.gather(session.user(chosen.choice(ids)).get(), session.user(new_id()).get())
            await own.set(name=str(number))
            assert (await own.get()) == (await own.set(name=str(number))).user
            if proxy.cuts >= DROPS:
                return

    async with (
        proxy_to(int(gateway.url.rpartition(":")[2]), budget) as proxy,
        session_with(gateway) as writer,
        session_with(proxy.url, backoff=SOON) as session,
    ):
        watching = Watching(session, ids)
        asking = asyncio.create_task(ask_on(session, proxy))
        number = 0
        while proxy.cuts < DROPS:
            number += 1
            await writer.user(chosen.choice(ids)).set(name=str(number))
            await asyncio.sleep(chosen.random() * 0.02)
            if chosen.random() < 0.7:
                proxy.cut()
        proxy.budget = lambda: None
        await asking
        await watching.ends_with(writer)
    for subscription in watching.subscriptions.values():
        assert await subscription.terminated == Unsubscribed()
    gc.collect()  # what was never awaited is an error now


@pytest.mark.behaviour(34, 35, 36)
async def test_a_gateway_that_is_restarted(tmp_path: Path) -> None:
    port = free_port()
    ids = [f"user-{number}" for number in range(3)]
    running = RunningGateway(tmp_path, "--port", str(port))
    try:
        async with session_with(running, backoff=SOON) as session, session_with(running, backoff=SOON) as writer:
            watching = Watching(session, ids)
            await asyncio.gather(*(subscription.connected for subscription in watching.subscriptions.values()))
            for number, end in enumerate(["stop", "kill"]):
                await asyncio.to_thread(getattr(running, end))
                assert all(isinstance(each.state, Active) for each in watching.subscriptions.values())
                asking = asyncio.gather(session.user("nobody").get(), writer.user(ids[number]).set(name=str(number)))
                await asyncio.sleep(0.1)
                assert not asking.done()
                running = await asyncio.to_thread(RunningGateway, tmp_path, "--port", str(port))
                await asking
                await watching.ends_with(writer)
            assert [len(seen) for seen in watching.seen.values()] == [2, 2, 1]
    finally:
        running.kill()
