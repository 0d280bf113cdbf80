"""Gateways whose Redis dies and has a successor: a master that Sentinels choose, or another node of a cluster."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.redis_kinds import ALL, Cluster, Sentinels
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 15.0
"""Less than the 30 after which a watched user is read again in any case."""


@pytest.mark.parametrize("kind", ["sentinels", "cluster"] if ALL else ["sentinels"])
async def test_watchers_see_what_was_written_meanwhile(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    made = Sentinels(tmp_path_factory.mktemp, replicas=1) if kind == "sentinels" else Cluster(tmp_path_factory.mktemp)
    gateways: list[RunningGateway] = []
    try:
        gateways += [await asyncio.to_thread(RunningGateway, tmp_path, "--bus-url", made.url) for _ in range(2)]
        users = [f"user {number}" for number in range(20)]
        for user_id in users:
            await asyncio.to_thread(gateways[0].set_user, user_id, name="before")
        watchers = [await Watching.start(gateway.websocket_url, users) for gateway in gateways]
        await until(lambda: all(watcher.last(user_id) for watcher in watchers for user_id in users))
        (made.redis if isinstance(made, Sentinels) else made.nodes)[0].kill()
        died = time.monotonic()
        for number, user_id in enumerate(users):
            gateway = gateways[number % 2]
            await asyncio.to_thread(gateway.set_user, user_id, name=f"while it is away {number}")
        names = [f"while it is away {number}" for number in range(20)]
        await until(lambda: all([w.last(u) for u in users] == names for w in watchers), SECONDS)
        assert time.monotonic() - died < SECONDS
        for gateway in gateways:
            await until(lambda of=gateway: of.http.get("/readyz?strict=1").status_code == 200, SECONDS)  # type: ignore[misc]
            assert gateway.metric("userline_bus_gaps_total") == 1
        for number, user_id in enumerate(users):
            await asyncio.to_thread(gateways[number % 2].set_user, user_id, name="after")
        await until(lambda: all(w.last(u) == "after" for w in watchers for u in users), 3)
        for watcher in watchers:
            assert not watcher.closed
            await watcher.stop()
        for gateway in gateways:
            assert await asyncio.to_thread(gateway.stop) == 0, gateway.log
            assert "Traceback" not in gateway.log
    finally:
        for gateway in gateways:
            gateway.kill()
        made.remove()
