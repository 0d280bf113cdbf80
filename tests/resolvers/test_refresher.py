"""The refresher: what is watched is read again, after a gap at once, otherwise in its turn."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.support.stores import MemoryStore
from tests.support.waiting import until
from userline.changes.hub import Hub
from userline.resolvers.refresher import Refresher
from userline.users.errors import StoreUnavailable
from userline.users.patch import UserPatch

if TYPE_CHECKING:
    import pytest

    from userline.changes.watcher import Watcher


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


async def test_every_watched_user_is_read_again_within_the_period() -> None:
    store, hub = MemoryStore(), Hub()
    refresher = Refresher(store, hub, period=0.5)
    with ExitStack() as stack:
        watchers = await watch(hub, store, stack, [f"user {number}" for number in range(100)])
        await store.patch("user 42", UserPatch(name="Written by a gateway that died before it told"))
        refresher.start()
        changed = await asyncio.wait_for(watchers[42].next(), 5)
        assert changed is not None
        assert max(len(read) for read in store.reads) < 50, "spread over the period"
    await refresher.stop()


async def test_a_store_that_is_away_does_not_end_the_rereads(caplog: pytest.LogCaptureFixture) -> None:
    store, hub = MemoryStore(), Hub()
    refresher = Refresher(store, hub, period=0.1)
    with ExitStack() as stack:
        (watcher,) = await watch(hub, store, stack, ["alice"])
        store.failure = StoreUnavailable()
        refresher.start()
        await until(lambda: caplog.records)
        store.failure = None
        await store.patch("alice", UserPatch(name="Alice"))
        assert await asyncio.wait_for(watcher.next(), 5) is not None
    await refresher.stop()
