"""Reads watched users again, so that no change is missed for long, whatever happens to the bus."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from userline.common import tasks
from userline.common.backoff import Backoff
from userline.storage.protocol import MAX_BATCH
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from userline.changes.hub import Hub
    from userline.storage.protocol import UserStore

logger = logging.getLogger("userline.users")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0


class Refresher:
    """Reads watched users from the store to confirm what the hub holds.

    After a gap of the bus every watched user is read at once, in batches; otherwise each is read once a ``period``
    (seconds), spread over it: a gateway that died between its write and its publication costs no more than that.
    """

    def __init__(self, store: UserStore, hub: Hub, *, period: float = 30.0) -> None:
        self._store = store
        self._hub = hub
        self._period = period
        self._tick = min(1.0, period / 20)
        self._is_gap = False
        self._gap_closed = asyncio.Event()
        self._gap_closed.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._in_doubt = asyncio.Event()
        self.ids_read = 0

    @property
    def settled(self) -> bool:
        """Whether every watched user has been read since the last gap."""
        return self._gap_closed.is_set()

    def start(self) -> None:
        """Begin to read watched users again."""
        self._tasks = [
            asyncio.create_task(self._keep_fresh(), name="userline-refresh"),
            asyncio.create_task(self._close_gaps(), name="userline-close-gaps"),
        ]

    async def stop(self) -> None:
        """Stop."""
        await tasks.end(self._tasks)
        self._tasks = []

    def unsettle(self) -> None:
        """Take note that changes are not heard."""
        self._is_gap = True
        self._gap_closed.clear()

    def settle(self) -> None:
        """Read everything that is watched, now that changes are heard again."""
        self._gap_closed.clear()
        self._is_gap = False
        self._in_doubt.set()

    def hasten(self) -> None:
        """Read what is in doubt now, without calling that a gap."""
        self._in_doubt.set()

    async def _close_gaps(self) -> None:
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            await self._in_doubt.wait()
            self._in_doubt.clear()
            while ids := self._hub.overdue(math.inf, MAX_BATCH):
                try:
                    await self._read(ids)
                    backoff.reset()
                except Exception as error:  # noqa: BLE001 - a refresher that has ended would leave gaps open for ever
                    _complain(error)
                    await backoff.wait()
            if not self._in_doubt.is_set() and not self._is_gap:
                self._gap_closed.set()

    async def _keep_fresh(self) -> None:
        clock = asyncio.get_running_loop().time
        owed, last = 0.0, clock()
        while True:
            await asyncio.sleep(self._tick)
            # A little more than the share of the time that has passed, the longest unread first, so that all are read
            # within the period, even those who were all read at once before.
            watched, now = self._hub.watched_users, clock()
            owed = min(owed + watched * (now - last) / self._period * 1.1, watched)
            last = now
            try:
                while owed >= 1 and (ids := self._hub.overdue(0, min(int(owed), MAX_BATCH))):
                    await self._read(ids)
                    owed -= len(ids)
            except Exception as error:  # noqa: BLE001 - as above
                _complain(error)

    async def _read(self, ids: list[str]) -> None:
        with self._hub.reading(ids) as reading:
            records = await self._store.get_many(ids)
            for user_id, record in zip(ids, records, strict=True):
                reading.confirm(user_id, record.snapshot if record else None)
        self.ids_read += len(ids)


def _complain(error: Exception) -> None:
    expected = isinstance(error, StoreUnavailable)  # of which the store has told
    level = logging.DEBUG if expected else logging.WARNING
    logger.log(level, "Watched users could not be read again: %s", error, exc_info=None if expected else error)
