"""Lookups of one turn of the event loop become one store read.

A DataLoader without a cache, shared by every request and socket of the process: whatever is asked for while the loop
runs its ready callbacks, and under load while a read is under way (``storage/gathering.py``), is read together, each id
once, at most ``MAX_BATCH`` ids a read. The hub is the cache.
(Strawberry's DataLoader with its cache off reads an id as often as it is asked for: docs/adr/0003.)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from userline.storage.gathering import Gathering, own_error
from userline.storage.protocol import MAX_BATCH
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.changes.hub import Hub
    from userline.storage.protocol import UserStore
    from userline.users.record import UserRecord, UserSnapshot

    Snapshots: TypeAlias = "dict[str, list[asyncio.Future[UserSnapshot | None]]]"
    Records: TypeAlias = "dict[str, list[asyncio.Future[UserRecord | None]]]"

Answer = TypeVar("Answer")

_TOLD_AT_ONCE: Final = 200
"""How many lookups are answered in one turn of the event loop; the rest of a read are in the next ones."""


class Batcher:
    """Reads users from the store, and tells the hub. For one event loop.

    Who wants a snapshot and who wants a whole record of a user are answered by one read.
    """

    def __init__(self, store: UserStore, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._snapshots: Snapshots = {}
        self._records: Records = {}
        self._reads: set[asyncio.Task[None]] = set()
        self._gathering = Gathering(self._dispatch)
        self.reads = 0
        self.ids_read = 0

    def load(self, user_id: str) -> asyncio.Future[UserSnapshot | None]:
        """Return a future of the user's newest snapshot, or None if there is no such user.

        The store is read even if the hub holds the user. The future raises what the store raises.
        """
        future: asyncio.Future[UserSnapshot | None] = asyncio.get_running_loop().create_future()
        if not self._snapshots and not self._records:
            self._gathering.want()
        self._snapshots.setdefault(user_id, []).append(future)
        return future

    def load_record(self, user_id: str) -> asyncio.Future[UserRecord | None]:
        """Return a future of the whole user as it is in the store, or None if there is no such user.

        The future raises what the store raises.
        """
        future: asyncio.Future[UserRecord | None] = asyncio.get_running_loop().create_future()
        if not self._snapshots and not self._records:
            self._gathering.want()
        self._records.setdefault(user_id, []).append(future)
        return future

    async def close(self) -> None:
        """Wait for the reads under way, and for those that wait for them."""
        while self._snapshots or self._records or self._reads:
            if self._snapshots or self._records:
                self._gathering.begin()
            await asyncio.gather(*self._reads, return_exceptions=True)

    def _dispatch(self) -> None:
        snapshots, self._snapshots = self._snapshots, {}
        records, self._records = self._records, {}
        wanted = [
            user_id
            for user_id in (snapshots | records if records else snapshots)
            if not all(waiter.cancelled() for waiter in (*snapshots.get(user_id, ()), *records.get(user_id, ())))
        ]
        for start in range(0, len(wanted), MAX_BATCH):
            task = asyncio.create_task(self._read(wanted[start : start + MAX_BATCH], snapshots, records))
            self._reads.add(task)
            task.add_done_callback(self._reads.discard)
            self._gathering.has_begun()

    async def _read(self, ids: Sequence[str], snapshots: Snapshots, records: Records) -> None:
        """Read these users, and tell everybody who waits for one of them."""
        self.reads += 1
        self.ids_read += len(ids)
        failure: BaseException
        try:
            with self._hub.reading(ids) as reading:
                try:
                    found = await self._store.get_many(ids)
                finally:
                    self._gathering.is_answered()
                newest = [
                    reading.confirm(user_id, record.snapshot if record else None)
                    for user_id, record in zip(ids, found, strict=True)
                ]
        except BaseException as error:  # noqa: BLE001 - raised where the users are awaited
            failure = error
        else:
            await _tell(ids, newest, found, snapshots, records)
            return
        if len(ids) > 1 and isinstance(failure, Exception) and not isinstance(failure, StoreUnavailable):
            # Somebody's record cannot be read. Halves are read until whoever it is fails alone.
            for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
                self._gathering.has_begun()
                await self._read(half, snapshots, records)
            return
        for user_id in ids:
            for waiter in (*snapshots.get(user_id, ()), *records.get(user_id, ())):
                if not waiter.done():
                    waiter.set_exception(own_error(failure))
        if not isinstance(failure, Exception):
            raise failure


async def _tell(
    ids: Sequence[str],
    newest: Sequence[UserSnapshot | None],
    found: Sequence[UserRecord | None],
    snapshots: Snapshots,
    records: Records,
) -> None:
    """Answer those who wait for these users."""
    told = 0
    for user_id, snapshot, record in zip(ids, newest, found, strict=True):
        if user_id in snapshots:
            told += _answer(snapshots[user_id], snapshot)
        if user_id in records:
            told += _answer(records[user_id], record)
        if told >= _TOLD_AT_ONCE:
            told = 0
            await asyncio.sleep(0)


def _answer(waiters: Sequence[asyncio.Future[Answer]], answer: Answer) -> int:
    """Answer everybody who still waits; return how many waiters there are."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(answer)
    return len(waiters)
