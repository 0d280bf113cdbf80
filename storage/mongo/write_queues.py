"""Queues of writes, one for each user; writes that wait in one queue are done together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from userline.common.futures import settle
from userline.storage.batch_scheduler import own_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from userline.storage.mongo.documents import StoredUser
    from userline.storage.protocol import DeleteResult, WriteResult
    from userline.users.condition import Condition
    from userline.users.patch import UserPatch

MOST_WRITES_A_COMMAND: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A write in a queue. It is skipped if its caller does not wait any more."""

    patch: UserPatch
    leave_existing: bool
    future: asyncio.Future[WriteResult]


@dataclass(frozen=True, slots=True, eq=False)
class Delete:
    """A deletion in a queue, skipped like a write."""

    condition: Condition | None
    future: asyncio.Future[DeleteResult]


class WriteQueues:
    """The queue of each user who is being written. A turn has writes or deletions, and never both.

    A deletion with a condition has a turn of its own.

    ``serve`` gets the user's id, the writes of one turn, and what the turn before left behind if it is known. It gives
    every write its result and returns what it leaves behind; if it raises, the writes of that turn fail so. ``delete``
    gives every deletion of a turn its result in the same way.
    """

    def __init__(
        self,
        serve: Callable[[str, Sequence[Write], StoredUser | None], Awaitable[StoredUser | None]],
        delete: Callable[[str, Sequence[Delete]], Awaitable[None]],
    ) -> None:
        self._serve = serve
        self._delete = delete
        self._waiting: dict[str, list[Write | Delete]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self, user_id: str, patch: UserPatch, *, leave_existing: bool) -> asyncio.Future[WriteResult]:
        """Let a write wait its turn; its result or error comes in the future."""
        write = Write(patch, leave_existing, asyncio.get_running_loop().create_future())
        self._join(user_id, write)
        return write.future

    def join_to_delete(self, user_id: str, condition: Condition | None = None) -> asyncio.Future[DeleteResult]:
        """Let a deletion wait its turn."""
        deletion = Delete(condition, asyncio.get_running_loop().create_future())
        self._join(user_id, deletion)
        return deletion.future

    async def finish(self) -> None:
        """Wait until all lines are empty."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _join(self, user_id: str, item: Write | Delete) -> None:
        line = self._waiting.get(user_id)
        if line is None:
            self._waiting[user_id] = [item]
            task = asyncio.create_task(self._serve_line(user_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            line.append(item)

    async def _serve_line(self, user_id: str) -> None:
        line = self._waiting[user_id]
        known: StoredUser | None = None
        try:
            while line:
                turn = list(takewhile(partial(_is_like, line[0]), line[:MOST_WRITES_A_COMMAND]))
                del line[: len(turn)]
                if turn := [item for item in turn if not item.future.done()]:
                    known = await self._serve_turn(user_id, turn, known)
        finally:
            del self._waiting[user_id]

    async def _serve_turn(
        self, user_id: str, turn: Sequence[Write | Delete], known: StoredUser | None
    ) -> StoredUser | None:
        try:
            writes = [item for item in turn if isinstance(item, Write)]
            if writes:
                return await self._serve(user_id, writes, known)
            await self._delete(user_id, [item for item in turn if isinstance(item, Delete)])
        except Exception as error:  # noqa: BLE001 - raised where the writes are awaited
            for item, each in zip(turn, own_errors(error, len(turn)), strict=True):
                settle(item.future, each)
        return None


def _is_like(one: Write | Delete, other: Write | Delete) -> bool:
    if isinstance(one, Delete) and isinstance(other, Delete):
        return one is other or (one.condition is None and other.condition is None)
    return type(one) is type(other)
