"""Reads whose answer may be of before or after what the gateway knows: the user is read once more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.directory.races import Play, turns
from tests.directory.stepped import USER, SteppedStore
from userline.changes.hub import Hub
from userline.directory.batcher import MOST_TRIES, Batcher
from userline.users.errors import StoreUnavailable
from userline.users.patch import UserPatch, apply
from userline.users.rules import Rules

if TYPE_CHECKING:
    from userline.users.record import UserSnapshot


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read begins as soon as somebody wants it and as many may be under way."""
    monkeypatch.setattr("userline.storage.batch_scheduler._SECONDS", 0)
    monkeypatch.setattr("userline.storage.batch_scheduler._PATIENCE_SECONDS", 60)


@pytest.mark.parametrize("seed", range(300))
async def test_nothing_is_answered_that_was_gone_before_it_was_asked_for(seed: int) -> None:
    await Play(seed).run(60)


def _snapshot(number: int) -> UserSnapshot:
    return apply(UserPatch(name=f"Name {number}"), None, user_id=USER, now=1_000 + number, rules=Rules()).snapshot


class Read:
    """Reads that are under way at a gateway which holds a user who is stored no longer."""

    def __init__(self) -> None:
        self.store, self.hub = SteppedStore(), Hub()
        self.store.most_reads = 1
        self.batcher = Batcher(self.store, self.hub)
        self._version = 0

    async def begin(self) -> None:
        """Have the store look, and not answer."""
        await turns()
        await self._step()

    async def answer(self, *, is_unclear: bool = False) -> None:
        """Have the store answer. Somebody tells of the user before, if that is to be unclear."""
        if is_unclear:
            self.hear()
        await self._step()

    def hear(self) -> None:
        """Be told of the user."""
        self._version += 1
        self.hub.hear(_snapshot(self._version))

    async def _step(self) -> None:
        self.store.step(0)
        await turns()


@pytest.fixture
def read() -> Read:
    read = Read()
    with read.hub.reading([USER]) as reading:
        reading.confirm(USER, _snapshot(0))
    return read


async def test_who_is_unclear_is_read_once_more_for_all_who_wait(read: Read) -> None:
    first, whole, bob = read.batcher.load(USER), read.batcher.load_record(USER), read.batcher.load("bob")
    await read.begin()
    carol = read.batcher.load("carol")
    await read.answer(is_unclear=True)
    assert await whole is None, "the whole user is as the store has it"
    assert await bob is None
    newcomer = read.batcher.load(USER)
    for _ in range(2):
        assert not first.done()
        await read.begin()
        await read.answer()
    assert not any(await asyncio.gather(carol, first, newcomer))
    assert read.store.reads == [[USER, "bob"], ["carol"], [USER]]


async def test_what_is_clear_is_read_once(read: Read) -> None:
    loading = read.batcher.load(USER)
    await read.begin()
    await read.answer()
    assert await loading is None
    assert len(read.store.reads) == 1


async def test_who_never_is_clear_is_not_read_without_end(read: Read) -> None:
    loading = [read.batcher.load(USER) for _ in range(3)]
    for _ in range(MOST_TRIES):
        assert not any(each.done() for each in loading)
        await read.begin()
        await read.answer(is_unclear=True)
    outcomes = await asyncio.gather(*loading, return_exceptions=True)
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert len(set(map(id, outcomes))) == 3, "each has one of its own"
    await read.batcher.close()
    assert len(read.store.reads) == MOST_TRIES


async def test_who_is_unclear_and_wanted_by_nobody_any_more_is_not_read_again(read: Read) -> None:
    loading = read.batcher.load(USER)
    await read.begin()
    loading.cancel()
    await read.answer(is_unclear=True)
    await read.batcher.close()
    assert len(read.store.reads) == 1


async def test_to_close_is_to_wait_until_it_is_clear(read: Read) -> None:
    loading = read.batcher.load(USER)
    await read.begin()
    closing = asyncio.create_task(read.batcher.close())
    await read.answer(is_unclear=True)
    assert not closing.done()
    await read.begin()
    await read.answer()
    await closing
    assert loading.result() is None
