"""Connections cut again and again: nothing is missed, nothing is shown twice, nothing is left behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from typing import TYPE_CHECKING
from uuid import uuid4

from client.tests.proxy import proxy_to
from tests.support.gateway import RunningGateway
from tests.support.waiting import until

from userline_client import Active, Backoff, Session, Unsubscribed

if TYPE_CHECKING:
    from pathlib import Path

    from userline_client import UserSnapshot

DROPS = 500 if os.environ.get("USERLINE_TEST_LONG") == "1" else 60


async def test_connections_dropped_at_random(gateway: RunningGateway) -> None:
    chosen = random.Random(1)
    before = asyncio.all_tasks()
    ids = [f"chaos-{uuid4()}" for _ in range(5)]
    seen: dict[str, list[UserSnapshot | None]] = {user_id: [] for user_id in ids}
    port = int(gateway.url.rpartition(":")[2])
    async with proxy_to(port) as proxy:
        async with (
            Session(proxy.url, backoff=Backoff(base=0.001, ceiling=0.02)) as session,
            Session(gateway.websocket_url) as writer,
        ):
            subscriptions = [session.user(user_id).subscribe(seen[user_id].append) for user_id in ids]
            for number in range(DROPS):
                user_id = chosen.choice(ids)
                asking = asyncio.gather(
                    writer.user(user_id).set(name=str(number)), session.user(chosen.choice(ids)).get()
                )
                await asyncio.sleep(chosen.random() * 0.02)
                proxy.cut()
                await asking
            last = {user_id: await writer.user(user_id).get() for user_id in ids}
            for user_id, subscription in zip(ids, subscriptions, strict=True):
                await until(lambda s=subscription, u=user_id: s.latest_snapshot == last[u])  # type: ignore[misc]
                assert isinstance(subscription.state, Active)
            assert proxy.accepted > DROPS / 4
        for subscription in subscriptions:
            await subscription.terminated
            assert subscription.state == Unsubscribed()
    for snapshots in seen.values():
        assert all(old != new for old, new in itertools.pairwise(snapshots)), "an equal snapshot was shown again"
        numbers = [int(snapshot.name) for snapshot in snapshots if snapshot is not None]
        assert numbers == sorted(numbers), "an older snapshot was shown after a newer one"
    await until(lambda: asyncio.all_tasks() - before == set())


async def test_a_gateway_that_is_restarted(tmp_path: Path) -> None:
    first = RunningGateway(tmp_path)
    port = int(first.url.rpartition(":")[2])
    async with Session(first.websocket_url, backoff=Backoff(base=0.01, ceiling=0.1)) as session:
        seen: list[UserSnapshot | None] = []
        subscription = session.user("ann").subscribe(seen.append)
        await subscription.connected
        first.stop()
        await asyncio.sleep(0.2)
        assert isinstance(subscription.state, Active)
        getting = asyncio.create_task(session.user("bob").get())
        second = RunningGateway(tmp_path, "--port", str(port))
        assert await getting is None
        await until(lambda: second.metric("userline_watchers") == 1)
        second.set_user("ann", name="Ann")
        await until(lambda: len(seen) == 2)
        assert seen[0] is None
        assert seen[1] is not None
    second.stop()
