"""What any user store must do, whatever it keeps its users in: subclass ``UserStoreContract`` to hold one to it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.strategies import ODD_TEXTS, new_users, patches, user_ids
from userline.storage.protocol import MAX_BATCH, MAX_WRITES, UserStore, WriteResult
from userline.users.errors import BadUserInput, BatchRefused, NameRequired, StoreUnavailable
from userline.users.patch import UserPatch, apply, parse_new_user, parse_patch
from userline.users.record import UserRecord
from userline.users.rules import Rules

RULES = Rules()

Connect: TypeAlias = Callable[[], Awaitable[UserStore]]

steady = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    # A store serves all examples of a test; each example has users of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class Clock:
    """The stores' clock, in Unix milliseconds."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


def patch(**given: object) -> UserPatch:
    return parse_patch(given, RULES)


def new_user(**given: object) -> UserPatch:
    return parse_new_user({"name": "Alice", **given}, RULES)


async def get(store: UserStore, user_id: str) -> UserRecord | None:
    (record,) = await store.get_many([user_id])
    return record


async def existing(store: UserStore, user_id: str) -> UserRecord:
    record = await get(store, user_id)
    assert record is not None
    return record


class UserStoreContract:
    """Subclasses provide ``connect``, which returns one more opened store on this test's data, on ``clock`` and
    ``RULES``, and closes them all in the end; and ``unopened``, a store that was never opened.
    """

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def connect(self) -> Connect:
        raise NotImplementedError

    @pytest.fixture
    def unopened(self) -> UserStore:
        raise NotImplementedError

    @pytest.fixture
    async def store(self, connect: Connect) -> UserStore:
        return await connect()

    # Reads

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

    # Creating

    async def test_create_fills_in_the_defaults(self, store: UserStore, clock: Clock) -> None:
        result = await store.create_if_not_exists("alice", new_user())
        assert (result.created, result.changed, result.snapshot_changed) == (True, True, True)
        assert result.before is None
        assert result.after == apply(new_user(), None, user_id="alice", now=clock.now, rules=RULES)
        assert result.after.snapshot.version == 1
        assert result.after.snapshot.role == "default"
        assert result.after.created_at == result.after.updated_at == clock.now
        assert await get(store, "alice") == result.after

    async def test_create_leaves_an_existing_user_alone(self, store: UserStore, clock: Clock) -> None:
        first = await store.create_if_not_exists("alice", new_user())
        clock.now += 1000
        second = await store.create_if_not_exists("alice", new_user(name="Somebody else", custom={"a": "b"}))
        assert (second.created, second.changed, second.snapshot_changed) == (False, False, False)
        assert second.after is second.before
        assert second.after == first.after
        assert await get(store, "alice") == first.after

    async def test_create_past_a_limit_writes_nothing(self, store: UserStore) -> None:
        with pytest.raises(BadUserInput, match="limit is 100"):
            await store.create_if_not_exists("alice", new_user(custom={str(key): "" for key in range(101)}))
        assert await get(store, "alice") is None

    # Patching

    async def test_patch_creates(self, store: UserStore, clock: Clock) -> None:
        result = await store.patch("alice", patch(name="Alice", custom={"color": "red", "gone": None}))
        assert (result.created, result.changed, result.snapshot_changed) == (True, True, True)
        assert result.after.snapshot.custom == {"color": "red"}
        assert result.after.created_at == clock.now
        assert await get(store, "alice") == result.after

    async def test_patch_needs_a_name_to_create(self, store: UserStore) -> None:
        with pytest.raises(NameRequired):
            await store.patch("alice", patch(locale="en"))
        assert await get(store, "alice") is None

    async def test_patch_changes_what_it_names(self, store: UserStore, clock: Clock) -> None:
        created = await store.create_if_not_exists("alice", new_user(locale="en", custom={"a": "1", "b": "2"}))
        clock.now += 1000
        result = await store.patch("alice", patch(role="admin", custom={"b": "3", "c": "4"}))
        assert (result.created, result.changed, result.snapshot_changed) == (False, True, True)
        assert result.before == created.after
        after = result.after
        assert (after.snapshot.role, after.snapshot.locale, after.snapshot.name) == ("admin", "en", "Alice")
        assert after.snapshot.custom == {"a": "1", "b": "3", "c": "4"}
        assert after.snapshot.version == 2
        assert (after.created_at, after.updated_at) == (clock.now - 1000, clock.now)
        assert await get(store, "alice") == after

    async def test_null_goes_back_to_the_default(self, store: UserStore) -> None:
        everything = {
            "custom": {"a": "1"},
            "locale": "en",
            "photoUrl": "https://example.com/a.png",
            "role": "admin",
            "welcomeMessage": "Hello",
            "email": ["alice@example.com"],
            "phone": ["+14155552671"],
            "pushTokens": {"fcm:a": True},
        }
        created = await store.create_if_not_exists("alice", new_user())
        full = await store.patch("alice", patch(**everything))
        assert full.after.push_tokens == {"fcm:a"}
        assert full.after.email == ("alice@example.com",)
        cleared = await store.patch("alice", patch(**dict.fromkeys(everything)))
        assert cleared.after.snapshot.looks_like(created.after.snapshot)
        assert (cleared.after.email, cleared.after.phone, cleared.after.push_tokens) == ((), (), frozenset())
        assert cleared.after.snapshot.version == 3
        assert await get(store, "alice") == cleared.after

    async def test_a_private_change_is_written_and_not_seen(self, store: UserStore) -> None:
        await store.create_if_not_exists("alice", new_user())
        result = await store.patch("alice", patch(email="alice@example.com", pushTokens={"apns:x": True}))
        assert (result.changed, result.snapshot_changed) == (True, False)
        assert result.after.snapshot.version == 2
        assert await get(store, "alice") == result.after

    @pytest.mark.parametrize("given", [{}, {"name": "Alice"}, {"custom": {"gone": None}}, {"locale": None}])
    async def test_a_patch_that_changes_nothing(self, store: UserStore, clock: Clock, given: dict[str, object]) -> None:
        created = await store.create_if_not_exists("alice", new_user())
        clock.now += 1000
        result = await store.patch("alice", patch(**given))
        assert (result.created, result.changed, result.snapshot_changed) == (False, False, False)
        assert result.after is result.before
        assert await get(store, "alice") == created.after

    async def test_a_patch_past_a_limit_writes_nothing(self, store: UserStore) -> None:
        created = await store.create_if_not_exists("alice", new_user(custom={str(key): "" for key in range(100)}))
        with pytest.raises(BadUserInput, match="limit is 100"):
            await store.patch("alice", patch(name="Changed", custom={"one more": ""}))
        with pytest.raises(BadUserInput, match="65536 bytes"):
            await store.patch("alice", patch(name="Changed", welcomeMessage="x" * 65_536))
        assert await get(store, "alice") == created.after

    async def test_a_user_of_the_largest_size(self, store: UserStore) -> None:
        created = await store.create_if_not_exists("alice", new_user(custom={"a": "é" * 16_000, "b": "\0" * 5_000}))
        assert await get(store, "alice") == created.after

    async def test_times_never_go_back(self, store: UserStore, clock: Clock) -> None:
        created = await store.create_if_not_exists("alice", new_user())
        clock.now -= 1000
        patched = await store.patch("alice", patch(locale="en"))
        assert patched.after.updated_at == created.after.updated_at

    # Text

    async def test_any_text_comes_back_as_it_went_in(self, store: UserStore) -> None:
        custom = {text: ODD_TEXTS[-index] for index, text in enumerate(ODD_TEXTS)}
        created = await store.create_if_not_exists("alice", new_user(custom=custom))
        assert created.after.snapshot.custom == custom
        record = await existing(store, "alice")
        assert record == created.after
        assert list(record.snapshot.custom) == list(custom)
        for text in filter(str.strip, ODD_TEXTS):
            given = {"name": text, "role": text, "welcomeMessage": text, "pushTokens": {f"fcm:{text}": True}}
            result = await store.patch("alice", patch(**given))
            assert await get(store, "alice") == result.after
            assert (result.after.snapshot.name, result.after.snapshot.welcome_message) == (text, text)
            assert f"fcm:{text}" in result.after.push_tokens

    async def test_custom_keys_are_removed_by_their_whole_name(self, store: UserStore) -> None:
        await store.create_if_not_exists("alice", new_user(custom={**dict.fromkeys(ODD_TEXTS, "v"), "a": "v"}))
        left = {*ODD_TEXTS, "a"}
        for key in ODD_TEXTS:
            await store.patch("alice", patch(custom={key: None}))
            left.remove(key)
            assert set((await existing(store, "alice")).snapshot.custom) == left

    async def test_ids_are_compared_by_their_code_points(self, store: UserStore) -> None:
        ids = [text for text in ODD_TEXTS if text and "\0" not in text]
        ids += ["alice", "Alice", "ALICE", "alice ", " alice", "alice/", "/alice", "a%", "a_", "1", "01", "1.0"]
        ids += ["x" * 255, "x" * 254 + "y", "😀" * 255]
        results = [
            await store.create_if_not_exists(user_id, new_user(name=f"n{number}")) for number, user_id in enumerate(ids)
        ]
        assert all(result.created for result in results)
        records = await store.get_many(ids)
        assert records == [result.after for result in results]
        assert [record and record.snapshot.id for record in records] == ids

    # Many at once

    async def test_concurrent_patches_of_one_user_all_hold(self, store: UserStore) -> None:
        await store.create_if_not_exists("alice", new_user())
        results = await asyncio.gather(
            *(store.patch("alice", patch(custom={f"key.{number}": str(number)})) for number in range(100))
        )
        assert sorted(result.after.snapshot.version for result in results) == list(range(2, 102))
        assert all(
            result.before and result.after.snapshot.version == result.before.snapshot.version + 1 for result in results
        )
        record = await existing(store, "alice")
        assert record.snapshot.custom == {f"key.{number}": str(number) for number in range(100)}
        assert record.snapshot.version == 101

    async def test_concurrent_creates_make_one_user(self, store: UserStore) -> None:
        results = await asyncio.gather(
            *(store.create_if_not_exists("alice", new_user(name=f"Alice {number}")) for number in range(100))
        )
        assert sum(result.created for result in results) == 1
        record = await get(store, "alice")
        assert all(result.after == record for result in results)

    async def test_stores_on_the_same_data_lose_no_update(self, connect: Connect) -> None:
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
        assert versions == list(range(2, 92))
        for store in stores:
            record = await existing(store, "alice")
            assert record.snapshot.version == 91
            assert len(record.snapshot.custom) == 90

    async def test_writes_that_fail_harm_no_other(self, store: UserStore) -> None:
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
            assert record.snapshot.version == len(written)

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

    # Batches, all or nothing

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
        assert results["old"].after.snapshot.version == 2
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

    async def test_batches_that_fail_harm_no_other_write(self, store: UserStore) -> None:
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
        assert alice.snapshot.version == 40
        bobs = await store.get_many([f"bob {number}" for number in range(60)])
        assert [bob is not None for bob in bobs] == [number % 3 == 1 for number in range(60)]

    async def test_batches_with_users_in_common_lose_no_update(self, connect: Connect) -> None:
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
            assert record.snapshot.version == 13

    # Walking through all

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

    # Coming and going

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
            await store.list_users(limit=1, after=None)

    # Against the reference

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
