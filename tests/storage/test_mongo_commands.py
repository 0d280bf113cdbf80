"""What is sent to MongoDB, and races with other gateways."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from tests.storage.contract.base import RULES, Clock, existing, new_user, patch
from tests.support.mongodb import MongoServer
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.driver import Driver, DriverName
from userline.users.errors import BatchRefused, NameRequired, StoreUnavailable

if TYPE_CHECKING:
    from userline.storage.protocol import WriteResult

pytestmark = pytest.mark.alone  # hundreds of writes at once have the time that one command has


class Commands:
    """The commands that were sent, by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        for name in ("find", "insert", "replace", "write_many"):
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


def after_next_find(monkeypatch: pytest.MonkeyPatch, overtake: Callable[[], Awaitable[object]]) -> None:
    """Have something done between the next read of a store and what follows from it."""
    find = Driver.find

    async def overtaken_find(self: Driver, ids: Sequence[str]) -> list[dict[str, Any]]:
        monkeypatch.setattr(Driver, "find", find)
        found = await find(self, ids)
        await overtake()
        return found

    monkeypatch.setattr(Driver, "find", overtaken_find)


@pytest.fixture
async def other(server: MongoServer, database: str, driver: DriverName) -> AsyncIterator[MongoUserStore]:
    """The store of another gateway."""
    other = MongoUserStore(server.url(database), RULES, driver)
    await other.open()
    yield other
    await other.close()


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
    assert sorted(filter(None, versions)) == [Clock().now + number for number in range(90)]
    assert len(commands.names) <= 8
    assert len((await existing(store, "alice")).snapshot.custom) == 90


async def test_what_changes_nothing_writes_nothing(store: MongoUserStore, commands: Commands) -> None:
    await store.create_if_not_exists("alice", new_user())
    commands.names.clear()
    await store.patch("alice", patch(name="Alice"))
    await store.create_if_not_exists("alice", new_user(name="Bob"))
    assert commands.names == ["find", "find"]


async def test_a_user_created_meanwhile_by_somebody_else(
    store: MongoUserStore, other: MongoUserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overtake() -> None:
        await other.create_if_not_exists("alice", new_user(custom={"other": "x"}))

    after_next_find(monkeypatch, overtake)
    result = await store.patch("alice", patch(name="Bob", custom={"mine": "x"}))
    assert not result.created
    assert result.after.snapshot.custom == {"other": "x", "mine": "x"}
    created = await store.create_if_not_exists("bob", new_user())
    assert created.created


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


async def test_a_failed_command_fails_all_its_writes_each_with_an_error_of_its_own(
    store: MongoUserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(Driver, "write_many", broken)
    users = ["alice", "bob"] * 10
    outcomes = await asyncio.gather(
        *(store.patch(user, patch(name=f"{number}")) for number, user in enumerate(users)), return_exceptions=True
    )
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert len(set(map(id, outcomes))) == 20
    monkeypatch.undo()
    assert (await store.patch("alice", patch(name="Alice"))).created


async def test_writes_of_many_users_are_a_handful_of_commands(store: MongoUserStore, commands: Commands) -> None:
    users = [f"user {number}" for number in range(200)]
    created = await asyncio.gather(*(store.create_if_not_exists(user, new_user(name=user)) for user in users))
    assert all(result.created for result in created)
    assert commands.names.count("find") <= 3
    assert len(commands.names) <= 8
    commands.names.clear()
    changed = await asyncio.gather(*(store.patch(user, patch(locale="en")) for user in users))
    assert all(result.after.snapshot.version == Clock().now + 1 for result in changed)
    assert {"write_many"} == set(commands.names), "what was written a moment ago is not read for it"
    assert len(commands.names) <= 4
    assert [(await existing(store, user)).snapshot.locale for user in (users[0], users[-1])] == ["en", "en"]


async def test_of_writes_sent_together_each_is_done_or_done_again(
    store: MongoUserStore,
    other: MongoUserStore,
    documents: Collection[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others write, create and delete users between the read and the write."""
    users = [f"user {number}" for number in range(8)]
    created = [(await other.create_if_not_exists(user, new_user(name=user))).after.snapshot for user in users[:6]]

    overtaken: list[WriteResult] = []

    async def overtake() -> None:
        overtaken.append(await other.patch(users[1], patch(custom={"other": "x"})))
        there = new_user(name="first", custom={"other": "x"})
        overtaken.append(await other.create_if_not_exists(users[6], there))
        for user in users[2:4]:
            documents.delete_one({"_id": user})

    after_next_find(monkeypatch, overtake)
    mine = patch(custom={"mine": "x"})
    patches = [mine, mine, mine, patch(name="again"), mine, patch(name=users[5]), patch(name="new"), patch(name="new")]
    results = await asyncio.gather(
        *(store.patch(user, each) for user, each in zip(users, patches, strict=True)), return_exceptions=True
    )
    assert isinstance(results[2], NameRequired)
    assert documents.find_one({"_id": users[2]}) is None, "who was deleted does not come back"
    written = {number: result for number, result in enumerate(results) if not isinstance(result, BaseException)}
    assert written.keys() == {0, 1, 3, 4, 5, 6, 7}
    assert {number for number, result in written.items() if result.created} == {3, 7}
    versions = {number: result.after.snapshot.version for number, result in written.items()}
    others = [each.after.snapshot.version for each in overtaken]
    first = Clock().now
    assert versions == {
        **{number: created[number].version + 1 for number in (0, 4)},
        5: created[5].version,
        **dict.fromkeys((3, 7), first),
        1: others[0] + 1,
        6: others[1] + 1,
    }
    assert written[1].after.snapshot.custom == {"other": "x", "mine": "x"}
    assert (written[6].after.snapshot.name, written[6].after.snapshot.custom) == ("new", {"other": "x"})
    for number, result in written.items():
        assert await existing(store, users[number]) == result.after


class Refusing:
    """A collection whose bulk writes are answered as told."""

    def __init__(self, details: dict[str, Any]) -> None:
        self._details = details

    async def bulk_write(self, *_: object, **__: object) -> None:
        raise BulkWriteError(self._details)


async def test_what_the_server_refuses_of_a_group_is_told_of_each() -> None:
    driver = Driver.__new__(Driver)
    failures = [
        {"index": 1, "code": 11000, "keyPattern": {"_id": 1}},
        {"index": 2, "code": 11000, "keyPattern": {"email": 1}, "errmsg": "E11000 email"},
        {"index": 3, "code": 121, "errmsg": "Document failed validation"},
    ]
    writes: list[tuple[dict[str, Any] | None, dict[str, Any]]] = [
        ({"_id": f"{number}"}, {"_id": f"{number}", "writeIds": "a-1"}) for number in range(4)
    ]
    driver._users = Refusing({"writeErrors": failures, "nMatched": 1})
    done = await driver.write_many(writes)
    assert done[:2] == [True, False]
    assert [error.code for error in done[2:] if isinstance(error, OperationFailure)] == [11000, 121]
    driver._users = Refusing({"writeErrors": [], "writeConcernErrors": [{"code": 64}]})
    with pytest.raises(BulkWriteError):
        await driver.write_many(writes)


class Failing:
    """A collection, and its database, whose insertions fail as told."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getitem__(self, _: str) -> "Failing":
        return self

    async def insert_one(self, *_: object, **__: object) -> None:
        raise self._error

    insert_many = insert_one


def driver_that_fails(error: Exception) -> Driver:
    driver = Driver.__new__(Driver)
    driver._database = Failing(error)
    return driver


async def test_only_a_taken_id_is_no_failure_of_an_insertion() -> None:
    for details in (None, {"code": 11000}, {"code": 11000, "keyPattern": {"_id": 1}}):
        taken = DuplicateKeyError("E11000", 11000, details)
        assert await driver_that_fails(taken).insert("users", {"_id": "a"}) is False
    another = DuplicateKeyError("E11000", 11000, {"code": 11000, "keyPattern": {"email": 1}})
    with pytest.raises(DuplicateKeyError):
        await driver_that_fails(another).insert("users", {"_id": "a"})


async def test_only_taken_ids_are_no_failure_of_many_insertions() -> None:
    taken = {"index": 1, "code": 11000, "keyPattern": {"_id": 1}}
    assert await driver_that_fails(BulkWriteError({"writeErrors": [taken]})).insert_many("users", []) == {1}
    for details in (
        {"writeErrors": [taken, {"index": 2, "code": 11000, "keyPattern": {"email": 1}}]},
        {"writeErrors": [taken, {"index": 2, "code": 121}]},
        {"writeErrors": [taken], "writeConcernErrors": [{"code": 64}]},
        {"writeErrors": [], "writeConcernErrors": [{"code": 64}]},
    ):
        with pytest.raises(BulkWriteError):
            await driver_that_fails(BulkWriteError(details)).insert_many("users", [])


async def test_a_batch_that_somebody_else_brings_to_a_limit(
    store: MongoUserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overtake() -> None:
        await store.patch("alice", patch(name="Alice", custom={str(key): "x" for key in range(100)}))

    after_next_find(monkeypatch, overtake)
    with pytest.raises(BatchRefused) as refused:
        await store.patch_many({"alice": patch(name="Alice", custom={"more": "x"}), "bob": patch(name="Bob")})
    assert list(refused.value.errors) == ["alice"]
