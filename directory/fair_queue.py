"""A fair queue: users take turns, and the connections of one user take turns."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Iterator

Source: TypeAlias = tuple[object, object]
"""Who asks (a user, or an address), and by which connection."""


class Waiter:
    """Somebody who waits for a turn."""

    __slots__ = ("source", "woken")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.woken: asyncio.Future[None] | None = None
        """Done when it may be this one's turn."""

    def wake(self) -> None:
        """Have it look whether there is time."""
        if self.woken is not None and not self.woken.done():
            self.woken.set_result(None)


class FairQueue:
    """Waiters, first come first served within a connection, and round robin between connections and users."""

    def __init__(self) -> None:
        self._waiting: dict[object, dict[object, dict[Waiter, None]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, waiter: Waiter) -> None:
        """Let somebody wait behind what waits from the same connection."""
        who, connection = waiter.source
        self._waiting.setdefault(who, {}).setdefault(connection, {})[waiter] = None
        self._count += 1

    def remove(self, waiter: Waiter) -> None:
        """Let somebody wait no longer; it is the turn of other connections, and of others."""
        who, connection = waiter.source
        connections = self._waiting.pop(who)
        waiters = connections.pop(connection)
        del waiters[waiter]
        if waiters:
            connections[connection] = waiters
        if connections:
            self._waiting[who] = connections
        self._count -= 1

    def first(self, number: int) -> list[Waiter]:
        """Return those whose turn it is next, in order."""
        everybody = (
            _in_turn(iter(waiters) for waiters in islice(connections.values(), number))
            for connections in islice(self._waiting.values(), number)
        )
        return list(islice(_in_turn(everybody), number))


def _in_turn(queues: Iterable[Iterator[Waiter]]) -> Iterator[Waiter]:
    """Yield the first of each queue, then the second of each, and so on."""
    left = list(queues)
    while left:
        still = []
        for queue in left:
            waiter = next(queue, None)
            if waiter is not None:
                yield waiter
                still.append(queue)
        left = still
