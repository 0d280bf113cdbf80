"""What a store does, held to what ``apply`` says."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.contract.base import RULES, Clock, StoreTests, get, new_user
from tests.strategies import new_users, patches, user_ids
from userline.storage.protocol import UserStore, WriteResult
from userline.users.errors import NameRequired
from userline.users.patch import UserPatch, apply

if TYPE_CHECKING:
    from userline.users.record import UserRecord

steady = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    # A store serves all examples of a test; each example has users of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class Reference(StoreTests):
    @steady
    @given(ids=st.lists(user_ids, min_size=1, max_size=3, unique=True), data=st.data())
    async def test_it_does_what_apply_says(
        self, store: UserStore, clock: Clock, ids: list[str], data: st.DataObject
    ) -> None:
        prefix = f"{clock.now} "
        users: dict[str, UserRecord] = {}
        for _ in range(data.draw(st.integers(1, 10), label="steps")):
            user_id = prefix + data.draw(st.sampled_from(ids), label="user")
            clock.now += 1
            before = users.get(user_id)
            result: WriteResult | None = None
            if data.draw(st.booleans(), label="create"):
                wanted = data.draw(new_users, label="new user")
                result = await store.create_if_not_exists(user_id, wanted)
                expected = before or apply(wanted, None, user_id=user_id, now=clock.now, rules=RULES)
            else:
                wanted = data.draw(patches, label="patch")
                try:
                    expected = apply(wanted, before, user_id=user_id, now=clock.now, rules=RULES)
                except NameRequired:
                    with pytest.raises(NameRequired):
                        await store.patch(user_id, wanted)
                    continue
                result = await store.patch(user_id, wanted)
            assert (result.before, result.after) == (before, expected)
            assert (result.after is result.before) == (expected is before)
            users[user_id] = expected
        asked = [prefix + user_id for user_id in ids]
        assert await store.get_many(asked) == [users.get(user_id) for user_id in asked]

    @steady
    @given(wanted=st.lists(patches, min_size=2, max_size=12))
    async def test_concurrent_writes_happen_one_after_the_other(
        self, store: UserStore, clock: Clock, wanted: list[UserPatch]
    ) -> None:
        clock.now += 1
        user_id = str(clock.now)
        created = await store.create_if_not_exists(user_id, new_user())
        results = await asyncio.gather(*(store.patch(user_id, one) for one in wanted))
        for one, result in zip(wanted, results, strict=True):
            assert result.after == apply(one, result.before, user_id=user_id, now=clock.now, rules=RULES)
        history = sorted(
            (result for result in results if result.changed), key=lambda result: result.after.snapshot.version
        )
        newest = created.after
        for result in history:
            assert result.before == newest
            newest = result.after
        assert await get(store, user_id) == newest
