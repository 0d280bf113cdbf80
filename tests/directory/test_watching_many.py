"""Watching many users by one watcher: what is read, what is told first, and what is not told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from userline.directory.allowance import Allowance
from userline.users.errors import BadUserInput, RateLimited, StoreUnavailable
from userline.users.patch import UserPatch
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.parts import Gateway
    from userline.users.record import UserSnapshot


async def rename(gateway: Gateway, user_id: str, name: str) -> None:
    await gateway.users.set(user_id, {"name": name}, viewer=OPEN_VIEWER)


async def names(snapshots: AsyncGenerator[UserSnapshot, None], number: int) -> list[str]:
    return [(await anext(snapshots)).name for _ in range(number)]


async def is_quiet(gateway: Gateway, snapshots: AsyncGenerator[UserSnapshot, None]) -> bool:
    """Whether the next thing heard is what is done next."""
    await rename(gateway, "sentinel", "heard")
    return await names(snapshots, 1) == ["heard"]


async def test_one_read_and_the_users_in_their_order(gateway: Gateway) -> None:
    for user_id in "abc":
        await gateway.store.patch(user_id, UserPatch(name=user_id.upper()))
    assert await gateway.users.get("c") is not None
    gateway.store.reads.clear()
    async with aclosing(gateway.users.watch_many(["b", "nobody", "c", "a", "b", "sentinel"])) as watched:
        assert await names(watched, 3) == ["B", "C", "A"]
        assert gateway.store.reads == [["b", "nobody", "a", "sentinel"]]
        assert await is_quiet(gateway, watched)
        await rename(gateway, "nobody", "created")
        await rename(gateway, "a", "AA")
        assert await names(watched, 2) == ["created", "AA"]
    assert gateway.hub.watcher_count == 0


async def test_a_change_during_the_first_read_is_told_once_and_as_it_is(gateway: Gateway) -> None:
    for user_id in "ab":
        await gateway.store.patch(user_id, UserPatch(name=user_id))
    gateway.store.gate.clear()
    async with aclosing(gateway.users.watch_many(["a", "b", "sentinel"])) as watched:
        first = asyncio.create_task(anext(watched))
        while not gateway.store.reads:
            await asyncio.sleep(0)
        renaming = asyncio.create_task(rename(gateway, "b", "new"))
        await asyncio.sleep(0)
        gateway.store.gate.set()
        await renaming
        assert (await first).name == "a"
        assert await names(watched, 1) == ["new"]
        assert await is_quiet(gateway, watched)


async def test_a_reader_that_is_stuck_costs_the_newest_snapshot_of_each(gateway: Gateway) -> None:
    await rename(gateway, "a", "a0")
    async with aclosing(gateway.users.watch_many(["a", "b"])) as watched:
        assert await names(watched, 1) == ["a0"]
        for number in range(1, 100):
            await rename(gateway, "a", f"a{number}")
            await rename(gateway, "b", f"b{number}")
        assert gateway.hub.coalesced == 196
        assert await names(watched, 2) == ["a99", "b99"]


@pytest.mark.parametrize("ids", [[str(number) for number in range(1001)], ["a", ""]])
async def test_ids_are_refused_as_those_of_users_are(gateway: Gateway, ids: list[str]) -> None:
    with pytest.raises(BadUserInput) as refused:
        await anext(gateway.users.watch_many(ids))
    with pytest.raises(BadUserInput) as expected:
        await gateway.users.get_many(ids)
    assert refused.value.problems == expected.value.problems
    assert gateway.hub.watcher_count == 0


async def test_a_store_that_is_away_ends_it_and_leaves_no_watcher(gateway: Gateway) -> None:
    gateway.store.failure = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        await anext(gateway.users.watch_many(["a", "b"]))
    assert gateway.hub.watcher_count == 0


async def test_an_allowance_is_shared_and_given_back(gateway: Gateway) -> None:
    allowance = Allowance(3)
    await rename(gateway, "a", "A")
    async with aclosing(gateway.users.watch_many(["a", "b", "a"], allowance)) as watched:
        assert await names(watched, 1) == ["A"]
        with pytest.raises(RateLimited, match="may watch 3 users"):
            await anext(gateway.users.watch_many(["a", "c"], allowance))
        assert gateway.hub.watcher_count == 2
    async with aclosing(gateway.users.watch_many(["a", "b", "c"], allowance)) as watched:
        assert await names(watched, 1) == ["A"]


async def test_a_user_who_has_vanished_is_not_told_and_told_again_when_it_is_back(gateway: Gateway) -> None:
    await rename(gateway, "a", "A")
    async with aclosing(gateway.users.watch_many(["a", "sentinel"])) as watched:
        assert await names(watched, 1) == ["A"]
        del gateway.store.users["a"]
        assert await gateway.users.batcher.load("a") is None
        assert await is_quiet(gateway, watched)
        await rename(gateway, "a", "A")
        assert await names(watched, 1) == ["A"]
