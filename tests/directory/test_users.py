"""Reading, writing and watching through one gateway's store, hub and bus."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from userline.storage.protocol import StoreRefused
from userline.users.errors import BadUserInput, NameRequired, StoreUnavailable
from userline.users.patch import UserPatch
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from tests.support.parts import Gateway


async def test_1500_lookups_in_one_turn_are_two_reads_and_repeated_none(gateway: Gateway) -> None:
    ids = [f"user {number}" for number in range(1500)]
    for user_id in ids[::2]:
        # As if the writes had gone through another gateway, long ago.
        await gateway.store.patch(user_id, UserPatch(name=user_id))
    found = await asyncio.gather(*(gateway.users.get(user_id) for user_id in ids))
    assert [user.id if user else None for user in found] == [i if n % 2 == 0 else None for n, i in enumerate(ids)]
    assert [len(read) for read in gateway.store.reads] == [1000, 500]
    assert await asyncio.gather(*(gateway.users.get(user_id) for user_id in ids)) == found
    assert len(gateway.store.reads) == 2


async def test_lookups_of_different_kinds_share_a_read_and_each_id_is_read_once(gateway: Gateway) -> None:
    async with aclosing(gateway.watch("c")) as watched:
        await asyncio.gather(
            gateway.users.get("a"),
            gateway.users.get("a"),
            gateway.users.get_many(["a", "b", "b", "a"]),
            anext(watched),
        )
    assert gateway.store.reads == [["a", "b", "c"]]


async def test_get_many_keeps_order_and_duplicates(gateway: Gateway) -> None:
    await gateway.users.set("a", {"name": "A"}, viewer=OPEN_VIEWER)
    found = await gateway.users.get_many(["x", "a", "x", "a"])
    assert [getattr(user, "name", None) for user in found] == [None, "A", None, "A"]


async def test_more_than_1000_ids_are_refused(gateway: Gateway) -> None:
    with pytest.raises(BadUserInput, match="at most 1000") as caught:
        await gateway.users.get_many([str(number) for number in range(1001)])
    assert caught.value.field == "ids"
    assert gateway.store.reads == []


async def test_a_write_is_seen_by_the_next_read_without_a_read_of_the_store(gateway: Gateway) -> None:
    assert await gateway.users.get("alice") is None
    written, result = await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    assert result.created
    assert await gateway.users.get("alice") is written
    assert gateway.store.reads == [["alice"]]


async def test_a_write_is_seen_even_by_a_read_that_was_under_way(gateway: Gateway) -> None:
    gateway.store.gate.clear()
    reading = asyncio.create_task(gateway.users.get("alice"))
    while not gateway.store.reads:
        await asyncio.sleep(0)
    gateway.store.gate.set()
    await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    read = await reading
    held = await gateway.users.get("alice")
    assert held is not None, "the read, which began before the write, did not bring back its absence"
    assert read is None or read is held


async def test_the_same_version_is_the_same_object(gateway: Gateway) -> None:
    first, _ = await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    second, result = await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    assert not result.changed
    assert first is second
    assert (await gateway.users.create_if_not_exists("alice", {"name": "Other"}, viewer=OPEN_VIEWER)) == (first, False)


async def test_a_cancelled_lookup_harms_nobody_else(gateway: Gateway) -> None:
    gateway.store.gate.clear()
    first = asyncio.create_task(gateway.users.get("alice"))
    second = asyncio.create_task(gateway.users.get("alice"))
    await asyncio.sleep(0.01)
    first.cancel()
    gateway.store.gate.set()
    assert await second is None
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_batch_that_nobody_waits_for_is_not_read(gateway: Gateway) -> None:
    lookup = asyncio.create_task(gateway.users.get("alice"))
    await asyncio.sleep(0)
    lookup.cancel()
    await asyncio.gather(lookup, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert gateway.store.reads == []


async def test_a_store_that_is_away_fails_everybody_who_asked_and_then_recovers(gateway: Gateway) -> None:
    gateway.store.failure = StoreUnavailable()
    outcomes = await asyncio.gather(*(gateway.users.get(f"{n}") for n in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 5
    with pytest.raises(StoreUnavailable):
        await anext(gateway.watch("alice"))
    with pytest.raises(StoreUnavailable):
        await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    gateway.store.failure = None
    assert await gateway.users.get("0") is None
    assert len(gateway.hub) == 1


async def test_held_users_are_served_while_the_store_is_away(gateway: Gateway) -> None:
    written, _ = await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    gateway.store.failure = StoreUnavailable()
    assert await gateway.users.get("alice") is written


async def test_a_write_whose_caller_goes_away_is_still_told(gateway: Gateway) -> None:
    async with aclosing(gateway.watch("alice")) as events:
        assert await anext(events) is None
        gateway.store.gate.clear()
        writing = asyncio.create_task(gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER))
        while "alice" not in gateway.store.users:
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        gateway.store.gate.set()
        told = await anext(events)
        assert told is not None
        assert told.name == "Alice"
    await gateway.users.close()
    await gateway.bus.stop()
    assert gateway.bus.published == 1


async def test_only_what_everybody_sees_is_published(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[str] = []
    monkeypatch.setattr(gateway.bus, "publish", lambda snapshot: published.append(snapshot.name))
    await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    await gateway.users.set("alice", {"name": "Alice"}, viewer=OPEN_VIEWER)
    await gateway.users.set("alice", {"email": "alice@example.com"}, viewer=OPEN_VIEWER)
    await gateway.users.create_if_not_exists("alice", {"name": "Other"}, viewer=OPEN_VIEWER)
    await gateway.users.set("alice", {"name": "Alice B."}, viewer=OPEN_VIEWER)
    assert published == ["Alice", "Alice B."]


async def test_watching_ends_with_the_watcher(gateway: Gateway) -> None:
    events = gateway.watch("alice")
    await anext(events)
    assert gateway.hub.watcher_count == 1
    await events.aclose()
    assert gateway.hub.watcher_count == 0


async def test_problems_of_the_id_and_of_the_input_are_told_together(gateway: Gateway) -> None:
    with pytest.raises(BadUserInput) as caught:
        await gateway.users.set("", {"name": "", "email": ["nonsense"]}, viewer=OPEN_VIEWER)
    assert [problem.field for problem in caught.value.problems] == ["id", "name", "email"]
    with pytest.raises(BadUserInput) as caught:
        await gateway.users.create_if_not_exists("a\0b", {}, viewer=OPEN_VIEWER)
    assert [problem.field for problem in caught.value.problems] == ["id", "name"]
    with pytest.raises(BadUserInput) as caught:
        await gateway.users.set("x" * 256, {"name": "X"}, viewer=OPEN_VIEWER)
    assert caught.value.field == "id"
    with pytest.raises(NameRequired):
        await gateway.users.set("alice", {"role": "admin"}, viewer=OPEN_VIEWER)
    assert gateway.store.users == {}


@pytest.mark.parametrize("work", ["set", "create", "delete", "set many"])
@pytest.mark.parametrize(
    "failure", [None, NameRequired("alice"), StoreUnavailable(), StoreRefused("no"), KeyError("surprise")]
)
async def test_how_a_write_ends_whose_caller_has_gone_troubles_nobody(
    gateway: Gateway, work: str, failure: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    gateway.store.gate.clear()
    users, alice = gateway.users, {"name": "Alice"}
    writing = asyncio.create_task(
        {
            "set": lambda: users.set("alice", alice, viewer=OPEN_VIEWER),
            "create": lambda: users.create_if_not_exists("alice", alice, viewer=OPEN_VIEWER),
            "delete": lambda: users.delete("alice", viewer=OPEN_VIEWER),
            "set many": lambda: users.set_many({"alice": alice, "bob": alice}),
        }[work]()  # type: ignore[no-untyped-call]
    )
    await asyncio.sleep(0.01)
    assert not writing.done()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    gateway.store.lost_answer = failure
    gateway.store.gate.set()
    await asyncio.sleep(0.01)
    gateway.store.lost_answer = None
    await users.close()
    del writing
    gc.collect()  # what nobody has looked at complains when it goes
    await asyncio.sleep(0)
    assert complaints == []
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    surprising = isinstance(failure, (StoreRefused, KeyError))
    assert told == ["A write failed unexpectedly after its caller had disconnected."] * surprising
