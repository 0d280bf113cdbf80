"""The outbox: bounded, the newest of each user, in order."""

from __future__ import annotations

import asyncio

import pytest

from tests.changes.test_hub import snapshot
from userline.changes.messages import Found
from userline.changes.outbox import Outbox


async def test_it_gives_the_newest_of_each_user_in_order_of_waiting() -> None:
    outbox = Outbox(10)
    for version, user_id in ((1, "a"), (1, "b"), (3, "a"), (2, "a")):
        outbox.put(snapshot(version, user_id=user_id))
    assert [(item.id, item.version) for item in await outbox.next_batch(10)] == [("a", 3), ("b", 1)]
    assert len(outbox) == 0


async def test_it_gives_no_more_than_asked_for_and_waits_for_something() -> None:
    outbox = Outbox(10)
    waiting = asyncio.create_task(outbox.next_batch(2))
    await asyncio.sleep(0)
    for user_id in "abc":
        outbox.put(snapshot(1, user_id=user_id))
    assert [item.id for item in await waiting] == ["a", "b"]
    assert [item.id for item in await outbox.next_batch(2)] == ["c"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(outbox.next_batch(1), 0.01)


async def test_what_is_put_back_comes_first_unless_something_newer_waits() -> None:
    outbox = Outbox(10)
    for user_id in "ab":
        outbox.put(snapshot(1, user_id=user_id))
    taken = await outbox.next_batch(2)
    outbox.put(snapshot(1, user_id="c"))
    outbox.put(snapshot(2, user_id="b"))
    outbox.put_back(taken)
    assert [(item.id, item.version) for item in await outbox.next_batch(9)] == [("a", 1), ("c", 1), ("b", 2)]


async def test_it_is_bounded_and_counts_what_it_drops() -> None:
    outbox = Outbox(2)
    for user_id in "abc":
        outbox.put(snapshot(1, user_id=user_id))
    taken = await outbox.next_batch(9)
    assert [item.id for item in taken] == ["b", "c"]
    assert outbox.dropped == 1
    outbox.put(snapshot(1, user_id="d"))
    outbox.put_back(taken)
    assert [item.id for item in await outbox.next_batch(9)] == ["c", "d"]
    assert outbox.dropped == 2


async def test_what_was_found_takes_no_certainty_from_a_change_that_was_not_sent() -> None:
    outbox = Outbox(10)
    outbox.put(snapshot(1, user_id="a"))
    outbox.put(Found(snapshot(2, user_id="a")))
    outbox.put(Found(snapshot(1, user_id="b")))
    taken = await outbox.next_batch(10)
    assert taken == [snapshot(2, user_id="a"), Found(snapshot(1, user_id="b"))]
    outbox.put(Found(snapshot(3, user_id="a")))
    outbox.put(snapshot(2, user_id="b"))
    outbox.put_back(taken)
    assert await outbox.next_batch(10) == [snapshot(3, user_id="a"), snapshot(2, user_id="b")]
