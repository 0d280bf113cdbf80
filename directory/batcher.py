"""Lookups of one turn of the event loop become one store read.

A DataLoader without a cache, shared by every request and socket of the process: whatever is asked for while the loop
runs its ready callbacks, and under load while a read is under way (``storage/batch_scheduler.py``), is read together,
each id once, at most ``MAX_BATCH`` ids a read. The hub is the cache.
(Strawberry's DataLoader with its cache off reads an id as often as it is asked for: docs/adr/0003.)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from userline.storage.batch_scheduler import BatchScheduler, own_errors
from userline.storage.protocol import MAX_BATCH
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.changes.hub import Hub
    from userline.storage.protocol import UserStore
    from userline.users.record import UserRecord, UserSnapshot

    Batch: TypeAlias = "dict[str, _Waiters]"

Answer = TypeVar("Answer")

_TOLD_AT_ONCE: Final = 200
"""How many lookups are answered in one turn of the event loop; the rest of a read are in the next ones."""

MOST_TRIES: Final = 5
"""How often a user is read, at most, who is created and deleted each time while the read is under way."""


class _Waiters:
    """Those who wait for one user: who wants what everybody may see, and who wants the whole record."""

    __slots__ = ("records", "snapshots", "tries")

    def __init__(self) -> None:
        self.snapshots: list[asyncio.Future[UserSnapshot | None]] = []
        self.records: list[asyncio.Future[UserRecord | None]] = []
        self.tries = 1

    def have_gone(self) -> bool:
        """Whether nobody waits any more."""
        return all(waiter.cancelled() for waiter in self.snapshots) and all(
            waiter.cancelled() for waiter in self.records
        )

    def answer(self, snapshot: UserSnapshot | None, record: UserRecord | None) -> int:
        """Answer everybody who still waits; return how many there were."""
        return _answer(self.snapshots, snapshot) + _answer(self.records, record)

    def left(self) -> list[asyncio.Future[Any]]:
        """Return everybody who still waits."""
        everybody: list[asyncio.Future[Any]] = [*self.snapshots, *self.records]
        return [waiter for waiter in everybody if not waiter.done()]


class Batcher:
    """Reads users from the store, and tells the hub. For one event loop.

    Whoever wants a user, its snapshot or the whole record, is answered by one read.
    """

    def __init__(self, store: UserStore, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._pending: Batch = {}
        self._reads: set[asyncio.Task[None]] = set()
        self._scheduler = BatchScheduler(self._dispatch, lambda: store.most_reads)
        self.reads = 0
        self.ids_read = 0

    def load(self, user_id: str) -> asyncio.Future[UserSnapshot | None]:
        """Return a future of the user's newest snapshot, or None if there is no such user.

        The store is read even if the hub holds the user, and once more where the hub cannot tell whether what the store
        said is of before or after what it knows. The future raises what the store raises.
        """
        future: asyncio.Future[UserSnapshot | None] = asyncio.get_running_loop().create_future()
        self._waiters(user_id).snapshots.append(future)
        return future

    def load_record(self, user_id: str) -> asyncio.Future[UserRecord | None]:
        """Return a future of the whole user as the store has it, or None if there is no such user.

        The future raises what the store raises.
        """
        future: asyncio.Future[UserRecord | None] = asyncio.get_running_loop().create_future()
        self._waiters(user_id).records.append(future)
        return future

    async def close(self) -> None:
        """Wait for the reads under way, and for those that wait for them."""
        while self._pending or self._reads:
            if self._pending:
                self._scheduler.begin()
            await asyncio.gather(*self._reads, return_exceptions=True)

    def _waiters(self, user_id: str) -> _Waiters:
        waiters = self._pending.get(user_id)
        if waiters is None:
            if not self._pending:
                self._scheduler.want()
            waiters = self._pending[user_id] = _Waiters()
        return waiters

    def _dispatch(self) -> bool:
        """Read those who have waited longest; return whether there are more."""
        pending, self._pending = self._pending, {}
        wanted = [(user_id, waiters) for user_id, waiters in pending.items() if not waiters.have_gone()]
        if wanted:
            self._pending = dict(wanted[MAX_BATCH:])
            task = asyncio.create_task(self._read(dict(wanted[:MAX_BATCH])))
            self._reads.add(task)
            task.add_done_callback(self._reads.discard)
            self._scheduler.has_begun()
        return bool(self._pending)

    async def _read(self, batch: Batch) -> None:
        """Read these users, and tell everybody who waits for one of them."""
        ids = list(batch)
        self.reads += 1
        self.ids_read += len(ids)
        try:
            with self._hub.reading(ids) as reading:
                try:
                    records = await self._store.get_many(ids)
                finally:
                    self._scheduler.is_answered()
                snapshots = [
                    reading.confirm(user_id, record.snapshot if record else None)
                    for user_id, record in zip(ids, records, strict=True)
                ]
        except BaseException as error:  # noqa: BLE001 - raised where the users are awaited
            failure = error
        else:
            for user_id in reading.unclear:
                self._read_again(user_id, batch[user_id])
            await _tell(batch, snapshots, records)
            return
        if len(ids) > 1 and isinstance(failure, Exception) and not isinstance(failure, StoreUnavailable):
            # Somebody's record cannot be read. Halves are read until whoever it is fails alone.
            for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
                self._scheduler.has_begun()
                await self._read({user_id: batch[user_id] for user_id in half})
            return
        left = [waiter for waiters in batch.values() for waiter in waiters.left()]
        for waiter, mine in zip(left, own_errors(failure, len(left)), strict=True):
            waiter.set_exception(mine)
        if not isinstance(failure, Exception):
            raise failure

    def _read_again(self, user_id: str, asked: _Waiters) -> None:
        """Have the next read answer who wants the snapshot of a user; who wants the record is told what was read."""
        left, asked.snapshots = [waiter for waiter in asked.snapshots if not waiter.done()], []
        if asked.tries >= MOST_TRIES:
            for waiter, mine in zip(left, own_errors(StoreUnavailable(), len(left)), strict=True):
                waiter.set_exception(mine)
        elif left:
            waiters = self._waiters(user_id)
            waiters.snapshots += left
            waiters.tries = max(waiters.tries, asked.tries + 1)


async def _tell(batch: Batch, snapshots: Sequence[UserSnapshot | None], records: Sequence[UserRecord | None]) -> None:
    told = 0
    for waiters, snapshot, record in zip(batch.values(), snapshots, records, strict=True):
        told += waiters.answer(snapshot, record)
        if told >= _TOLD_AT_ONCE:
            told = 0
            await asyncio.sleep(0)


def _answer(waiters: Sequence[asyncio.Future[Answer]], answer: Answer) -> int:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(answer)
    return len(waiters)
