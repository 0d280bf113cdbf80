"""When lookups are read: those of one turn together, and those that come while a read is under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from userline.changes.hub import Hub
from userline.directory.batcher import Batcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.storage.protocol import UserStore


class SlowStore:
    """A store without users, that answers when it is told to. ``asked`` has what was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self._answers: list[asyncio.Event] = []

    async def get_many(self, ids: Sequence[str]) -> list[None]:
        self.asked.append(list(ids))
        self._answers.append(answer := asyncio.Event())
        await answer.wait()
        return [None] * len(ids)

    def answer(self, number: int) -> None:
        self._answers[number].set()


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def batcher(store: SlowStore) -> Batcher:
    return Batcher(cast("UserStore", store), Hub())


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lookups gather for as long as a read takes."""
    monkeypatch.setattr("userline.storage.gathering._SECONDS", 60)


@pytest.mark.usefixtures("patient")
async def test_lookups_gather_while_a_read_is_under_way(store: SlowStore, batcher: Batcher) -> None:
    first = batcher.load("a")
    await turns()
    assert store.asked == [["a"]]
    later = []
    for user_id in ("b", "c", "b", "a"):
        later.append(batcher.load(user_id))
        await turns()
    assert store.asked == [["a"]]
    store.answer(0)
    assert await first is None
    await turns()
    assert store.asked == [["a"], ["b", "c", "a"]]
    alone = batcher.load("d")
    store.answer(1)
    await asyncio.gather(*later)
    await turns()
    store.answer(2)
    await alone
    assert store.asked[2:] == [["d"]]
    assert (batcher.reads, batcher.ids_read) == (3, 5)


@pytest.mark.usefixtures("patient")
async def test_the_next_read_begins_before_the_answer_to_the_last_is_passed_on(
    store: SlowStore, batcher: Batcher
) -> None:
    first = batcher.load("a")
    await turns()
    asked_then: list[list[list[str]]] = []
    first.add_done_callback(lambda _: asked_then.append(list(store.asked)))
    second = batcher.load("b")
    await turns()
    store.answer(0)
    await first
    assert asked_then == [[["a"], ["b"]]]
    store.answer(1)
    await second


async def test_a_read_that_does_not_end_makes_nobody_wait(store: SlowStore, batcher: Batcher) -> None:
    stuck = batcher.load("a")
    await turns()
    for number, user_id in enumerate("bc", start=1):
        loading = batcher.load(user_id)
        async with asyncio.timeout(5):
            while len(store.asked) == number:
                await asyncio.sleep(0.001)
        store.answer(number)
        await loading
    assert store.asked == [["a"], ["b"], ["c"]]
    assert not stuck.done()
    store.answer(0)
    await stuck


@pytest.mark.usefixtures("patient")
async def test_to_close_is_to_read_what_has_gathered(store: SlowStore, batcher: Batcher) -> None:
    loading: list[asyncio.Future[Any]] = [batcher.load("a")]
    await turns()
    loading.append(batcher.load("b"))
    await turns()
    closing = asyncio.create_task(batcher.close())
    await turns()
    assert store.asked == [["a"], ["b"]]
    store.answer(0)
    await turns()
    assert not closing.done()
    store.answer(1)
    await closing
    assert [each.done() for each in loading] == [True, True]


@pytest.mark.usefixtures("patient")
async def test_what_nobody_waits_for_any_more_is_not_read(store: SlowStore, batcher: Batcher) -> None:
    first = batcher.load("a")
    await turns()
    batcher.load("b").cancel()
    await turns()
    store.answer(0)
    await first
    await turns()
    assert store.asked == [["a"]]
    await batcher.close()
