"""Writes that were done although the store gave no answer: everybody hears of them all the same."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.waiting import until
from userline.changes.messages import Found
from userline.directory import uncertain_writes
from userline.users.errors import StoreUnavailable
from userline.users.patch import parse_patch
from userline.users.record import Deletion
from userline.users.rules import Rules
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.parts import Gateway
    from userline.changes.messages import Told
    from userline.users.record import Change


@pytest.fixture
def told(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """What the bus was given."""
    monkeypatch.setattr(uncertain_writes, "LATER_SECONDS", 0.2)
    told: list[Change] = []
    publish = gateway.bus.publish

    def note(change: Told) -> None:
        told.append(change.snapshot if isinstance(change, Found) else change)
        publish(change)

    monkeypatch.setattr(gateway.bus, "publish", note)
    return told


async def write(gateway: Gateway, user_id: str, name: str) -> None:
    with pytest.raises(StoreUnavailable):
        await gateway.users.set(user_id, {"name": name}, viewer=OPEN_VIEWER)


async def test_watchers_hear_of_it_without_a_repetition(gateway: Gateway, told: list[Change]) -> None:
    async with aclosing(gateway.watch("alice")) as events:
        assert await anext(events) is None
        gateway.store.lost_answer = StoreUnavailable()
        await write(gateway, "alice", "Alice")
        async with asyncio.timeout(5):
            seen = await anext(events)
    assert seen is not None
    assert seen.name == "Alice"
    await until(lambda: not uncertain_write_tasks(), 5)
    assert [(snapshot.id, snapshot.version) for snapshot in told] == [("alice", 1)], "told once"


async def test_of_a_batch_everybody_is_looked_at(gateway: Gateway, told: list[Change]) -> None:
    gateway.store.lost_answer = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        await gateway.users.set_many({f"user {number}": {"name": "N"} for number in range(10)})
    await until(lambda: len(told) == 10, 5)


async def test_it_waits_for_a_store_that_is_away(gateway: Gateway, told: list[Change]) -> None:
    gateway.store.lost_answer = StoreUnavailable()
    writing = asyncio.create_task(write(gateway, "alice", "Alice"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gateway.store.failure = StoreUnavailable()
    await writing
    await asyncio.sleep(0.3)
    assert told == []
    gateway.store.failure = gateway.store.lost_answer = None
    await until(lambda: len(told) == 1, 5)


async def test_a_write_that_is_done_late_is_found_by_the_second_look(gateway: Gateway, told: list[Change]) -> None:
    gateway.store.failure = StoreUnavailable()
    await write(gateway, "alice", "Alice")
    gateway.store.failure = None
    await until(lambda: gateway.store.reads != [], 5)
    assert told == []
    await gateway.store.patch("alice", parse_patch({"name": "Alice"}, Rules()))
    await until(lambda: len(told) == 1, 5)


async def test_nothing_is_left_when_the_gateway_ends(gateway: Gateway, told: list[Change]) -> None:
    gateway.store.failure = StoreUnavailable()
    await write(gateway, "alice", "Alice")
    assert uncertain_write_tasks()
    await gateway.users.close()
    assert not uncertain_write_tasks()
    assert told == []


def uncertain_write_tasks() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "userline-uncertain-writes"]


async def test_a_deletion_is_told_of_although_its_answer_was_lost(gateway: Gateway, told: list[Change]) -> None:
    await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    async with aclosing(gateway.watch("alice")) as events:
        assert await anext(events) is not None
        gateway.store.lost_answer = StoreUnavailable()
        with pytest.raises(StoreUnavailable):
            await gateway.users.delete("alice", viewer=OPEN_VIEWER)
        async with asyncio.timeout(5):
            assert await anext(events) is None
    await until(lambda: not uncertain_write_tasks(), 5)
    assert [each for each in told if isinstance(each, Deletion)] == [Deletion("alice", 2)], "told once"


async def test_a_write_in_doubt_and_a_deletion_after_it(gateway: Gateway, told: list[Change]) -> None:
    """What is told in the end is that the user is gone, whatever became of the write."""
    await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    gateway.store.lost_answer = StoreUnavailable()
    await write(gateway, "alice", "In doubt")
    gateway.store.lost_answer = None
    assert await gateway.users.delete("alice", viewer=OPEN_VIEWER)
    await until(lambda: not uncertain_write_tasks(), 5)
    last = max(told, key=lambda each: each.version)
    assert isinstance(last, Deletion)
    assert await gateway.users.get("alice") is None


async def test_a_write_that_is_given_up_during_a_look_is_looked_at_too(
    gateway: Gateway, told: list[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look has seen what was there before it. It does not have to wait for the second look, either."""
    monkeypatch.setattr(uncertain_writes, "LATER_SECONDS", 1000.0)
    get_many = gateway.store.get_many
    has_read, go_on = asyncio.Event(), asyncio.Event()

    async def held_up(ids: Sequence[str]) -> Any:
        found = await get_many(ids)
        has_read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(gateway.store, "get_many", held_up)
    gateway.store.lost_answer = StoreUnavailable()
    await write(gateway, "alice", "First")
    await has_read.wait()
    await write(gateway, "alice", "Second")
    go_on.set()
    await until(lambda: [change.name for change in told if not isinstance(change, Deletion)][-1:] == ["Second"], 5)
