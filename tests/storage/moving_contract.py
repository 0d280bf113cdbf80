"""What any user store must do with whole records: subclass ``MovingContract`` beside ``UserStoreContract``."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias

import pytest

from tests.storage.contract.base import Clock
from tests.storage.records import NEWER, record_of
from userline.storage.protocol import MAX_BATCH, MAX_PUTS, UserStore
from userline.users.errors import StoreUnavailable
from userline.users.patch import parse_patch
from userline.users.replacement import Put
from userline.users.rules import Rules

Connect: TypeAlias = Callable[[], Awaitable[UserStore]]


class MovingContract:
    """Subclasses have the fixtures of ``UserStoreContract``."""

    async def test_records_are_created_as_they_are(self, store: UserStore) -> None:
        records = [record_of("b"), record_of("a", version=NEWER + 7), record_of("ü/.$", custom=MappingProxyType({}))]
        assert await store.put_many(records, overwrite=False) == [Put.CREATED] * 3
        assert await store.get_many(["b", "a", "ü/.$"]) == records
        (first, *_) = await store.get_many(["b"])
        assert first is not None
        assert list(first.snapshot.custom) == ["z", "a.b", ""]

    async def test_the_same_again_is_no_write(self, store: UserStore) -> None:
        records = [record_of("a"), record_of("b")]
        await store.put_many(records, overwrite=True)
        for overwrite in (False, True):
            assert await store.put_many(records, overwrite=overwrite) == [Put.SAME] * 2
        assert await store.get_many(["a", "b"]) == records

    async def test_an_old_record_is_created_with_a_version_of_today(self, store: UserStore, clock: Clock) -> None:
        """Who restores an export of last year may have users in it who were written and deleted since."""
        old = [record_of("a", version=1), record_of("b", version=clock.now - 1), record_of("c", version=clock.now + 1)]
        assert await store.put_many(old, overwrite=False) == [Put.CREATED] * 3
        found = await store.get_many(["a", "b", "c"])
        assert found == [record_of("a", version=clock.now), record_of("b", version=clock.now), old[2]]
        clock.now += 1000
        for overwrite in (False, True):
            assert await store.put_many(old, overwrite=overwrite) == [Put.SAME] * 3, "however late"
        assert await store.get_many(["a", "b", "c"]) == found

    async def test_users_who_exist_are_kept(self, store: UserStore) -> None:
        await store.put_many([record_of("a")], overwrite=False)
        other = record_of("a", version=NEWER + 2, name="Other")
        assert await store.put_many([other, record_of("new")], overwrite=False) == [Put.KEPT, Put.CREATED]
        assert await store.get_many(["a", "new"]) == [record_of("a"), record_of("new")]

    @pytest.mark.parametrize(("given", "then"), [(2, 2), (1, 1), (0, 1), (-6, 1), (1 - NEWER, 1)])
    async def test_users_who_exist_are_replaced_and_their_version_grows(
        self, store: UserStore, given: int, then: int
    ) -> None:
        await store.put_many([record_of("a")], overwrite=False)
        other = record_of("a", version=NEWER + given, name="Other")
        assert await store.put_many([other], overwrite=True) == [Put.REPLACED]
        assert await store.get_many(["a"]) == [record_of("a", version=NEWER + then, name="Other")]
        assert await store.put_many([other], overwrite=True) == [Put.SAME]

    async def test_a_replaced_user_has_a_version_of_today(self, store: UserStore, clock: Clock) -> None:
        await store.put_many([record_of("a", version=7)], overwrite=False)
        clock.now += 1000
        assert await store.put_many([record_of("a", version=8, name="Other")], overwrite=True) == [Put.REPLACED]
        assert await store.get_many(["a"]) == [record_of("a", version=clock.now, name="Other")]

    async def test_what_was_put_can_be_patched(self, store: UserStore) -> None:
        await store.put_many([record_of("a")], overwrite=False)
        result = await store.patch("a", parse_patch({"name": "Bob"}, Rules()))
        assert result.before == record_of("a")
        assert result.after.snapshot == replace(record_of("a").snapshot, name="Bob", version=NEWER + 1)
        assert (result.after.created_at, result.after.email) == (record_of("a").created_at, record_of("a").email)

    async def test_another_store_sees_what_was_put(self, connect: Connect) -> None:
        one, other = await connect(), await connect()
        await one.put_many([record_of("a")], overwrite=False)
        assert await other.get_many(["a"]) == [record_of("a")]

    async def test_as_many_as_are_allowed_and_no_more(self, store: UserStore) -> None:
        records = [record_of(f"u{number:04}") for number in range(MAX_PUTS + 1)]
        with pytest.raises(ValueError, match="at most 1000 records, not 1001"):
            await store.put_many(records, overwrite=False)
        assert await store.count_users() == 0
        assert await store.put_many(records[:MAX_PUTS], overwrite=False) == [Put.CREATED] * MAX_PUTS
        assert await store.count_users() == MAX_PUTS
        assert await store.list_users(limit=MAX_BATCH, after=None) == records[:MAX_PUTS]
        mixed = [records[-1], *records[1:MAX_PUTS:2]]
        assert await store.put_many(mixed, overwrite=False) == [Put.CREATED, *[Put.SAME] * (MAX_PUTS // 2)]

    async def test_none_are_none(self, store: UserStore) -> None:
        assert await store.put_many([], overwrite=True) == []

    async def test_two_records_of_one_user_are_refused(self, store: UserStore) -> None:
        with pytest.raises(ValueError, match="no two records of one user"):
            await store.put_many([record_of("a"), record_of("b"), record_of("a", name="B")], overwrite=True)
        assert await store.get_many(["a", "b"]) == [None, None]

    async def test_puts_and_patches_at_once_lose_nothing(self, connect: Connect) -> None:
        one, other = await connect(), await connect()
        await one.put_many([record_of("a")], overwrite=False)
        patches = [parse_patch({"custom": {f"k{number}": "x"}}, Rules()) for number in range(20)]
        puts = [[record_of("a", name=f"N{number}")] for number in range(5)]
        results = await asyncio.gather(
            *(other.patch("a", patch) for patch in patches), *(one.put_many(some, overwrite=True) for some in puts)
        )
        (last,) = await one.get_many(["a"])
        assert last is not None
        assert last.snapshot.version == NEWER + 20 + results[20:].count([Put.REPLACED])

    async def test_a_store_that_is_not_open(self, unopened: UserStore) -> None:
        with pytest.raises(StoreUnavailable):
            await unopened.put_many([record_of("a")], overwrite=False)
        with pytest.raises(StoreUnavailable):
            await unopened.count_users()

    async def test_a_walk_meets_everybody_once_in_order(self, store: UserStore) -> None:
        ids = [f"user {number:04}" for number in range(2 * MAX_BATCH + 1)]
        puts = [record_of(user_id) for user_id in ids]
        for start in range(0, len(puts), MAX_PUTS):
            await store.put_many(puts[start : start + MAX_PUTS], overwrite=False)
        async with aclosing(store.walk(after=None)) as walk:
            pages = [page async for page in walk]
        assert max(map(len, pages)) <= MAX_BATCH
        assert [record for page in pages for record in page] == puts
        async with aclosing(store.walk(after="user 1999")) as walk:
            assert [record.snapshot.id for page in [page async for page in walk] for record in page] == ["user 2000"]
        async with aclosing(store.walk(after=ids[-1])) as walk:
            assert [page async for page in walk] == []

    async def test_a_walk_may_be_given_up_and_users_added_meanwhile(self, store: UserStore) -> None:
        await store.put_many([record_of(user_id) for user_id in ("a", "b", "c")], overwrite=False)
        async with aclosing(store.walk(after=None)) as walk:
            assert [record.snapshot.id for record in await anext(walk)] == ["a", "b", "c"]
        await store.put_many([record_of("d")], overwrite=False)
        async with aclosing(store.walk(after="b")) as walk:
            assert [record.snapshot.id for record in await anext(walk)] == ["c", "d"]
