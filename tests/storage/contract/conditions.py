"""Writes under a condition: whether it holds is seen in the same step as they are done."""

import asyncio

import pytest

from tests.storage.contract.base import Clock, Connect, StoreTests, existing, get, new_user, patch
from userline.storage.protocol import DeleteResult
from userline.users.condition import ANY, Condition
from userline.users.errors import ConditionFailed, NameRequired


def at(*versions: int) -> Condition:
    return Condition(frozenset(versions))


class Conditions(StoreTests):
    async def test_a_write_under_a_condition_that_holds(self, connect: Connect, clock: Clock) -> None:
        store, other = await connect(), await connect()
        absent = Condition(unwanted=ANY)
        version = (await store.patch("alice", patch(name="Alice").under(absent))).after.snapshot.version
        for name, condition in (
            ("B", at(1, version)),
            ("C", Condition(ANY)),
            ("D", Condition(unwanted=frozenset({1}))),
        ):
            clock.now += 10
            assert (await other.patch("alice", patch(name=name).under(condition))).changed
        version = (await existing(store, "alice")).snapshot.version
        assert not (await store.patch("alice", patch(name="D").under(at(version)))).changed
        assert (await store.delete("alice", at(version))).deleted
        assert (await store.patch("alice", patch(name="E").under(absent))).created

    async def test_one_that_does_not_hold_writes_nothing(self, connect: Connect, clock: Clock) -> None:
        store, other = await connect(), await connect()
        old = (await store.create_if_not_exists("alice", new_user())).after.snapshot.version
        clock.now += 10
        await other.patch("alice", patch(welcomeMessage="newer"))
        before = await get(store, "alice")
        assert before is not None
        version = before.snapshot.version
        refusing = [at(old), at(), Condition(unwanted=ANY), Condition(ANY, frozenset({version})), at(version + 1)]
        for each in (store, other, store):
            for condition in refusing:
                with pytest.raises(ConditionFailed):
                    await each.patch("alice", patch(name="B").under(condition))
                with pytest.raises(ConditionFailed):
                    await each.patch("alice", patch(name=before.snapshot.name).under(condition))
                with pytest.raises(ConditionFailed):
                    await each.delete("alice", condition)
        assert await get(other, "alice") == before
        assert await store.deletions(["alice"]) == {}

    async def test_nobody_has_a_version(self, connect: Connect) -> None:
        store = await connect()
        created = await store.create_if_not_exists("gone", new_user())
        await store.delete("gone")
        for user_id in ("nobody", "gone"):
            for condition in (at(created.after.snapshot.version), Condition(ANY)):
                with pytest.raises(ConditionFailed):
                    await store.patch(user_id, patch(name="A").under(condition))
                with pytest.raises(ConditionFailed):
                    await store.delete(user_id, condition)
            assert not (await store.delete(user_id, Condition(unwanted=ANY))).deleted
            with pytest.raises(NameRequired):
                await store.patch(user_id, patch(locale="en").under(Condition(unwanted=ANY)))
        assert await store.get_many(["nobody", "gone"]) == [None, None]

    async def test_of_those_who_have_read_the_same_state_one_writes(self, connect: Connect, clock: Clock) -> None:
        """Whatever they write, and through whichever gateway: it is the next state that the others do not know."""
        stores = [await connect(), await connect(), await connect()]
        for turn in range(8):
            created = await stores[0].patch("alice", patch(name=f"turn {turn}"))
            condition = at(created.after.snapshot.version)
            clock.now += 10
            writes = [
                *(
                    store.patch("alice", patch(custom={str(number): "x"}).under(condition))
                    for number, store in enumerate(stores * 2)
                ),
                *((store.delete("alice", condition) for store in stores) if turn % 2 else ()),
            ]
            outcomes = await asyncio.gather(*writes, return_exceptions=True)
            done = [outcome for outcome in outcomes if not isinstance(outcome, ConditionFailed)]
            assert len(done) == 1, outcomes
            now = await get(stores[1], "alice")
            if isinstance(done[0], DeleteResult):
                assert now is None
            else:
                assert now is not None
                assert len(now.snapshot.custom) == 1
            clock.now += 10
            await stores[2].delete("alice")
