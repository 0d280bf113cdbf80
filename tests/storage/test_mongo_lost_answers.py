"""Writes whose answer is lost, and which the driver sends again: what is said of them is what was done."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.storage.contract.base import RULES, Clock, existing, new_user, patch
from tests.storage.records import record_of
from tests.support.mongo_wire import Answer, Delay, LoseAnswer, Message, ReplicaSet, error
from tests.support.mongodb import MongoServer
from tests.support.waiting import until
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.deletions import Deletions
from userline.storage.mongo.driver import DriverName
from userline.storage.protocol import WriteResult
from userline.users.errors import StoreUnavailable
from userline.users.replacement import Put

WRITES = ("insert", "update", "delete", "bulkWrite", "findAndModify")


@pytest.fixture(params=[True, False], ids=["remembers", "forgets"])
async def replica_set(request: pytest.FixtureRequest, nx: MongoServer) -> AsyncIterator[ReplicaSet]:
    """One that gives a write that comes again its first answer, as MongoDB does, and one that does it again."""
    async with await ReplicaSet.open(nx.port, remembers=request.param) as replica_set:
        yield replica_set


@pytest.fixture
async def stores(
    replica_set: ReplicaSet, database: str, driver: DriverName
) -> AsyncIterator[tuple[MongoUserStore, MongoUserStore]]:
    """Two gateways' stores, whose clocks show the same."""
    clock = Clock()
    stores = tuple(MongoUserStore(replica_set.url(database, timeoutMS=5000), RULES, driver, clock) for _ in range(2))
    for store in stores:
        await store.open()
    yield (stores[0], stores[1])
    for store in stores:
        await store.close()


def lose(replica_set: ReplicaSet, times: int = 1) -> None:
    """Lose the answers of the next writes of users."""
    replica_set.members[0].rule(LoseAnswer(), *WRITES, where=is_of_users, times=times)


def is_of_users(message: Message) -> bool:
    return message.namespace.endswith(".users")


def told(result: WriteResult) -> tuple[bool, bool, bool]:
    return result.created, result.changed, result.snapshot_changed


async def test_a_lost_answer_changes_nothing_of_what_is_told(
    stores: tuple[MongoUserStore, MongoUserStore], replica_set: ReplicaSet
) -> None:
    store, _ = stores
    lose(replica_set)
    created = await store.create_if_not_exists("alice", new_user())
    assert told(created) == (True, True, True)
    lose(replica_set)
    changed = await store.patch("alice", patch(name="Bob"))
    assert told(changed) == (False, True, True)
    assert changed.after.snapshot.version > created.after.snapshot.version
    lose(replica_set)
    private = await store.patch("alice", patch(email=["alice@example.com"]))
    assert told(private) == (False, True, False)
    assert await existing(store, "alice") == private.after
    assert told(await store.patch("alice", patch(name="Bob"))) == (False, False, False)


async def test_lost_answers_of_writes_sent_together(
    stores: tuple[MongoUserStore, MongoUserStore], replica_set: ReplicaSet
) -> None:
    store, _ = stores
    users = [f"user {number}" for number in range(40)]
    lose(replica_set)
    created = await asyncio.gather(*(store.create_if_not_exists(user, new_user(name=user)) for user in users))
    assert {told(result) for result in created} == {(True, True, True)}
    for _ in range(3):
        lose(replica_set)
        changed = await asyncio.gather(*(store.patch(user, patch(name=f"{_} {user}")) for user in users))
        assert {told(result) for result in changed} == {(False, True, True)}
        assert [await existing(store, user) for user in users] == [result.after for result in changed]
    lose(replica_set)
    batch = await store.patch_many({user: patch(name="All", locale="en") for user in [*users, "new"]})
    assert {told(result) for user, result in batch.items() if user != "new"} == {(False, True, True)}
    assert told(batch["new"]) == (True, True, True)


async def test_a_lost_answer_among_patches_of_one_user(
    stores: tuple[MongoUserStore, MongoUserStore], replica_set: ReplicaSet
) -> None:
    store, _ = stores
    lose(replica_set, times=2)
    results = await asyncio.gather(
        *(store.patch("alice", patch(name="Alice", custom={str(number): "x"})) for number in range(30))
    )
    assert [result.created for result in results].count(True) == 1
    assert all(result.changed for result in results)
    assert len({result.after.snapshot.version for result in results}) == 30
    assert len((await existing(store, "alice")).snapshot.custom) == 30


async def test_lost_answers_of_whole_records(
    stores: tuple[MongoUserStore, MongoUserStore], replica_set: ReplicaSet
) -> None:
    store, _ = stores
    records = [(await store.create_if_not_exists(f"{number}", new_user())).after for number in range(3)]
    for number in range(3):
        await store.patch(f"{number}", patch(name="Bob"))
    lose(replica_set, times=2)
    assert await store.put_many(records, overwrite=True) == [Put.REPLACED] * 3
    assert [(await existing(store, record.snapshot.id)).snapshot.name for record in records] == ["Alice"] * 3


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("count", [1, 40])
async def test_lost_answers_of_whole_records_that_are_new(
    stores: tuple[MongoUserStore, MongoUserStore], replica_set: ReplicaSet, count: int, overwrite: bool
) -> None:
    store, _ = stores
    records = [record_of(f"user {number}") for number in range(count)]
    lose(replica_set)
    assert await store.put_many(records, overwrite=overwrite) == [Put.CREATED] * count
    assert await store.put_many(records, overwrite=overwrite) == [Put.SAME] * count
    await store.patch("user 0", patch(name="Another"))
    lose(replica_set)
    more = [*records, record_of("new")]
    there = [Put.REPLACED if overwrite else Put.KEPT, *[Put.SAME] * (count - 1)]
    assert await store.put_many(more, overwrite=overwrite) == [*there, Put.CREATED]


async def test_a_write_between_the_two_tries_of_another(
    stores: tuple[MongoUserStore, MongoUserStore], replica_set: ReplicaSet
) -> None:
    """Another gateway has written the user by the time that the driver tries again: nothing is written twice."""
    store, other = stores
    await store.create_if_not_exists("alice", new_user())
    primary = replica_set.members[0]

    def is_mine(message: Message) -> bool:
        updates = message.documents("updates") if is_of_users(message) else []
        return any(each["u"]["custom"] == {"mine": "x"} for each in updates)

    primary.rule(LoseAnswer(), "update", where=is_mine)
    again = primary.rule(Delay(1.0), "update", where=is_mine)
    writing = asyncio.ensure_future(store.patch("alice", patch(custom={"mine": "x"})))
    await until(lambda: again.hits == 1)
    theirs = await other.patch("alice", patch(custom={"theirs": "x"}))
    assert not writing.done()
    mine = await writing
    assert (told(mine), mine.after.snapshot.custom) == ((False, True, True), {"mine": "x"})
    assert (told(theirs), theirs.before) == ((False, True, True), mine.after)
    assert await existing(other, "alice") == theirs.after


async def test_of_two_who_create_the_same_user_at_the_same_moment_one_has_created_it(
    stores: tuple[MongoUserStore, MongoUserStore],
) -> None:
    """What both write is alike, byte for byte, and no answer is lost."""
    for number in range(20):
        results = await asyncio.gather(
            *(store.create_if_not_exists(f"user {number}", new_user()) for store in stores for _ in range(3))
        )
        assert [result.created for result in results].count(True) == 1


async def test_a_write_that_was_refused_and_sent_again_is_no_lost_answer(
    stores: tuple[MongoUserStore, MongoUserStore], replica_set: ReplicaSet
) -> None:
    """Another gateway is faster, before the driver tries again: that is the other's write."""
    store, other = stores
    await store.create_if_not_exists("alice", new_user())
    refusal: dict[str, Any] = error(91, labels=["RetryableWriteError"])
    replica_set.members[0].rule(Answer(refusal), *WRITES, where=is_of_users)
    results = await asyncio.gather(
        store.patch("alice", patch(custom={"mine": "x"})), other.patch("alice", patch(custom={"theirs": "x"}))
    )
    assert {told(result) for result in results} == {(False, True, True)}
    assert (await existing(store, "alice")).snapshot.custom == {"mine": "x", "theirs": "x"}


async def test_a_deletion_whose_answer_is_lost(
    stores: tuple[MongoUserStore, MongoUserStore], replica_set: ReplicaSet
) -> None:
    store, other = stores
    await store.create_if_not_exists("alice", new_user())
    lose(replica_set)
    done = await store.delete("alice")
    assert done.deleted
    assert not (await other.delete("alice")).deleted
    again = await store.create_if_not_exists("alice", new_user())
    assert again.after.snapshot.version > done.version


async def test_a_deletion_whose_answer_is_lost_while_another_gateway_deletes(
    stores: tuple[MongoUserStore, MongoUserStore],
    replica_set: ReplicaSet,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ours holds. Where the server has forgotten that, it may have been the other one, and ours does not say."""
    store, other = stores
    await store.create_if_not_exists("alice", new_user())
    note, kept, held = Deletions.note, asyncio.Event(), asyncio.Event()

    async def wait(deletions: Deletions, *arguments: Any) -> tuple[int, bool]:
        noted = await note(deletions, *arguments)
        kept.set()
        await held.wait()
        return noted

    monkeypatch.setattr(Deletions, "note", wait)
    theirs = asyncio.ensure_future(other.delete("alice"))
    await kept.wait()
    monkeypatch.setattr(Deletions, "note", note)
    lose(replica_set)
    if request.node.callspec.params["replica_set"]:
        assert (await store.delete("alice")).deleted
    else:
        with pytest.raises(StoreUnavailable):
            await store.delete("alice")
    held.set()
    assert not (await theirs).deleted
