"""Lookups of one turn of the event loop become one store read.

A DataLoader without a cache, shared by every request and socket of the process: whatever is asked for while the loop
runs its ready callbacks, and under load while a read is under way (``storage/gathering.py``), is read together, each id
once, at most ``MAX_BATCH`` ids a read. The hub is the cache.
(Strawberry's DataLoader with its cache off reads an id as often as it is asked for: docs/adr/0003.)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

from userline.storage.gathering import Gathering
from userline.storage.protocol import MAX_BATCH

if TYPE_CHECKING:
    from userline.changes.hub import Hub
    from userline.storage.protocol import UserStore
    from userline.users.record import UserSnapshot

_TOLD_AT_ONCE: Final = 200
"""How many lookups are answered in one turn of the event loop; the rest of a read are in the next ones."""

Waiters: TypeAlias = "list[asyncio.Future[UserSnapshot | None]]"


class Batcher:
    """Reads snapshots from the store through the hub. For one event loop."""

    def __init__(self, store: UserStore, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._pending: dict[str, Waiters] = {}
        self._reads: set[asyncio.Task[None]] = set()
        self._gathering = Gathering(self._dispatch)
        self.reads = 0
        self.ids_read = 0

    def load(self, user_id: str) -> asyncio.Future[UserSnapshot | None]:
        """Return a future of the user's newest snapshot, or None if there is no such user.

        The store is read even if the hub holds the user. The future raises what the store raises.
        """
        future: asyncio.Future[UserSnapshot | None] = asyncio.get_running_loop().create_future()
        if not self._pending:
            self._gathering.want()
        self._pending.setdefault(user_id, []).append(future)
        return future

    async def close(self) -> None:
        """Wait for the reads under way, and for those that wait for them."""
        while self._pending or self._reads:
            if self._pending:
                self._gathering.begin()
            await asyncio.gather(*self._reads, return_exceptions=True)

    def _dispatch(self) -> None:
        pending, self._pending = self._pending, {}
        wanted = [
            (user_id, waiters)
            for user_id, waiters in pending.items()
            if not all(waiter.cancelled() for waiter in waiters)
        ]
        for start in range(0, len(wanted), MAX_BATCH):
            task = asyncio.create_task(self._read(dict(wanted[start : start + MAX_BATCH])))
            self._reads.add(task)
            task.add_done_callback(self._reads.discard)
            self._gathering.has_begun()

    async def _read(self, batch: dict[str, Waiters]) -> None:
        ids = list(batch)
        self.reads += 1
        self.ids_read += len(ids)
        try:
            with self._hub.reading(ids) as reading:
                try:
                    records = await self._store.get_many(ids)
                finally:
                    self._gathering.is_answered()
                snapshots = [
                    reading.confirm(user_id, record.snapshot if record else None)
                    for user_id, record in zip(ids, records, strict=True)
                ]
        except BaseException as error:
            for waiters in batch.values():
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        told = 0
        for waiters, snapshot in zip(batch.values(), snapshots, strict=True):
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(snapshot)
            told += len(waiters)
            if told >= _TOLD_AT_ONCE:
                told = 0
                await asyncio.sleep(0)
