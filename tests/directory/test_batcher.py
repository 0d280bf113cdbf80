"""When lookups are read: those of one turn together, and those that come while a read is under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from userline.changes.hub import Hub
from userline.directory.batcher import Batcher
from userline.storage.protocol import MAX_BATCH
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.storage.protocol import UserStore


class SlowStore:
    """A store without users, that answers when it is told to. ``asked`` has what was asked for.

    It can read any number but for ``unreadable`` ones, for whose sake a read fails as a whole.
    """

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.most_reads = 2
        self.unreadable: set[str] = set()
        self.failure: Exception | None = None
        self.is_quick = False
        self._answers: list[asyncio.Event] = []

    async def get_many(self, ids: Sequence[str]) -> list[None]:
        self.asked.append(list(ids))
        self._answers.append(answer := asyncio.Event())
        if not self.is_quick:
            await answer.wait()
        if self.failure is not None:
            raise self.failure
        for user_id in self.unreadable.intersection(ids):
            raise UnicodeDecodeError("utf-8", user_id.encode(), 0, 1, "not text")
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
    monkeypatch.setattr("userline.storage.batch_scheduler._SECONDS", 60)
    monkeypatch.setattr("userline.storage.batch_scheduler._PATIENCE_SECONDS", 60)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read begins in each turn, as long as as many may be under way."""
    monkeypatch.setattr("userline.storage.batch_scheduler._SECONDS", 0)
    monkeypatch.setattr("userline.storage.batch_scheduler._PATIENCE_SECONDS", 60)


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


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("most", [1, 2, 3, 8])
async def test_who_comes_while_as_many_reads_as_help_are_under_way_is_read_in_the_order_of_coming(
    store: SlowStore, batcher: Batcher, most: int
) -> None:
    store.most_reads = most
    loading = []
    for number in range(3 * MAX_BATCH):
        loading.append(batcher.load(f"{number}"))
        if number < 10:
            await asyncio.sleep(0.002)
            assert len(store.asked) == min(number + 1, most)
    await turns()
    answered = 0
    while answered < len(store.asked):
        assert len(store.asked) - answered <= most
        store.answer(answered)
        answered += 1
        await turns()
    await asyncio.gather(*loading)
    asked = [int(user_id) for ids in store.asked for user_id in ids]
    assert asked == list(range(3 * MAX_BATCH)), "who came first was read first"
    assert len(store.asked) <= most + 4, "what waited was read together"


async def test_reads_that_do_not_end_make_others_wait_for_a_while_only(
    store: SlowStore, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("userline.storage.batch_scheduler._PATIENCE_SECONDS", 0.05)
    stuck = []
    for number in range(5):
        stuck.append(batcher.load(f"stuck {number}"))
        async with asyncio.timeout(5):
            while len(store.asked) <= number:
                await asyncio.sleep(0.001)
    alive = batcher.load("alive")
    async with asyncio.timeout(5):
        while len(store.asked) <= 5:
            await asyncio.sleep(0.001)
    store.answer(5)
    assert await asyncio.wait_for(alive, 5) is None
    assert not any(each.done() for each in stuck)
    for number in range(5):
        store.answer(number)
    await asyncio.gather(*stuck)


async def test_snapshots_and_whole_records_are_read_together(store: SlowStore, batcher: Batcher) -> None:
    loading: list[asyncio.Future[Any]] = []
    for number in range(600):
        loading += [batcher.load(f"{number}"), batcher.load_record(f"{number + 300}"), batcher.load_record("0")]
    store.is_quick = True
    assert set(await asyncio.gather(*loading)) == {None}
    assert [len(ids) for ids in store.asked] == [900]
    assert (batcher.reads, batcher.ids_read) == (1, 900)


@pytest.mark.parametrize("count", [2, 3, 7, 64, 1000, 1500])
@pytest.mark.parametrize("bad", [(0,), (1,), (-1,), (0, -1), (0, 1)])
async def test_what_cannot_be_read_fails_alone(
    store: SlowStore, batcher: Batcher, count: int, bad: tuple[int, ...]
) -> None:
    store.is_quick = True
    ids = [f"{number}" for number in range(count)]
    store.unreadable = {ids[number] for number in bad}
    loading: list[asyncio.Future[Any]] = [
        *map(batcher.load, ids),
        *map(batcher.load_record, ids),
        *map(batcher.load_record, ids),
    ]
    outcomes = await asyncio.gather(*loading, return_exceptions=True)
    failed = {number % count for number, outcome in enumerate(outcomes) if outcome is not None}
    assert {ids[number] for number in failed} == store.unreadable
    errors = [outcome for outcome in outcomes if outcome is not None]
    assert all(isinstance(error, UnicodeDecodeError) for error in errors)
    assert len(errors) == len(set(map(id, errors))) == 3 * len(store.unreadable), "each has one of its own"
    assert len(store.asked) <= 2 + 2 * 11 * len(bad)


async def test_a_store_that_is_away_is_asked_once_and_each_is_told(store: SlowStore, batcher: Batcher) -> None:
    store.is_quick = True
    store.failure = StoreUnavailable()
    loading: list[asyncio.Future[Any]] = [*map(batcher.load, "abc"), *map(batcher.load_record, "bcd")]
    outcomes = await asyncio.gather(*loading, return_exceptions=True)
    assert len(store.asked) == 1
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert len(set(map(id, outcomes))) == len(outcomes)


async def test_who_goes_away_takes_nobody_along(store: SlowStore, batcher: Batcher) -> None:
    loading: list[asyncio.Future[Any]] = [load("a") for load in (batcher.load, batcher.load_record) for _ in range(4)]
    gone = batcher.load_record("b")
    gone.cancel()
    loading[0].cancel()
    await turns()
    loading[5].cancel()
    store.answer(0)
    outcomes = await asyncio.gather(*loading, return_exceptions=True)
    cancelled = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, asyncio.CancelledError)]
    assert cancelled == [0, 5]
    assert store.asked == [["a"]]
