"""Changes that are still to be published: the newest of each user, in order of the first that waits."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from userline.changes.messages import Found

if TYPE_CHECKING:
    from userline.changes.messages import Told


class Outbox:
    """A bounded queue. A newer change of a user replaces an older one; ``dropped`` counts losses."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: OrderedDict[str, Told] = OrderedDict()
        self._something = asyncio.Event()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._waiting

    def put(self, change: Told) -> None:
        """Add a change. If there is no room, the one that has waited longest is dropped."""
        waiting = self._waiting.get(change.id)
        if waiting is not None and waiting.version >= change.version:
            return
        self._waiting[change.id] = change if waiting is None else _newer(waiting, change)
        if len(self._waiting) > self._capacity:
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._something.set()

    async def next_batch(self, most: int) -> list[Told]:
        """Wait until there is something, and take up to ``most`` changes."""
        await self._something.wait()
        taken = [self._waiting.popitem(last=False)[1] for _ in range(min(most, len(self._waiting)))]
        if not self._waiting:
            self._something.clear()
        return taken

    def put_back(self, changes: list[Told]) -> None:
        """Return what could not be published, before everything that came since."""
        for change in reversed(changes):
            if change.id in self._waiting:
                self._waiting[change.id] = _newer(change, self._waiting[change.id])
                continue
            if len(self._waiting) >= self._capacity:
                self.dropped += 1
                continue
            self._waiting[change.id] = change
            self._waiting.move_to_end(change.id, last=False)
        if self._waiting:
            self._something.set()


def _newer(old: Told, new: Told) -> Told:
    """Return what is told in place of both: something has changed for sure if the old one said so."""
    return new.snapshot if isinstance(new, Found) and not isinstance(old, Found) else new
