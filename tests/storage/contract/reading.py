"""Reading users, and walking through all of them."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.storage.contract.base import StoreTests, get, new_user, patch
from tests.strategies import ODD_TEXTS
from userline.changes.hub import Hub
from userline.directory.batcher import Batcher
from userline.storage.protocol import MAX_BATCH, UserStore

if TYPE_CHECKING:
    from userline.users.record import UserRecord


class Reading(StoreTests):
    async def test_nobody_is_there_at_first(self, store: UserStore) -> None:
        assert await store.get_many(["alice", "bob"]) == [None, None]

    async def test_no_ids_give_no_users(self, store: UserStore) -> None:
        assert await store.get_many([]) == []

    async def test_reads_keep_order_and_length(self, store: UserStore) -> None:
        for user_id in ("a", "b", "c"):
            await store.create_if_not_exists(user_id, new_user(name=f"Name of {user_id}"))
        records = await store.get_many(["c", "nobody", "a", "c", "nobody", "b", "a"])
        names = [record and record.snapshot.name for record in records]
        assert names == ["Name of c", None, "Name of a", "Name of c", None, "Name of b", "Name of a"]

    async def test_reads_take_the_largest_batch(self, store: UserStore) -> None:
        ids = [f"user {number}" for number in range(MAX_BATCH)]
        await asyncio.gather(*(store.create_if_not_exists(user_id, new_user(name=user_id)) for user_id in ids[::2]))
        records = await store.get_many(ids[::-1])
        names = [record and record.snapshot.name for record in records]
        assert names == [None if number % 2 else f"user {number}" for number in reversed(range(MAX_BATCH))]

    async def test_a_batch_may_be_one_id_over_and_over(self, store: UserStore) -> None:
        await store.create_if_not_exists("alice", new_user())
        assert await store.get_many(["alice"] * MAX_BATCH) == [await get(store, "alice")] * MAX_BATCH

    async def test_reads_of_one_turn_are_one_of_the_store(self, store: UserStore) -> None:
        ids = [f"user {number}" for number in range(200)]
        await store.patch_many(
            {user_id: patch(name=user_id, email=f"{user_id[5:]}@example.com") for user_id in ids[::2]}
        )
        batcher = Batcher(store, Hub())
        for number in range(3):
            written = await store.patch("user 0", patch(email=f"again.{number}@example.com"))
            snapshots = [batcher.load(user_id) for user_id in ids[:150]]
            records = [batcher.load_record(user_id) for user_id in ids[50:]]
            twice = [batcher.load_record("user 0") for _ in range(2)]
            stored = await store.get_many(ids)
            assert await asyncio.gather(*snapshots) == [record and record.snapshot for record in stored[:150]]
            assert await asyncio.gather(*records) == stored[50:]
            assert await asyncio.gather(*twice) == [written.after] * 2
            assert (batcher.reads, batcher.ids_read) == (number + 1, 200 * (number + 1))
        assert store.most_reads >= 2
        await batcher.close()

    async def test_nobody_is_listed_at_first(self, store: UserStore) -> None:
        assert await store.list_users(limit=10, after=None) == []
        assert await store.list_users(limit=10, after="alice") == []

    async def test_users_are_listed_in_the_order_of_their_code_points(self, store: UserStore) -> None:
        ids = [text for text in ODD_TEXTS if text and "\0" not in text]
        ids += ["a", "B", "b", "a/", "Z", "é", "z", "ﬀ", "\uffee", "😀", "😀😀", "10", "9", "~", "x" * 255]
        ids = list(dict.fromkeys(ids))
        await store.patch_many({user_id: patch(name="x", email="a@example.com") for user_id in ids})
        everybody = await store.list_users(limit=MAX_BATCH, after=None)
        assert [record.snapshot.id for record in everybody] == sorted(ids)
        assert everybody == await store.get_many(sorted(ids))
        walked: list[UserRecord] = []
        while page := await store.list_users(limit=4, after=walked[-1].snapshot.id if walked else None):
            walked += page
        assert walked == everybody

    async def test_the_id_to_list_after_need_not_exist(self, store: UserStore) -> None:
        await store.patch_many({user_id: patch(name="x") for user_id in ("a", "b", "c")})
        after = {user_id: await store.list_users(limit=2, after=user_id) for user_id in ("A", "a", "a\uffff", "c")}
        ids = {user_id: [record.snapshot.id for record in page] for user_id, page in after.items()}
        assert ids == {"A": ["a", "b"], "a": ["b", "c"], "a\uffff": ["b", "c"], "c": []}

    @pytest.mark.parametrize("limit", [-1, 0, MAX_BATCH + 1])
    async def test_lists_of_no_size(self, store: UserStore, limit: int) -> None:
        with pytest.raises(ValueError, match=f"1 to {MAX_BATCH}"):
            await store.list_users(limit=limit, after=None)
