"""Many calls at once."""

import asyncio
import itertools

from tests.storage.contract.base import Clock, Connect, StoreTests, existing, get, new_user, patch
from userline.storage.protocol import UserStore, WriteResult
from userline.users.errors import BadUserInput, NameRequired


class Concurrency(StoreTests):
    async def test_concurrent_patches_of_one_user_all_hold(self, store: UserStore, clock: Clock) -> None:
        await store.create_if_not_exists("alice", new_user())
        results = await asyncio.gather(
            *(store.patch("alice", patch(custom={f"key.{number}": str(number)})) for number in range(100))
        )
        assert sorted(result.after.snapshot.version for result in results) == [
            clock.now + 1 + number for number in range(100)
        ]
        assert all(
            result.before and result.after.snapshot.version == result.before.snapshot.version + 1 for result in results
        )
        record = await existing(store, "alice")
        assert record.snapshot.custom == {f"key.{number}": str(number) for number in range(100)}
        assert record.snapshot.version == clock.now + 100

    async def test_concurrent_creates_make_one_user(self, store: UserStore) -> None:
        results = await asyncio.gather(
            *(store.create_if_not_exists("alice", new_user(name=f"Alice {number}")) for number in range(100))
        )
        assert sum(result.created for result in results) == 1
        record = await get(store, "alice")
        assert all(result.after == record for result in results)

    async def test_stores_on_the_same_data_lose_no_update(self, connect: Connect, clock: Clock) -> None:
        stores = [await connect() for _ in range(3)]
        created = await asyncio.gather(
            *(stores[number % 3].create_if_not_exists("alice", new_user()) for number in range(12))
        )
        assert sum(result.created for result in created) == 1

        async def patch_one_by_one(store: UserStore, name: str) -> list[WriteResult]:
            return [await store.patch("alice", patch(custom={f"{name} {number}": "x"})) for number in range(15)]

        results = await asyncio.gather(
            *(patch_one_by_one(stores[caller % 3], f"caller {caller}") for caller in range(6))
        )
        versions = sorted(result.after.snapshot.version for one in results for result in one)
        assert versions == [clock.now + 1 + number for number in range(90)]
        for store in stores:
            record = await existing(store, "alice")
            assert record.snapshot.version == clock.now + 90
            assert len(record.snapshot.custom) == 90

    async def test_writes_that_fail_harm_no_other(self, store: UserStore, clock: Clock) -> None:
        async def write(number: int) -> WriteResult:
            user_id = f"user {number % 10}"
            if number % 3 == 0:
                return await store.patch("nobody", patch(locale="en"))
            if number % 3 == 1:
                return await store.patch(user_id, patch(name="Too much", welcomeMessage="x" * 70_000))
            return await store.patch(user_id, patch(name="Alice", custom={str(number): "x"}))

        outcomes = await asyncio.gather(*(write(number) for number in range(90)), return_exceptions=True)
        for number, outcome in enumerate(outcomes):
            expected = (NameRequired, BadUserInput, WriteResult)[number % 3]
            assert type(outcome) is expected
        assert await get(store, "nobody") is None
        for user in range(10):
            record = await existing(store, f"user {user}")
            written = {str(number) for number in range(90) if number % 3 == 2 and number % 10 == user}
            assert set(record.snapshot.custom) == written
            assert record.snapshot.name == "Alice"
            assert record.snapshot.version == clock.now - 1 + len(written)

    async def test_a_read_sees_the_writes_that_returned(self, connect: Connect) -> None:
        store, other = await connect(), await connect()
        for number in range(20):
            result = await store.patch("alice", patch(name=f"Alice {number}"))
            assert await get(store, "alice") == result.after
            assert await get(other, "alice") == result.after

    async def test_cancelled_calls_harm_no_other(self, store: UserStore) -> None:
        await store.create_if_not_exists("alice", new_user())
        writes = [asyncio.ensure_future(store.patch("alice", patch(custom={str(n): "x"}))) for n in range(40)]
        reads = [asyncio.ensure_future(store.get_many(["alice"])) for _ in range(40)]
        await asyncio.sleep(0)
        for call in itertools.chain(writes[::2], reads[::2]):
            call.cancel()
        outcomes = await asyncio.gather(*writes, *reads, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
        assert not any(isinstance(outcome, BaseException) for outcome in outcomes[1::2])
        kept = (await existing(store, "alice")).snapshot.custom
        assert {str(number) for number in range(1, 40, 2)} <= set(kept)
