"""Queue and event for sockets with little memory, because there are many sockets for a long time.

Those of asyncio have a deque each for who waits, of 760 bytes, also while nobody does.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Like ``asyncio.Queue``, for one reader at a time."""

    __slots__ = ("_items", "_waiter")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._waiter: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        """Whether there is nothing to take."""
        return not self._items

    def put_nowait(self, item: T) -> None:
        """Add an item, which is taken after those that are there."""
        self._items.append(item)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self) -> T:
        """Take the first item, waiting for one if there is none. Raises RuntimeError if somebody else waits."""
        while not self._items:
            if self._waiter is not None:
                raise RuntimeError("Somebody else waits for the next item.")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._items.pop(0)


class Gate:
    """Like ``asyncio.Event``; open at first."""

    __slots__ = ("_is_open", "_waiters")

    def __init__(self) -> None:
        self._is_open = True
        self._waiters: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        """Whether nobody has to wait."""
        return self._is_open

    def set(self) -> None:
        """Let everybody through."""
        self._is_open = True
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Have everybody wait from now on."""
        self._is_open = False

    async def wait(self) -> None:
        """Wait until it is open; who has waited goes on though it may be closed again."""
        if self._is_open:
            return
        if self._waiters is None:
            self._waiters = []
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter
