"""Versions, which never go back."""

from typing import TYPE_CHECKING

import pytest

from tests.storage.contract.base import Clock, Connect, Remove, StoreTests, existing, new_user, patch
from userline.storage.protocol import UserStore, WriteResult
from userline.users.replacement import Put

if TYPE_CHECKING:
    from userline.users.record import UserRecord


class Versions(StoreTests):
    async def test_a_version_is_the_time_and_grows(self, store: UserStore, clock: Clock) -> None:
        results: list[WriteResult] = [await store.create_if_not_exists("alice", new_user())]
        for step in (0, 0, 1, 5_000, -2_000, 0, 1_000_000):
            clock.now += step
            name = f"Alice {len(results)}"
            results.append(await store.patch("alice", patch(name=name)))
        first = results[0].after.snapshot.version
        grown = [result.after.snapshot.version - first for result in results]
        assert grown == [0, 1, 2, 3, 5_001, 5_002, 5_003, 1_003_001]

    async def test_what_changes_nothing_leaves_the_version(self, store: UserStore, clock: Clock) -> None:
        created = await store.create_if_not_exists("alice", new_user())
        clock.now += 1000
        same = await store.patch("alice", patch(name="Alice"))
        again = await store.create_if_not_exists("alice", new_user())
        versions = {each.after.snapshot.version for each in (created, same, again)}
        assert versions == {created.after.snapshot.version}

    @pytest.mark.parametrize("way", ["create", "patch", "restore"])
    async def test_who_was_deleted_comes_back_with_a_greater_version(
        self, connect: Connect, clock: Clock, remove: Remove, way: str
    ) -> None:
        stores = [await connect(), await connect()]
        await stores[0].create_if_not_exists("alice", new_user())
        export: UserRecord = await existing(stores[0], "alice")
        highest = export.snapshot.version
        for number in range(6):
            store = stores[number % 2]
            clock.now += 1
            highest = (await store.patch("alice", patch(custom={str(number): "x"}))).after.snapshot.version
            await remove("alice")
            clock.now += 1
            if way == "create":
                assert (await store.create_if_not_exists("alice", new_user())).created
            elif way == "patch":
                assert (await store.patch("alice", patch(name="Alice"))).created
            else:
                assert await store.put_many([export], overwrite=False) == [Put.CREATED]
            version = (await existing(store, "alice")).snapshot.version
            assert version > highest
