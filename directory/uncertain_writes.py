"""Finds the outcome of writes to which the store gave no answer: they may have been done, and nothing was published."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from userline.changes.messages import Found
from userline.common import tasks
from userline.common.backoff import Backoff
from userline.storage.protocol import MAX_BATCH
from userline.users.record import Deletion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from userline.changes.bus import Bus
    from userline.changes.hub import Hub
    from userline.storage.protocol import UserStore
    from userline.users.record import Change

logger = logging.getLogger("userline.users")

LATER_SECONDS: Final = 5.0
"""When a user is looked at again: a write that was given up may still be done after the first look."""

MOST_WAITING: Final = 10_000
"""How many users are remembered; of those beyond, watchers hear by the slow re-read."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0


class UncertainWrites:
    """Reads such users as soon as the store answers again, and publishes what is stored.

    So the other gateways hear of a write that was done after all, also if nobody repeats it. For one event loop.
    """

    def __init__(self, store: UserStore, hub: Hub, bus: Bus) -> None:
        self._store = store
        self._hub = hub
        self._bus = bus
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._under_way: dict[str, Any] = {}
        """Who is being looked at for the first time."""
        self._looked = asyncio.Event()
        self._looked.set()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many users were not looked at yet."""
        return len(self._waiting) + sum(user_id not in self._waiting for user_id in self._under_way)

    def look_at(self, user_ids: Iterable[str]) -> None:
        """Find out about the last write of these users."""
        for user_id in user_ids:
            self._waiting[user_id] = None
            self._waiting.move_to_end(user_id)
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        self._looked.clear()
        self._more.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="userline-uncertain-writes")

    async def looked(self) -> None:
        """Return when each was looked at once."""
        await self._looked.wait()

    async def close(self) -> None:
        """Stop. The log says of how many users nobody knows what became of their writes."""
        if self:
            logger.warning(
                "Stopping without knowing the outcome of the writes of %d users: the store did not answer in time. If "
                "these writes were done, the other gateways read watched users again within USERLINE_REREAD_SECONDS.",
                len(self),
            )
        await tasks.end([self._task])

    async def _run(self) -> None:
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        seen: dict[str, int] = {}
        while self._waiting or seen:
            if not self._waiting and await self._more_within(LATER_SECONDS):
                continue
            again = not self._waiting
            source: dict[str, Any] = seen if again else self._waiting
            # Taken out first: a write that is given up while they are read is looked at again.
            taken = {user_id: source.pop(user_id) for user_id in list(islice(source, MAX_BATCH))}
            self._under_way = {} if again else taken
            try:
                versions = await self._tell(list(taken), seen | taken if again else seen)
            except Exception as error:  # noqa: BLE001 - it is tried until the store answers
                logger.debug("Users whose write had no known outcome cannot be read yet: %s", error)
                for user_id, version in taken.items():
                    source.setdefault(user_id, version)
                self._under_way = {}
                await backoff.wait()
                continue
            backoff.reset()
            self._under_way = {}
            if not self._waiting:
                self._looked.set()
            if not again:
                seen |= versions

    async def _more_within(self, seconds: float) -> bool:
        """Wait, and return whether there is more to look at before the time is over."""
        self._more.clear()
        try:
            async with asyncio.timeout(seconds):
                return await self._more.wait()
        except TimeoutError:
            return False

    async def _tell(self, ids: list[str], seen: dict[str, int]) -> dict[str, int]:
        """Read users and publish those that were not seen at this version; return the versions (0: no such user).

        Of a user who is not there, the deletion is published, if there was one.
        """
        versions: dict[str, int] = {}
        with self._hub.reading(ids) as reading:
            records = await self._store.get_many(ids)
            gone = [user_id for user_id, record in zip(ids, records, strict=True) if record is None]
            deletions = await self._store.deletions(gone) if gone else {}
            for user_id, record in zip(ids, records, strict=True):
                change: Change | None = record.snapshot if record else None
                if record is not None:
                    reading.confirm(user_id, record.snapshot)
                elif user_id in deletions:
                    change = Deletion(user_id, deletions[user_id])
                    reading.confirm_deletion(change)
                else:
                    reading.confirm(user_id, None)
                versions[user_id] = change.version if change else 0
                if change is not None and seen.get(user_id) != change.version:
                    self._bus.publish(change if isinstance(change, Deletion) else Found(change))
        return versions
