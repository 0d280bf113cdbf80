"""A store that goes on when it is told to."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeVar

from tests.support.stores import MemoryStore
from userline.users.patch import UserPatch
from userline.users.record import Deletion

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from userline.storage.protocol import DeleteResult, WriteResult
    from userline.users.condition import Condition
    from userline.users.record import Change, UserRecord, UserSnapshot

T = TypeVar("T")

USER: Final = "alice"


class SteppedStore(MemoryStore):
    """Each call waits for a step before it does something, and for another one before it answers.

    ``states`` are all that there ever were of ``USER``.
    """

    most_reads = 8

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[asyncio.Future[None]] = []
        self.states: list[UserSnapshot | None] = [None]
        self._now = 1
        self.clock = lambda: self._now

    async def get_many(self, ids: Sequence[str]) -> list[UserRecord | None]:
        return await self._in_steps(super().get_many(ids))

    async def create_if_not_exists(self, user_id: str, patch: UserPatch) -> WriteResult:
        return await self._in_steps(self._create(user_id, patch))

    async def patch(self, user_id: str, patch: UserPatch) -> WriteResult:
        return await self._in_steps(super().patch(user_id, patch))

    async def delete(self, user_id: str, condition: Condition | None = None) -> DeleteResult:
        return await self._in_steps(super().delete(user_id, condition))

    async def list_users(self, *, limit: int, after: str | None) -> list[UserRecord]:
        return await self._in_steps(super().list_users(limit=limit, after=after))

    async def write_elsewhere(self, name: str | None) -> list[Change]:
        """Do at once what another gateway does (None: delete the user); return what it tells."""
        try:
            if name is not None:
                return [(await super().patch(USER, UserPatch(name=name))).after.snapshot]
            done = await super().delete(USER)
            return [Deletion(USER, done.version)] if done.deleted else []
        finally:
            self._note()

    def step(self, number: int) -> None:
        """Let a call go on."""
        self.steps.pop(number).set_result(None)

    async def _create(self, user_id: str, patch: UserPatch) -> WriteResult:
        return await MemoryStore.patch(self, user_id, UserPatch() if user_id in self.users else patch)

    async def _in_steps(self, work: Coroutine[None, None, T]) -> T:
        with closing(work):
            await self._wait()
            try:
                return await work
            finally:
                self._note()
                await self._wait()

    async def _wait(self) -> None:
        self.steps.append(step := asyncio.get_running_loop().create_future())
        await step

    def _note(self) -> None:
        self._now += 1
        record = self.users.get(USER)
        state = record.snapshot if record else None
        if state != self.states[-1]:
            self.states.append(state)
