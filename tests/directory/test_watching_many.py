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
    from userline.changes.watcher import Changes


async def rename(gateway: Gateway, user_id: str, name: str) -> None:
    await gateway.users.set(user_id, {"name": name}, viewer=OPEN_VIEWER)


def names(changes: Changes) -> dict[str, str | None]:
    return {user_id: None if user is None else user.name for user_id, user in changes.items()}


async def is_quiet(gateway: Gateway, watched: AsyncGenerator[Changes, None]) -> bool:
    """Whether the next thing heard is what is done next."""
    await rename(gateway, "sentinel", f"heard {gateway.hub.deliveries}")
    return list(await anext(watched)) == ["sentinel"]


async def test_one_read_and_the_users_in_their_order(gateway: Gateway) -> None:
    for user_id in "abc":
        await gateway.store.patch(user_id, UserPatch(name=user_id.upper()))
    assert await gateway.users.get("c") is not None
    gateway.store.reads.clear()
    async with aclosing(gateway.users.watch_many(["b", "nobody", "c", "a", "b", "sentinel"])) as watched:
        first = await anext(watched)
        assert list(names(first).items()) == [("b", "B"), ("nobody", None), ("c", "C"), ("a", "A"), ("sentinel", None)]
        assert gateway.store.reads == [["b", "nobody", "a", "sentinel"]]
        assert await is_quiet(gateway, watched)
        await rename(gateway, "nobody", "created")
        await rename(gateway, "a", "AA")
        assert names(await anext(watched)) == {"nobody": "created", "a": "AA"}
    assert gateway.hub.watcher_count == 0


async def test_nobody_at_all_is_told_at_once(gateway: Gateway) -> None:
    async with aclosing(gateway.users.watch_many([])) as watched:
        assert names(await anext(watched)) == {}


async def test_what_is_written_together_is_told_together(gateway: Gateway) -> None:
    ids = [f"u{number}" for number in range(100)]
    async with aclosing(gateway.users.watch_many(ids)) as watched:
        assert set(names(await anext(watched)).values()) == {None}
        await gateway.users.set_many({user_id: {"name": user_id} for user_id in ids})
        assert names(await anext(watched)) == {user_id: user_id for user_id in ids}


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
        assert names(await first) == {"a": "a", "b": "new", "sentinel": None}
        assert await is_quiet(gateway, watched)


async def test_a_reader_that_is_stuck_costs_the_newest_snapshot_of_each(gateway: Gateway) -> None:
    await rename(gateway, "a", "a0")
    async with aclosing(gateway.users.watch_many(["a", "b"])) as watched:
        assert names(await anext(watched)) == {"a": "a0", "b": None}
        for number in range(1, 100):
            await rename(gateway, "a", f"a{number}")
            await rename(gateway, "b", f"b{number}")
        assert gateway.hub.coalesced == 196
        assert names(await anext(watched)) == {"a": "a99", "b": "b99"}


async def test_too_many_ids_are_refused_as_those_of_users_are(gateway: Gateway) -> None:
    ids = [str(number) for number in range(1001)]
    with pytest.raises(BadUserInput) as refused:
        await anext(gateway.users.watch_many(ids))
    with pytest.raises(BadUserInput) as expected:
        await gateway.users.get_many(ids)
    assert refused.value.problems == expected.value.problems
    assert gateway.hub.watcher_count == 0


@pytest.mark.parametrize("bad", ["", "a\0b", "x" * 256, "\ud800"])
async def test_what_is_no_id_is_named_by_its_place(gateway: Gateway, bad: str) -> None:
    with pytest.raises(BadUserInput, match=r"^ids\[1\] must ") as refused:
        await anext(gateway.users.watch_many(["a", bad]))
    assert gateway.hub.watcher_count == 0
    found = await gateway.users.get_many(["a", bad, "b", bad])
    assert [found[0], found[2]] == [None, None]
    assert isinstance(found[1], BadUserInput)
    assert found[1].problems == refused.value.problems
    assert isinstance(found[3], BadUserInput)
    assert found[3].message.startswith("ids[3] must ")


async def test_a_store_that_is_away_ends_it_and_leaves_no_watcher(gateway: Gateway) -> None:
    gateway.store.failure = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        await anext(gateway.users.watch_many(["a", "b"]))
    assert gateway.hub.watcher_count == 0


async def test_an_allowance_is_shared_and_given_back(gateway: Gateway) -> None:
    allowance = Allowance(3)
    await rename(gateway, "a", "A")
    async with aclosing(gateway.users.watch_many(["a", "b", "a"], allowance)) as watched:
        assert names(await anext(watched)) == {"a": "A", "b": None}
        with pytest.raises(RateLimited, match="may watch 3 users"):
            await anext(gateway.users.watch_many(["a", "c"], allowance))
        assert gateway.hub.watcher_count == 2
    async with aclosing(gateway.users.watch_many(["a", "b", "c"], allowance)) as watched:
        assert names(await anext(watched)) == {"a": "A", "b": None, "c": None}


async def test_a_user_who_has_vanished_is_told_so_and_told_again_when_it_is_back(gateway: Gateway) -> None:
    await rename(gateway, "a", "A")
    async with aclosing(gateway.users.watch_many(["a", "sentinel"])) as watched:
        assert names(await anext(watched)) == {"a": "A", "sentinel": None}
        del gateway.store.users["a"]
        assert await gateway.users.batcher.load("a") is None
        assert names(await anext(watched)) == {"a": None}
        await rename(gateway, "a", "A")
        assert names(await anext(watched)) == {"a": "A"}
