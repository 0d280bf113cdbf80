"""Any text in any place comes back as it went in."""

from itertools import filterfalse

from tests.storage.contract.base import StoreTests, existing, get, new_user, patch
from tests.strategies import ODD_TEXTS
from userline.storage.protocol import UserStore
from userline.users.blank import is_blank


class Text(StoreTests):
    async def test_any_text_comes_back_as_it_went_in(self, store: UserStore) -> None:
        custom = {text: ODD_TEXTS[-index] for index, text in enumerate(ODD_TEXTS)}
        created = await store.create_if_not_exists("alice", new_user(custom=custom))
        assert created.after.snapshot.custom == custom
        record = await existing(store, "alice")
        assert record == created.after
        assert list(record.snapshot.custom) == list(custom)
        for text in filterfalse(is_blank, ODD_TEXTS):
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
