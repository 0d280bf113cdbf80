"""Writes of one user wait in line, and those who wait are served together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userline.common.futures import settle
from userline.storage.batch_scheduler import own_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from userline.storage.mongo.documents import StoredUser
    from userline.storage.protocol import WriteResult
    from userline.users.patch import UserPatch

MOST_WRITES_A_COMMAND: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A write that somebody waits for. It is skipped if nobody does any more when its turn comes."""

    patch: UserPatch
    leave_existing: bool
    future: asyncio.Future[WriteResult]


class WriteQueues:
    """One line for each user who is being written.

    ``serve`` gets the user's id, the writes of one turn, and what the turn before left behind if it is known. It gives
    every write its result and returns what it leaves behind; if it raises, the writes of that turn fail so.
    """

    def __init__(
        self, serve: Callable[[str, Sequence[Write], StoredUser | None], Awaitable[StoredUser | None]]
    ) -> None:
        self._serve = serve
        self._waiting: dict[str, list[Write]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self, user_id: str, patch: UserPatch, *, leave_existing: bool) -> asyncio.Future[WriteResult]:
        """Let a write wait its turn; its result or error comes in the future."""
        write = Write(patch, leave_existing, asyncio.get_running_loop().create_future())
        line = self._waiting.get(user_id)
        if line is None:
            self._waiting[user_id] = [write]
            task = asyncio.create_task(self._serve_line(user_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            line.append(write)
        return write.future

    async def finish(self) -> None:
        """Wait until all lines are empty."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve_line(self, user_id: str) -> None:
        line = self._waiting[user_id]
        known: StoredUser | None = None
        try:
            while line:
                turn = [write for write in line[:MOST_WRITES_A_COMMAND] if not write.future.done()]
                del line[:MOST_WRITES_A_COMMAND]
                if turn:
                    known = await self._serve_turn(user_id, turn, known)
        finally:
            del self._waiting[user_id]

    async def _serve_turn(self, user_id: str, turn: Sequence[Write], known: StoredUser | None) -> StoredUser | None:
        try:
            return await self._serve(user_id, turn, known)
        except Exception as error:  # noqa: BLE001 - raised where the writes are awaited
            for write, each in zip(turn, own_errors(error, len(turn)), strict=True):
                settle(write.future, each)
            return None
