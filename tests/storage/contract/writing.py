"""Creating and patching one user."""

import pytest

from tests.storage.contract.base import RULES, Clock, StoreTests, get, new_user, patch
from userline.storage.protocol import UserStore
from userline.users.errors import BadUserInput, NameRequired
from userline.users.patch import apply


class Writing(StoreTests):
    async def test_create_fills_in_the_defaults(self, store: UserStore, clock: Clock) -> None:
        result = await store.create_if_not_exists("alice", new_user())
        assert (result.created, result.changed, result.snapshot_changed) == (True, True, True)
        assert result.before is None
        assert result.after == apply(new_user(), None, user_id="alice", now=clock.now, rules=RULES)
        assert result.after.snapshot.version == clock.now
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
        assert after.snapshot.version == clock.now
        assert (after.created_at, after.updated_at) == (clock.now - 1000, clock.now)
        assert await get(store, "alice") == after

    async def test_null_goes_back_to_the_default(self, store: UserStore, clock: Clock) -> None:
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
        assert cleared.after.snapshot.version == clock.now + 2
        assert await get(store, "alice") == cleared.after

    async def test_a_private_change_is_written_and_not_seen(self, store: UserStore, clock: Clock) -> None:
        await store.create_if_not_exists("alice", new_user())
        result = await store.patch("alice", patch(email="alice@example.com", pushTokens={"apns:x": True}))
        assert (result.changed, result.snapshot_changed) == (True, False)
        assert result.after.snapshot.version == clock.now + 1
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
