"""The refresher: what is watched is read again, after a gap at once, otherwise in its turn."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.stores import MemoryStore
from tests.support.waiting import until
from userline.changes.hub import Hub
from userline.directory.refresher import Refresher
from userline.users.errors import StoreUnavailable
from userline.users.patch import UserPatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.changes.watcher import Watcher
    from userline.users.record import UserRecord


class SlowStore(MemoryStore):
    """A store whose reads take ``seconds``."""

    seconds = 0.0

    async def get_many(self, ids: Sequence[str]) -> list[UserRecord | None]:
        await asyncio.sleep(self.seconds)
        return await super().get_many(ids)


async def watch(hub: Hub, store: MemoryStore, stack: ExitStack, user_ids: list[str]) -> list[Watcher]:
    """Watch users as the resolvers do, up to the first event of each."""
    watchers = [stack.enter_context(hub.watching(user_id)) for user_id in user_ids]
    with hub.reading(user_ids) as reading:
        for user_id, record in zip(user_ids, await store.get_many(user_ids), strict=True):
            reading.confirm(user_id, record.snapshot if record else None)
    store.reads.clear()
    for watcher in watchers:
        await watcher.next()
    return watchers


async def test_after_a_gap_everything_watched_is_read_in_batches() -> None:
    store, hub = MemoryStore(), Hub()
    refresher = Refresher(store, hub)
    refresher.start()
    with ExitStack() as stack:
        watchers = await watch(hub, store, stack, [f"user {number}" for number in range(2500)])
        hub.lose_touch()
        refresher.unsettle()
        assert not refresher.settled
        await store.patch("user 7", UserPatch(name="Changed unheard"))
        hub.regain_touch()
        refresher.settle()
        changed = await asyncio.wait_for(watchers[7].next(), 5)
        assert changed is not None
        assert changed.name == "Changed unheard"
        await until(lambda: refresher.settled)
        assert [len(read) for read in store.reads] == [1000, 1000, 500]
    await refresher.stop()


async def test_a_gap_is_not_closed_while_the_store_is_away() -> None:
    store, hub = MemoryStore(), Hub()
    refresher = Refresher(store, hub)
    refresher.start()
    with ExitStack() as stack:
        await watch(hub, store, stack, ["alice"])
        store.failure = StoreUnavailable()
        hub.regain_touch()
        refresher.settle()
        await until(lambda: len(store.reads) >= 3)
        assert not refresher.settled
        store.failure = None
        await until(lambda: refresher.settled)
    await refresher.stop()


@pytest.mark.parametrize("users", [1, 7, 100, 2500])
async def test_every_watched_user_is_read_again_within_the_period(users: int) -> None:
    store, hub = MemoryStore(), Hub()
    refresher = Refresher(store, hub, period=1.0)
    with ExitStack() as stack:
        watchers = await watch(hub, store, stack, [f"user {number}" for number in range(users)])
        for user_id in hub.overdue(0, users):
            await store.patch(user_id, UserPatch(name="Written by a gateway that died before it told"))
        refresher.start()
        started = time.monotonic()
        for watcher in watchers:
            assert await asyncio.wait_for(watcher.next(), 5) is not None
        # They were read at once before, and are spread over the period now.
        assert time.monotonic() - started < 1.3
        assert max(len(read) for read in store.reads) <= max(1, users // 5)
    await refresher.stop()


async def test_reads_that_take_long_do_not_slow_the_rereads_down() -> None:
    store, hub = SlowStore(), Hub()
    refresher = Refresher(store, hub, period=1.0)
    with ExitStack() as stack:
        await watch(hub, store, stack, [f"user {number}" for number in range(50)])
        store.seconds = 0.05
        refresher.start()
        started = time.monotonic()
        await until(lambda: refresher.ids_read >= 50)
        assert time.monotonic() - started < 1.3
    await refresher.stop()


async def test_rereads_cost_no_more_than_one_read_of_each_user_a_period() -> None:
    store, hub = MemoryStore(), Hub()
    refresher = Refresher(store, hub, period=0.5)
    with ExitStack() as stack:
        await watch(hub, store, stack, [f"user {number}" for number in range(20)])
        refresher.start()
        started = time.monotonic()
        await until(lambda: refresher.ids_read >= 60)
        assert time.monotonic() - started > 3 * 0.5 / 1.1 - 0.1
    await refresher.stop()


async def test_a_store_that_is_away_does_not_end_the_rereads(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)  # the store tells of its outage; more is told to who looks for it
    store, hub = MemoryStore(), Hub()
    refresher = Refresher(store, hub, period=0.1)
    with ExitStack() as stack:
        (watcher,) = await watch(hub, store, stack, ["alice"])
        store.failure = StoreUnavailable()
        refresher.start()
        await until(lambda: [line for line in caplog.messages if "could not be read again" in line])
        store.failure = None
        await store.patch("alice", UserPatch(name="Alice"))
        assert await asyncio.wait_for(watcher.next(), 5) is not None
    await refresher.stop()
