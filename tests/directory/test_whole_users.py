"""What back ends read and write: whole users, several at once, page by page."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from userline.users.errors import BadUserInput, BatchRefused, ErrorCode, Forbidden, StoreUnavailable
from userline.users.patch import UserPatch
from userline.users.viewer import OPEN_VIEWER, Viewer, ViewerKind

if TYPE_CHECKING:
    from tests.support.parts import Gateway


async def test_records_are_whole_in_order_and_always_from_the_store(gateway: Gateway) -> None:
    await gateway.users.set("a", {"name": "A", "email": "a@example.com"}, viewer=OPEN_VIEWER)
    await gateway.users.set("b", {"name": "B", "pushTokens": {"fcm:b": True}}, viewer=OPEN_VIEWER)
    for _ in range(2):
        first, missing, second = await gateway.users.records(["b", "nobody", "a"])
        assert missing is None
        assert first is not None
        assert (first.snapshot.name, first.push_tokens) == ("B", frozenset({"fcm:b"}))
        assert second is not None
        assert (second.snapshot.name, second.email) == ("A", ("a@example.com",))
    assert gateway.store.reads == [["b", "nobody", "a"]] * 2


async def test_records_tell_the_hub_what_they_found(gateway: Gateway) -> None:
    await gateway.users.set("a", {"name": "A"}, viewer=OPEN_VIEWER)
    async with aclosing(gateway.watch("a")) as events:
        await anext(events)
        await gateway.store.patch("a", UserPatch(name="By another gateway"))
        await gateway.users.records(["a"])
        told = await asyncio.wait_for(anext(events), 1)
        assert told is not None
        assert told.name == "By another gateway"


@pytest.mark.parametrize("ids", [[""], ["a\0b"], ["x" * 256], [str(number) for number in range(1001)]])
async def test_records_of_ids_that_are_none(gateway: Gateway, ids: list[str]) -> None:
    with pytest.raises(BadUserInput):
        await gateway.users.records(ids)
    assert gateway.store.reads == []


async def test_many_are_written_and_everybody_hears_of_what_changed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[str] = []
    monkeypatch.setattr(gateway.bus, "publish", lambda snapshot: published.append(snapshot.id))
    await gateway.users.set("old", {"name": "Old"}, viewer=OPEN_VIEWER)
    await gateway.users.set("private", {"name": "Private"}, viewer=OPEN_VIEWER)
    published.clear()
    results = await gateway.users.set_many(
        {
            "new": {"name": "New"},
            "old": {"name": "Older"},
            "private": {"email": "p@example.com"},
        }
    )
    assert {user_id: (result.created, result.changed) for user_id, result in results.items()} == {
        "new": (True, True),
        "old": (False, True),
        "private": (False, True),
    }
    assert published == ["new", "old"]
    found = await gateway.users.get_many(["new", "old", "private"])
    assert [getattr(user, "name", None) for user in found] == ["New", "Older", "Private"]
    assert gateway.store.reads == [], "a write is known without a read"


async def test_all_that_is_wrong_with_many_is_told_and_nothing_is_written(gateway: Gateway) -> None:
    with pytest.raises(BatchRefused) as caught:
        await gateway.users.set_many({"good": {"name": "Good"}, "": {"name": ""}, "list": [], "number": {"name": 5}})
    problems = {
        user_id: [problem.field for problem in error.problems] for user_id, error in caught.value.errors.items()
    }
    assert problems == {"": ["id", "name"], "list": ["body"], "number": ["name"]}
    with pytest.raises(BatchRefused) as caught:
        await gateway.users.set_many({"good": {"name": "Good"}, "nameless": {"role": "x"}})
    assert [error.code for error in caught.value.errors.values()] == [ErrorCode.NAME_REQUIRED]
    assert gateway.store.users == {}


async def test_more_than_100_are_too_many(gateway: Gateway) -> None:
    batch = {str(number): {"name": "N"} for number in range(101)}
    with pytest.raises(BadUserInput, match="at most 100 users, not 101"):
        await gateway.users.set_many(batch)
    del batch["100"]
    assert len(await gateway.users.set_many(batch)) == 100


async def test_writes_of_many_whose_caller_goes_away_are_done_and_told(gateway: Gateway) -> None:
    gateway.store.gate.clear()
    async with aclosing(gateway.watch("a")) as events:
        first = asyncio.create_task(anext(events))
        writing = asyncio.create_task(gateway.users.set_many({"a": {"name": "A"}}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        gateway.store.gate.set()
        told = await asyncio.wait_for(first, 1) or await asyncio.wait_for(anext(events), 1)
        assert told is not None
        assert told.name == "A"


async def test_a_page_after_a_page(gateway: Gateway) -> None:
    ids = ["B", "a", "b", "é", "😀"]
    await gateway.users.set_many({user_id: {"name": user_id} for user_id in reversed(ids)})
    seen: list[str] = []
    after, more = None, True
    while more:
        records, more = await gateway.users.page(limit=2, after=after, viewer=OPEN_VIEWER)
        seen += [record.snapshot.id for record in records]
        after = seen[-1]
    assert seen == ids
    assert await gateway.users.page(limit=5, viewer=OPEN_VIEWER) == (
        list(map(gateway.store.users.__getitem__, ids)),
        False,
    )
    assert await gateway.users.page(limit=1, after="😀", viewer=OPEN_VIEWER) == ([], False)


async def test_a_page_is_for_server_tokens_whatever_asks_for_it(gateway: Gateway) -> None:
    await gateway.users.set("a", {"name": "A"}, viewer=OPEN_VIEWER)
    gateway.store.failure = StoreUnavailable()
    for limit in (1, 0):  # who may not ask is told nothing else, and the store is not asked
        with pytest.raises(Forbidden, match="Only the app's back end may list users"):
            await gateway.users.page(limit=limit, viewer=Viewer(ViewerKind.USER, "a"))
    gateway.store.failure = None
    records, _ = await gateway.users.page(limit=1, viewer=Viewer(ViewerKind.APP))
    assert [record.snapshot.id for record in records] == ["a"]


async def test_pages_that_are_none(gateway: Gateway) -> None:
    for limit in (0, -1, 101):
        with pytest.raises(BadUserInput, match="limit must be 1 to 100"):
            await gateway.users.page(limit=limit, viewer=OPEN_VIEWER)
    with pytest.raises(BadUserInput) as caught:
        await gateway.users.page(limit=1, after="", viewer=OPEN_VIEWER)
    assert caught.value.field == "startingAfter"


async def test_a_store_that_is_away(gateway: Gateway) -> None:
    gateway.store.failure = StoreUnavailable()
    for work in (
        gateway.users.records(["a"]),
        gateway.users.page(limit=1, viewer=OPEN_VIEWER),
        gateway.users.set_many({"a": {"name": "A"}}),
    ):
        with pytest.raises(StoreUnavailable):
            await work
    gateway.store.failure = None
    assert await gateway.users.records(["a"]) == [None]
