"""Batches of patches, all or nothing."""

import asyncio

import pytest

from tests.storage.contract.base import RULES, Clock, Connect, StoreTests, existing, get, new_user, patch
from tests.strategies import ODD_TEXTS
from userline.storage.protocol import MAX_WRITES, UserStore, WriteResult
from userline.users.errors import BatchRefused, NameRequired
from userline.users.patch import apply


class Batches(StoreTests):
    async def test_a_batch_patches_each_user(self, store: UserStore, clock: Clock) -> None:
        created = await store.create_if_not_exists("old", new_user(custom={"a": "1", "b": "2"}))
        same = await store.create_if_not_exists("same", new_user())
        clock.now += 1000
        results = await store.patch_many(
            {
                "old": patch(email="a@example.com", custom={"a": None}),
                "new": patch(name="New"),
                "same": patch(name="Alice"),
            }
        )
        assert list(results) == ["old", "new", "same"]
        assert [result.created for result in results.values()] == [False, True, False]
        assert results["old"].before == created.after
        assert results["old"].after.snapshot.custom == {"b": "2"}
        assert results["old"].after.snapshot.version == clock.now
        assert results["new"].after == apply(patch(name="New"), None, user_id="new", now=clock.now, rules=RULES)
        assert results["same"].after is results["same"].before
        assert results["same"].after == same.after
        assert await store.get_many(list(results)) == [result.after for result in results.values()]

    async def test_a_batch_of_nothing(self, store: UserStore) -> None:
        assert await store.patch_many({}) == {}

    async def test_the_largest_batch_and_one_more(self, store: UserStore) -> None:
        most = {f"user {number}": patch(name=f"n{number}") for number in range(MAX_WRITES)}
        results = await store.patch_many(most)
        assert await store.get_many(list(most)) == [results[user_id].after for user_id in most]
        with pytest.raises(ValueError, match=f"at most {MAX_WRITES}"):
            await store.patch_many({**most, "one more": patch(name="x")})
        assert await get(store, "one more") is None

    async def test_a_batch_with_a_bad_patch_writes_nothing(self, store: UserStore) -> None:
        created = await store.create_if_not_exists("alice", new_user(custom={str(key): "" for key in range(100)}))
        with pytest.raises(BatchRefused) as refused:
            await store.patch_many(
                {
                    "bob": patch(name="Bob"),
                    "alice": patch(name="Changed", custom={"one more": ""}),
                    "nameless": patch(locale="en"),
                    "carol": patch(name="Carol"),
                }
            )
        errors = refused.value.errors
        assert list(errors) == ["alice", "nameless"]
        assert errors["alice"].field == "custom"
        assert isinstance(errors["nameless"], NameRequired)
        assert await store.get_many(["bob", "alice", "nameless", "carol"]) == [None, created.after, None, None]

    async def test_a_batch_takes_any_text(self, store: UserStore) -> None:
        ids = [text for text in ODD_TEXTS if text and "\0" not in text]
        custom = dict.fromkeys(ODD_TEXTS, "\0")
        results = await store.patch_many({user_id: patch(name="x", custom=custom) for user_id in ids})
        assert await store.get_many(ids) == [results[user_id].after for user_id in ids]
        assert all(list(result.after.snapshot.custom) == list(custom) for result in results.values())

    async def test_batches_that_fail_harm_no_other_write(self, store: UserStore, clock: Clock) -> None:
        async def write(number: int) -> object:
            key = patch(name="Alice", custom={str(number): "x"})
            if number % 3 == 0:
                return await store.patch_many({"alice": key, "nameless": patch(locale="en")})
            if number % 3 == 1:
                return await store.patch_many({"alice": key, f"bob {number}": key})
            return await store.patch("alice", key)

        outcomes = await asyncio.gather(*(write(number) for number in range(60)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [BatchRefused, dict, WriteResult] * 20
        alice = await existing(store, "alice")
        assert set(alice.snapshot.custom) == {str(number) for number in range(60) if number % 3}
        assert alice.snapshot.version == clock.now + 39
        bobs = await store.get_many([f"bob {number}" for number in range(60)])
        assert [bob is not None for bob in bobs] == [number % 3 == 1 for number in range(60)]

    async def test_batches_with_users_in_common_lose_no_update(self, connect: Connect, clock: Clock) -> None:
        stores = [await connect(), await connect()]
        ids = [f"user {number}" for number in range(5)]
        await stores[0].patch_many({user_id: patch(name="x") for user_id in ids})

        async def write(number: int) -> None:
            key = patch(custom={str(number): "x"})
            order = ids if number % 2 else ids[::-1]
            await stores[number % 2].patch_many(dict.fromkeys(order, key))

        await asyncio.gather(*(write(number) for number in range(12)))
        for record in await stores[0].get_many(ids):
            assert record is not None
            assert set(record.snapshot.custom) == {str(number) for number in range(12)}
            assert record.snapshot.version == clock.now + 12
