"""What is sent to MongoDB, and races with other gateways."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from pymongo.collection import Collection

from tests.storage.contract.base import RULES, existing, new_user, patch
from tests.support.mongodb import MongoServer
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.driver import Driver, DriverName
from userline.users.errors import BatchRefused, NameRequired, StoreUnavailable


class Commands:
    """The commands that were sent, by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        for name in ("find", "insert", "replace"):
            self._count(monkeypatch, name)

    def _count(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        send = getattr(Driver, name)

        async def counted(*arguments: object) -> object:
            self.names.append(name)
            return await send(*arguments)

        monkeypatch.setattr(Driver, name, counted)


@pytest.fixture
def commands(store: MongoUserStore, monkeypatch: pytest.MonkeyPatch) -> Commands:
    assert store is not None  # it has sent what opening takes
    return Commands(monkeypatch)


async def test_a_batch_is_one_command(
    store: MongoUserStore, documents: Collection[dict[str, Any]], commands: Commands
) -> None:
    documents.insert_many([{"_id": f"user {number}", "version": 1, "name": "Alice"} for number in range(300)])
    found = await store.get_many([f"user {number % 300}" for number in range(1000)])
    assert all(found)
    assert commands.names == ["find"]


async def test_many_patches_of_one_user_are_a_handful_of_commands(store: MongoUserStore, commands: Commands) -> None:
    async def write(number: int) -> int:
        if number % 10 == 9:
            with pytest.raises(NameRequired):
                await store.patch("nobody", patch(locale="en"))
            return 0
        return (await store.patch("alice", patch(name="Alice", custom={str(number): "x"}))).after.snapshot.version

    versions = await asyncio.gather(*(write(number) for number in range(100)))
    assert sorted(filter(None, versions)) == list(range(1, 91))
    assert len(commands.names) <= 8
    assert len((await existing(store, "alice")).snapshot.custom) == 90


async def test_what_changes_nothing_writes_nothing(store: MongoUserStore, commands: Commands) -> None:
    await store.create_if_not_exists("alice", new_user())
    commands.names.clear()
    await store.patch("alice", patch(name="Alice"))
    await store.create_if_not_exists("alice", new_user(name="Bob"))
    assert commands.names == ["find", "find"]


async def test_a_user_created_meanwhile_by_somebody_else(
    store: MongoUserStore, server: MongoServer, database: str, driver: DriverName, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = MongoUserStore(server.url(database), RULES, driver)
    await other.open()
    find = Driver.find
    overtaken = False

    async def overtaken_find(self: Driver, ids: Sequence[str]) -> list[dict[str, Any]]:
        nonlocal overtaken
        found = await find(self, ids)
        if not overtaken:
            overtaken = True
            await other.create_if_not_exists("alice", new_user(custom={"other": "x"}))
        return found

    monkeypatch.setattr(Driver, "find", overtaken_find)
    result = await store.patch("alice", patch(name="Bob", custom={"mine": "x"}))
    assert not result.created
    assert result.after.snapshot.custom == {"other": "x", "mine": "x"}
    overtaken = False
    created = await store.create_if_not_exists("bob", new_user())
    assert created.created
    await other.close()


async def test_a_user_who_is_always_written_by_somebody_else(
    store: MongoUserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create_if_not_exists("alice", new_user())

    async def too_late(*_: object) -> bool:
        return False

    monkeypatch.setattr(Driver, "replace", too_late)
    start = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await store.patch("alice", patch(name="Bob"))
    assert time.monotonic() - start < 2


async def test_a_failed_command_fails_all_its_writes_and_no_others(
    store: MongoUserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = Driver.insert

    async def broken(self: Driver, collection: str, document: dict[str, Any]) -> bool:
        if document["_id"] == "alice":
            raise ConnectionResetError("gone")
        return await insert(self, collection, document)

    monkeypatch.setattr(Driver, "insert", broken)
    users = ["alice", "bob"] * 10
    outcomes = await asyncio.gather(
        *(store.patch(user, patch(name=f"{number}")) for number, user in enumerate(users)), return_exceptions=True
    )
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes[::2])
    assert len(set(map(id, outcomes[::2]))) == 10
    assert not any(isinstance(outcome, Exception) for outcome in outcomes[1::2])
    monkeypatch.undo()
    assert (await store.patch("alice", patch(name="Alice"))).created


async def test_a_batch_that_somebody_else_brings_to_a_limit(
    store: MongoUserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = Driver.find
    overtaken = False

    async def overtaken_find(self: Driver, ids: Sequence[str]) -> list[dict[str, Any]]:
        nonlocal overtaken
        found = await find(self, ids)
        if not overtaken:
            overtaken = True
            await store.patch("alice", patch(name="Alice", custom={str(key): "x" for key in range(100)}))
        return found

    monkeypatch.setattr(Driver, "find", overtaken_find)
    with pytest.raises(BatchRefused) as refused:
        await store.patch_many({"alice": patch(name="Alice", custom={"more": "x"}), "bob": patch(name="Bob")})
    assert list(refused.value.errors) == ["alice"]
