"""Deleting users, and what comes after."""

import asyncio
import itertools
from random import Random

import pytest

from tests.storage.contract.base import Clock, Connect, Remove, StoreTests, existing, get, new_user, patch
from tests.storage.records import record_of
from tests.strategies import ODD_TEXTS
from userline.storage.protocol import MAX_BATCH, DeleteResult, UserStore
from userline.users.errors import NameRequired, UserlineError
from userline.users.replacement import Put
from userline.users.versions import LARGEST_VERSION

SEEDS = 6


class Deleting(StoreTests):
    async def test_a_user_who_was_deleted_is_gone(self, connect: Connect, clock: Clock) -> None:
        store, other = await connect(), await connect()
        full = new_user(custom={"a": "b"}, email="a@example.com", pushTokens={"fcm:x": True})
        created = await store.create_if_not_exists("alice", full)
        bob = await store.create_if_not_exists("bob", new_user())
        clock.now += 1000
        done = await store.delete("alice")
        assert done == DeleteResult(deleted=True, version=clock.now)
        assert done.version > created.after.snapshot.version
        for each in (store, other):
            assert await each.get_many(["alice", "bob", "alice"]) == [None, bob.after, None]
            assert await each.list_users(limit=10, after=None) == [bob.after]
            assert [record async for page in each.walk(after=None) for record in page] == [bob.after]
            assert await each.deletions(["bob", "alice", "nobody"]) == {"alice": done.version}

    async def test_repeating_it_is_a_success(self, connect: Connect, clock: Clock) -> None:
        stores = [await connect(), await connect()]
        await stores[0].create_if_not_exists("alice", new_user())
        first = await stores[0].delete("alice")
        for store in (*stores, *stores):
            clock.now += 1000
            assert await store.delete("alice") == DeleteResult(deleted=False, version=first.version)
        assert await stores[1].delete("nobody") == DeleteResult(deleted=False, version=0)
        assert await stores[0].deletions(["nobody"]) == {}

    async def test_any_id(self, store: UserStore) -> None:
        ids = [text for text in ODD_TEXTS if text and "\0" not in text] + ["x" * 255, "a/b", "😀" * 255]
        for user_id in ids:
            await store.create_if_not_exists(user_id, new_user())
        assert all([(await store.delete(user_id)).deleted for user_id in ids[::2]])
        assert await store.get_many(ids[::2]) == [None] * len(ids[::2])
        assert None not in await store.get_many(ids[1::2])
        assert set(await store.deletions(ids)) == set(ids[::2])

    async def test_only_a_name_brings_it_back(self, store: UserStore) -> None:
        created = await store.create_if_not_exists("alice", new_user(custom={"a": "b"}, email="a@example.com"))
        await store.delete("alice")
        with pytest.raises(NameRequired):
            await store.patch("alice", patch(locale="en"))
        assert await get(store, "alice") is None
        back = await store.patch("alice", patch(name="New"))
        assert back.created
        assert (back.after.snapshot.custom, back.after.email) == ({}, ()), "nothing of the one before"
        assert await get(store, "alice") == back.after
        assert back.after.snapshot.version > created.after.snapshot.version

    async def test_most_ids_and_one_more(self, store: UserStore) -> None:
        ids = [f"u{number}" for number in range(MAX_BATCH + 1)]
        await store.create_if_not_exists("u7", new_user())
        done = await store.delete("u7")
        assert await store.deletions(ids[:MAX_BATCH]) == {"u7": done.version}
        assert await store.deletions([]) == {}
        with pytest.raises(ValueError, match=f"at most {MAX_BATCH}"):
            await store.deletions(ids)

    @pytest.mark.parametrize("way", ["create", "patch", "batch", "restore"])
    @pytest.mark.parametrize("back", [0, 5_000, 10**12])
    async def test_a_version_never_comes_back_whatever_the_clock_says(
        self, connect: Connect, clock: Clock, way: str, back: int
    ) -> None:
        """The clock went back between deletion and re-creation, or another gateway's is behind."""
        stores = [await connect(), await connect()]
        await stores[0].create_if_not_exists("alice", new_user())
        export = await existing(stores[0], "alice")
        highest = 0
        for number in range(50):  # many writes in one millisecond
            highest = (await stores[0].patch("alice", patch(custom={"n": str(number)}))).after.snapshot.version
        for turn in range(4):
            store, other = stores[turn % 2], stores[1 - turn % 2]
            deletion = await store.delete("alice")
            assert deletion.version > highest
            clock.now -= back
            if way == "create":
                await other.create_if_not_exists("alice", new_user())
            elif way == "patch":
                await other.patch("alice", patch(name="Alice"))
            elif way == "batch":
                await other.patch_many({"alice": patch(name="Alice"), "bob": patch(name="Bob")})
            else:
                assert await other.put_many([export], overwrite=False) == [Put.DELETED]
                assert await get(other, "alice") is None
                assert await other.put_many([export], overwrite=False, restore=True) == [Put.CREATED]
            highest = (await existing(store, "alice")).snapshot.version
            assert highest > deletion.version
            clock.now += back

    async def test_the_largest_version_can_be_deleted_and_created_again(self, store: UserStore) -> None:
        await store.put_many([record_of("alice", version=LARGEST_VERSION)], overwrite=False)
        assert (await store.delete("alice")).deleted
        assert (await store.create_if_not_exists("alice", new_user())).after.snapshot.version == LARGEST_VERSION
        assert (await store.delete("alice")).deleted
        assert await get(store, "alice") is None

    async def test_a_record_from_before_the_deletion_is_not_brought_back_without_a_word(
        self, connect: Connect, clock: Clock
    ) -> None:
        store, other = await connect(), await connect()
        ids = [f"user {number}" for number in range(8)]
        for user_id in ids:
            await store.create_if_not_exists(user_id, new_user())
        export = [record for record in await store.get_many(ids) if record is not None]
        clock.now += 1000
        for user_id in ids[::2]:
            await store.delete(user_id)
        assert await other.put_many(export, overwrite=True) == [Put.DELETED, Put.SAME] * 4
        assert [record is None for record in await store.get_many(ids)] == [True, False] * 4
        newer = record_of(ids[0], version=clock.now + 1)
        assert await other.put_many([newer], overwrite=False) == [Put.CREATED], "it was created again elsewhere"
        assert await get(store, ids[0]) == newer
        done = await other.put_many(export, overwrite=False, restore=True)
        assert done == [Put.KEPT, Put.SAME, *[Put.CREATED, Put.SAME] * 3]
        again = await other.put_many(export, overwrite=True, restore=False)
        assert again[1:] == [Put.SAME] * 7
        assert again[0] is Put.REPLACED

    async def test_what_was_removed_by_hand_comes_back_by_an_import(
        self, store: UserStore, clock: Clock, remove: Remove
    ) -> None:
        await store.create_if_not_exists("alice", new_user())
        export = await existing(store, "alice")
        clock.now += 1000
        await remove("alice")
        assert await store.delete("alice") == DeleteResult(deleted=False, version=0)
        assert await store.put_many([export], overwrite=False) == [Put.CREATED]

    @pytest.mark.parametrize("seed", range(SEEDS))
    async def test_deletions_among_other_writes(self, connect: Connect, clock: Clock, seed: int) -> None:
        """Whatever comes together: nothing fails, versions only grow, and what was deleted last is gone."""
        chance = Random(seed)
        stores = [await connect(), await connect()]
        ids = ["a", "b", "c"]
        seen: dict[str, list[int]] = {user_id: [] for user_id in ids}

        async def write(number: int) -> None:
            user_id, store = chance.choice(ids), chance.choice(stores)
            clock.now += chance.randint(-3, 3)
            kind = chance.random()
            if kind < 0.3:
                done = await store.delete(user_id)
                versions = [done.version] if done.deleted else []
            elif kind < 0.5:
                result = await store.create_if_not_exists(user_id, new_user())
                versions = [result.after.snapshot.version] if result.created else []
            else:
                given = {"name": "N"} if kind < 0.7 else {}
                try:
                    result = await store.patch(user_id, patch(custom={str(number): "x"}, **given))
                except NameRequired:
                    return
                versions = [result.after.snapshot.version]
            seen[user_id] += versions

        for _ in range(6):
            outcomes = await asyncio.gather(*map(write, range(20)), return_exceptions=True)
            assert [each for each in outcomes if isinstance(each, BaseException)] == []
        for user_id, versions in seen.items():
            assert versions
            # One after the other, as each call ends before the next begins.
            last = max(versions)
            for store in stores:
                clock.now -= 10
                deletion = await store.delete(user_id)
                assert await get(store, user_id) is None
                created = await store.patch(user_id, patch(name="Last"))
                assert last < created.after.snapshot.version > deletion.version
                assert not deletion.deleted or deletion.version > last
                last = created.after.snapshot.version

    async def test_a_user_who_is_being_written_can_be_deleted(self, connect: Connect) -> None:
        """Patches without a name, before, at and after the deletion: none of them brings the user back."""
        stores = [await connect(), await connect()]
        for turn in range(8):
            await stores[0].create_if_not_exists("alice", new_user())
            patches = [
                stores[number % 2].patch("alice", patch(custom={f"{turn}.{number}": "x"})) for number in range(12)
            ]
            deleting = stores[turn % 2].delete("alice")
            calls = [*patches[:turn], deleting, *patches[turn:]]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert all(not isinstance(each, BaseException) or isinstance(each, NameRequired) for each in outcomes)
            done = outcomes[turn]
            assert isinstance(done, DeleteResult)
            assert done.deleted
            assert await stores[1 - turn % 2].get_many(["alice"]) == [None]
            assert await get(stores[0], "alice") is None

    async def test_deletions_of_one_user_at_once(self, connect: Connect) -> None:
        stores = [await connect(), await connect()]
        await stores[0].create_if_not_exists("alice", new_user())
        done = await asyncio.gather(*(store.delete("alice") for store in stores for _ in range(10)))
        assert any(each.deleted for each in done)
        assert sum(each.deleted for each in done) <= len(stores), "of one store at most one has deleted it"
        assert await get(stores[0], "alice") is None

    async def test_cancelled_deletions_harm_no_other(self, store: UserStore) -> None:
        ids = [f"user {number}" for number in range(20)]
        for user_id in ids:
            await store.create_if_not_exists(user_id, new_user())
        calls = [asyncio.ensure_future(store.delete(user_id)) for user_id in itertools.chain(ids, ids)]
        await asyncio.sleep(0)
        for call in calls[:20:2]:
            call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert not [each for each in outcomes[20:] if isinstance(each, UserlineError | AssertionError)]
        assert await store.get_many(ids) == [None] * len(ids)
