"""Opening, closing, and what is there afterwards."""

import asyncio

import pytest

from tests.storage.contract.base import Connect, StoreTests, get, new_user, patch
from userline.storage.protocol import UserStore
from userline.users.errors import StoreUnavailable


class Life(StoreTests):
    async def test_users_outlive_the_store(self, connect: Connect) -> None:
        store = await connect()
        created = await store.create_if_not_exists("alice", new_user(custom={"a\0b": "c"}, email="a@example.com"))
        await store.close()
        assert await get(await connect(), "alice") == created.after

    async def test_ping_answers(self, store: UserStore) -> None:
        await store.ping()

    async def test_close_finishes_the_writes_under_way(self, connect: Connect) -> None:
        store = await connect()
        writes = [asyncio.ensure_future(store.create_if_not_exists(f"u{n}", new_user())) for n in range(100)]
        await asyncio.sleep(0)
        await store.close()
        results = await asyncio.gather(*writes)
        records = await (await connect()).get_many([f"u{n}" for n in range(100)])
        assert records == [result.after for result in results]

    async def test_a_closed_store_is_unavailable(self, connect: Connect) -> None:
        store = await connect()
        await store.close()
        await store.close()
        await self.check_unavailable(store)

    async def test_a_store_that_is_not_open_is_unavailable(self, unopened: UserStore) -> None:
        await self.check_unavailable(unopened)
        await unopened.close()

    async def check_unavailable(self, store: UserStore) -> None:
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.ping()
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.get_many(["alice"])
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.patch("alice", patch(name="Alice"))
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.create_if_not_exists("alice", new_user())
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.patch_many({"alice": patch(name="Alice")})
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.delete("alice")
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.deletions(["alice"])
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.list_users(limit=1, after=None)
