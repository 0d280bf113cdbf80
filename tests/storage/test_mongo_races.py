"""Two gateways, other programs, and one user, in an order that is forced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.storage.contract.base import RULES, Clock, existing, get, new_user, patch
from tests.storage.records import record_of
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.deletions import Deletions
from userline.storage.mongo.driver import USERS
from userline.users.errors import BadUserInput, NameRequired, StoreUnavailable
from userline.users.replacement import Put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pymongo.collection import Collection

    from tests.support.mongodb import MongoServer
    from userline.storage.mongo.driver import DriverName
    from userline.storage.protocol import UserStore, WriteResult

    Documents = Collection[dict[str, Any]]

WRITES = ("insert_one", "insert_many", "replace_one", "bulk_write")


class Line:
    """A store's way to its users' collection, on which something may happen around each command."""

    def __init__(self, store: MongoUserStore) -> None:
        assert store._connection is not None
        driver = store._connection.driver
        self._users = driver._users
        self._database = driver._database
        self.before: Callable[[str], Awaitable[object]] | None = None
        self.after: Callable[[str], Awaitable[object]] | None = None
        self.twice = False
        self.sent: tuple[Any, ...] = ()
        driver._users = self
        driver._database = self

    def __getitem__(self, name: str) -> Any:
        return self if name == USERS else self._database[name]

    def __getattr__(self, name: str) -> Any:
        command = getattr(self._users, name)
        if name not in WRITES:
            return command

        async def send(*arguments: Any, **options: Any) -> Any:
            self.sent = arguments
            if self.before is not None:
                await self.before(name)
            try:
                answer = await command(*arguments, **options)
            finally:
                if self.after is not None:
                    await self.after(name)
            return await command(*arguments, **options) if self.twice else answer

        return send


@pytest.fixture
async def other(server: MongoServer, database: str, driver: DriverName) -> AsyncIterator[MongoUserStore]:
    """The store of another gateway, whose clock stands still too."""
    other = MongoUserStore(server.url(database), RULES, driver, Clock())
    await other.open()
    yield other
    await other.close()


TOO_MANY = {str(number): "x" for number in range(101)}

OVERTAKEN: list[tuple[str, Callable[[UserStore], Awaitable[WriteResult]], object]] = [
    ("the same again", lambda store: store.patch("alice", patch(name="Y")), ("X", "Y")),
    ("nothing", lambda store: store.patch("alice", patch()), ("X", "X")),
    ("a creation", lambda store: store.create_if_not_exists("alice", new_user(name="Z")), ("X", "X")),
    ("a private field as it is", lambda store: store.patch("alice", patch(email=None)), ("X", "X")),
    ("a key that is not there", lambda store: store.patch("alice", patch(custom={"none": None})), ("X", "X")),
    ("a key that is there", lambda store: store.patch("alice", patch(custom={"k": "1"})), ("X", "X")),
    ("another name", lambda store: store.patch("alice", patch(name="Z")), ("X", "Z")),
    ("too much", lambda store: store.patch("alice", patch(custom=TOO_MANY)), BadUserInput),
]


@pytest.mark.parametrize(("call", "seen"), [each[1:] for each in OVERTAKEN], ids=[each[0] for each in OVERTAKEN])
async def test_what_was_left_a_moment_ago_is_no_answer(
    store: MongoUserStore, other: MongoUserStore, call: Callable[[UserStore], Awaitable[WriteResult]], seen: object
) -> None:
    """Our write is done and not answered, another gateway's comes after it and is answered, and then a call comes."""
    await other.create_if_not_exists("alice", new_user(name="A", custom={"k": "1"}))
    line, done, answered = Line(store), asyncio.Event(), asyncio.Event()

    async def hold(_: str) -> None:
        done.set()
        await answered.wait()

    line.after = hold
    first = asyncio.ensure_future(store.patch("alice", patch(name="Y")))
    await done.wait()
    line.after = None
    assert (await other.patch("alice", patch(name="X"))).changed
    late = asyncio.ensure_future(call(store))
    await asyncio.sleep(0)
    answered.set()
    assert (await first).changed
    if isinstance(seen, type):
        with pytest.raises(seen):
            await late
    else:
        result = await late
        assert result.before is not None
        assert (result.before.snapshot.name, result.after.snapshot.name) == seen
        assert result.changed == (seen[0] != seen[1])
    stored = await existing(other, "alice")
    assert stored.snapshot.name == (seen[1] if isinstance(seen, tuple) else "X")


@pytest.mark.parametrize(
    ("given", "error"), [({"locale": "en"}, NameRequired), ({}, NameRequired), ({"name": "Y"}, None)]
)
async def test_who_was_deleted_a_moment_ago_is_not_known(
    store: MongoUserStore, documents: Documents, given: dict[str, object], error: type[Exception] | None
) -> None:
    await store.create_if_not_exists("alice", new_user(name="A", email="a@example.com"))
    line, done, answered = Line(store), asyncio.Event(), asyncio.Event()

    async def hold(_: str) -> None:
        done.set()
        await answered.wait()

    line.after = hold
    first = asyncio.ensure_future(store.patch("alice", patch(name="Y")))
    await done.wait()
    line.after = None
    documents.delete_one({"_id": "alice"})
    late = asyncio.ensure_future(store.patch("alice", patch(**given)))
    await asyncio.sleep(0)
    answered.set()
    await first
    if error is None:
        result = await late
        assert (result.created, result.after.email) == (True, ())
    else:
        with pytest.raises(error):
            await late
        assert documents.find_one({"_id": "alice"}) is None


def by_hand(name: str, **more: object) -> dict[str, object]:
    return {"_id": "alice", "name": name, **more}


OF_BEFORE: dict[str, object] = {
    "custom": {"k.".replace(".", "%2E"): "1"},
    "locale": None,
    "photoUrl": None,
    "role": "default",
    "welcomeMessage": None,
    "email": [],
    "phone": [],
    "pushTokens": {},
    "createdAt": Clock().now,
    "updatedAt": Clock().now,
}
"""What a gateway of before leaves, which knows no write ids."""

FIRST_AND_AGAIN: dict[str, tuple[dict[str, object] | None, dict[str, object] | None]] = {
    "both by gateways, at one time": (None, None),
    "first by hand with a version": (by_hand("Old", version=1, email=["old@example.com"]), by_hand("New", version=1)),
    "by hand with next to nothing": (by_hand("Old", email=["old@example.com"]), by_hand("New")),
    "by a gateway, and by hand with its version": (None, by_hand("New", version=Clock().now)),
    "by hand, and by a gateway": (by_hand("Old", version=Clock().now, email=["old@example.com"]), None),
    "by gateways of before": (
        by_hand("Old", version=1, **{**OF_BEFORE, "email": ["old@example.com"]}),
        by_hand("New", version=1, **OF_BEFORE),
    ),
}


@pytest.mark.parametrize("count", [1, 4], ids=["alone", "in a group"])
@pytest.mark.parametrize("both", FIRST_AND_AGAIN.values(), ids=FIRST_AND_AGAIN)
async def test_a_deleted_user_does_not_come_back_in_the_one_who_is_created_again(
    store: MongoUserStore,
    other: MongoUserStore,
    documents: Documents,
    both: tuple[dict[str, object] | None, dict[str, object] | None],
    count: int,
) -> None:
    first, again = both
    if first is None:
        await other.create_if_not_exists("alice", new_user(name="Old", email="old@example.com"))
    else:
        documents.insert_one(dict(first))
    line = Line(store)

    async def replace_by_another(name: str) -> None:
        # The others may be created by a command of their own, during which alice may be read, and found to be nobody.
        if "alice" not in repr(line.sent):
            return
        # Marking a document is a command of its own before the one that is overtaken.
        if name == "bulk_write" and documents.find_one({"_id": "alice", "writeIds": None}) is not None:
            return
        line.before = None
        assert documents.delete_one({"_id": "alice"}).deleted_count == 1
        if again is None:
            assert (await other.create_if_not_exists("alice", new_user(name="New"))).created
        else:
            documents.insert_one(dict(again))

    line.before = replace_by_another
    calls = [store.patch("alice", patch(locale="en"))]
    calls += [store.patch(f"other {number}", patch(name="Other")) for number in range(1, count)]
    result, *others = await asyncio.gather(*calls)
    assert documents.count_documents({}) == count
    assert result.before is not None
    assert (result.before.snapshot.name, result.after.snapshot.name) == ("New", "New")
    stored = await existing(other, "alice")
    assert (stored.snapshot.name, stored.snapshot.locale, stored.email) == ("New", "en", ())
    assert stored == result.after
    assert all(each.created for each in others)


def restored(store: UserStore) -> Awaitable[object]:
    return store.put_many([record_of("alice", name="Mine", version=1)], overwrite=False, restore=True)


def put_back(store: UserStore) -> Awaitable[object]:
    return store.put_many([record_of("alice", name="Mine", version=1)], overwrite=False)


CREATIONS: dict[str, Callable[[UserStore], Awaitable[object]]] = {
    "a patch": lambda store: store.patch("alice", patch(name="Mine")),
    "a creation": lambda store: store.create_if_not_exists("alice", new_user(name="Mine")),
    "two writes": lambda store: asyncio.gather(
        store.create_if_not_exists("alice", new_user(name="Mine")), store.patch("alice", patch(locale="en"))
    ),
    "a group": lambda store: asyncio.gather(
        *(store.create_if_not_exists(each, new_user(name="Mine")) for each in ("alice", "bob", "carol"))
    ),
    "a batch": lambda store: store.patch_many({"alice": patch(name="Mine"), "bob": patch(name="Mine")}),
    "a record that is brought back": restored,
    "a record that is not": put_back,
}


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("is_written", [False, True], ids=["", "and is written at once"])
@pytest.mark.parametrize("create", CREATIONS.values(), ids=CREATIONS)
async def test_who_is_created_again_is_above_a_deletion_that_came_between(
    store: MongoUserStore,
    other: MongoUserStore,
    create: Callable[[UserStore], Awaitable[object]],
    is_written: bool,
    twice: bool,
) -> None:
    """Another gateway creates the user and deletes it after ours has looked for a deletion, and before it inserts."""
    line = Line(store)
    line.twice = twice
    deleted = 0

    async def create_and_delete(_: str) -> None:
        nonlocal deleted
        if "alice" not in repr(line.sent):
            return
        line.before = None
        await other.create_if_not_exists("alice", new_user(name="Theirs"))
        for number in range(5):
            await other.patch("alice", patch(name=f"Theirs {number}"))
        deleted = (await other.delete("alice")).version

    async def write(_: str) -> None:
        line.after = None
        await other.patch("alice", patch(role="theirs"))

    line.before = create_and_delete
    if is_written:
        line.after = write
    told = await create(store)
    stored = await get(other, "alice")
    assert deleted > Clock().now
    if create is put_back and not is_written:
        assert told == [Put.DELETED]
        assert stored is None
        return
    assert stored is not None
    assert stored.snapshot.name == "Mine"
    assert (stored.snapshot.role == "theirs") is is_written
    assert stored.snapshot.version > deleted


@pytest.mark.parametrize("writes", [0, 2], ids=["", "and created and deleted"])
async def test_of_two_deletions_one_has_deleted_the_user(
    store: MongoUserStore, other: MongoUserStore, documents: Documents, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Another gateway deletes the user after ours has kept a version for its deletion."""
    await store.create_if_not_exists("alice", new_user(name="A"))
    note, told = Deletions.note, []

    async def delete_meanwhile(deletions: Deletions, *arguments: Any) -> tuple[int, bool]:
        monkeypatch.setattr(Deletions, "note", note)
        theirs = asyncio.ensure_future(other.delete("alice"))
        ours = await note(deletions, *arguments)
        told.append(await theirs)
        for _ in range(writes):
            assert (await other.create_if_not_exists("alice", new_user(name="B"))).created
            told.append(await other.delete("alice"))
        return ours

    monkeypatch.setattr(Deletions, "note", delete_meanwhile)
    mine = await store.delete("alice")
    assert [each.deleted for each in told] == [True] * (1 + writes)
    assert not mine.deleted
    assert mine.version == (await store.deletions(["alice"]))["alice"] >= max(each.version for each in told)
    assert documents.count_documents({}) == 0


async def test_who_is_deleted_before_a_group_is_written_is_never_seen_again(
    store: MongoUserStore, documents: Documents
) -> None:
    users = [f"user {number}" for number in range(6)]
    await asyncio.gather(*(store.create_if_not_exists(user, new_user(name=user)) for user in users))
    line = Line(store)
    seen: list[dict[str, Any]] = []

    async def delete(_: str) -> None:
        line.before = None
        documents.delete_many({"_id": {"$in": users[:3]}})

    async def look(_: str) -> None:
        seen.extend(documents.find({"_id": {"$in": users[:3]}}))

    line.before, line.after = delete, look
    results = await asyncio.gather(*(store.patch(user, patch(locale="en")) for user in users), return_exceptions=True)
    assert [type(result) is NameRequired for result in results] == [True] * 3 + [False] * 3
    assert seen == []
    assert documents.count_documents({}) == 3


async def test_of_a_group_whose_users_are_written_again_at_once_each_is_known(
    store: MongoUserStore, other: MongoUserStore, documents: Documents
) -> None:
    """Some were overtaken, so it is looked who was not; and meanwhile others have written them too."""
    users = [f"user {number}" for number in range(8)]
    await asyncio.gather(*(store.create_if_not_exists(user, new_user(name=user)) for user in users))
    line = Line(store)

    async def overtake(_: str) -> None:
        line.before = None
        for user in users[:2]:
            await other.patch(user, patch(custom={"other": "first"}))
        documents.delete_one({"_id": users[7]})

    async def write_again(_: str) -> None:
        line.after = None
        for user in users[:6]:
            await other.patch(user, patch(custom={"other": "last"}))

    line.before, line.after = overtake, write_again
    results = await asyncio.gather(*(store.patch(user, patch(name="mine", custom={"mine": "x"})) for user in users))
    befores = [result.before.snapshot.custom if result.before else None for result in results]
    assert befores == [{"other": "last"}] * 2 + [{}] * 5 + [None]
    assert all(result.changed for result in results)
    for number, user in enumerate(users):
        stored = await existing(other, user)
        assert stored.snapshot.name == "mine"
        assert stored.snapshot.custom == {"mine": "x", **({"other": "last"} if number < 6 else {})}


async def test_where_nobody_can_tell_that_is_said(
    store: MongoUserStore, documents: Documents, caplog: pytest.LogCaptureFixture
) -> None:
    """One was overtaken; another was written and is deleted before anybody can look."""
    users = ["overtaken", "deleted", "written"]
    await asyncio.gather(*(store.create_if_not_exists(user, new_user(name=user)) for user in users))
    line = Line(store)

    async def overtake(_: str) -> None:
        line.before = None
        documents.update_one({"_id": "overtaken"}, {"$inc": {"version": 1}, "$set": {"name": "By hand"}})

    async def delete(_: str) -> None:
        line.after = None
        documents.delete_one({"_id": "deleted"})

    line.before, line.after = overtake, delete
    results = await asyncio.gather(*(store.patch(user, patch(locale="en")) for user in users), return_exceptions=True)
    assert [type(result) for result in results[:2]] == [StoreUnavailable] * 2
    assert not isinstance(results[2], BaseException)
    assert results[2].changed
    assert await get(store, "deleted") is None
    assert (await existing(store, "overtaken")).snapshot.name == "By hand"
    assert "is not available" not in caplog.text  # MongoDB has answered


@pytest.mark.parametrize("count", [1, 5])
async def test_a_command_that_was_done_twice_was_done(store: MongoUserStore, documents: Documents, count: int) -> None:
    """A server that has forgotten the transaction's number does a driver's second try, and says how that one went."""
    line = Line(store)
    line.twice = True
    users = [f"user {number}" for number in range(count)]
    created = await asyncio.gather(*(store.create_if_not_exists(user, new_user()) for user in users))
    assert all(result.created for result in created)
    changed = await asyncio.gather(*(store.patch(user, patch(name="B")) for user in users))
    assert [(result.changed, result.before) for result in changed] == [(True, each.after) for each in created]
    imported = [record_of(f"new {number}") for number in range(count)]
    assert await store.put_many(imported, overwrite=False) == [Put.CREATED] * count
    replaced = [record_of(user, name="C") for user in users]
    assert await store.put_many(replaced, overwrite=True) == [Put.REPLACED] * count
    assert documents.count_documents({}) == 2 * count
