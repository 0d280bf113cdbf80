"""A store in memory that obeys the same ``apply`` as the real ones, and can be watched, slowed and broken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from userline.storage.protocol import MAX_BATCH, MAX_WRITES, WriteResult, check_puts
from userline.users.errors import BadUserInput, BatchRefused
from userline.users.patch import UserPatch, apply
from userline.users.replacement import Put, put
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from userline.storage.protocol import Unreadable
    from userline.users.record import UserRecord


class MemoryStore:
    """Keeps users in a dict. ``reads`` has the ids of each read; every call raises ``failure`` while it is set.

    ``patch`` and ``patch_many`` raise ``lost_answer`` after they have written, while it is set.
    """

    most_reads = 2

    def __init__(self) -> None:
        self.users: dict[str, UserRecord] = {}
        self.reads: list[list[str]] = []
        self.failure: Exception | None = None
        self.lost_answer: Exception | None = None
        self.clock: Callable[[], int] = lambda: 1
        self.rules = Rules()
        self.gate = asyncio.Event()
        self.gate.set()

    async def open(self, *, create: bool = True) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ping(self) -> None:
        self._fail()

    async def get_many(self, ids: Sequence[str]) -> list[UserRecord | None]:
        self.reads.append(list(ids))
        found = [self.users.get(user_id) for user_id in ids]
        await self.gate.wait()
        self._fail()
        return found

    async def create_if_not_exists(self, user_id: str, patch: UserPatch) -> WriteResult:
        existing = self.users.get(user_id)
        if existing is not None:
            return WriteResult(existing, existing)
        return await self.patch(user_id, patch)

    async def patch(self, user_id: str, patch: UserPatch) -> WriteResult:
        self._fail()
        before = self.users.get(user_id)
        after = apply(patch, before, user_id=user_id, now=self.clock(), rules=self.rules)
        self.users[user_id] = after
        await self.gate.wait()
        self._lose_answer()
        return WriteResult(before, after)

    async def patch_many(self, patches: Mapping[str, UserPatch]) -> dict[str, WriteResult]:
        assert len(patches) <= MAX_WRITES
        self._fail()
        results, errors = {}, {}
        for user_id, patch in patches.items():
            before = self.users.get(user_id)
            try:
                results[user_id] = WriteResult(
                    before, apply(patch, before, user_id=user_id, now=self.clock(), rules=self.rules)
                )
            except BadUserInput as error:
                errors[user_id] = error
        if errors:
            raise BatchRefused(errors)
        self.users.update((user_id, result.after) for user_id, result in results.items())
        await self.gate.wait()
        self._lose_answer()
        return results

    async def put_many(self, records: Sequence[UserRecord], *, overwrite: bool) -> list[Put]:
        check_puts(records)
        self._fail()
        done = []
        for record in records:
            before = self.users.get(record.snapshot.id)
            what, self.users[record.snapshot.id] = put(record, before, now=self.clock(), overwrite=overwrite)
            done.append(what)
        await self.gate.wait()
        return done

    async def count_users(self) -> int:
        return len(self.users)

    async def list_users(self, *, limit: int, after: str | None) -> list[UserRecord]:
        self._fail()
        return [self.users[user_id] for user_id in sorted(self.users) if user_id > (after or "")][:limit]

    async def walk(
        self,
        *,
        after: str | None,
        on_unreadable: Callable[[Unreadable], None] | None = None,  # noqa: ARG002 - there is none such
    ) -> AsyncGenerator[list[UserRecord], None]:
        while page := await self.list_users(limit=MAX_BATCH, after=after):
            yield page
            after = page[-1].snapshot.id

    def _lose_answer(self) -> None:
        if self.lost_answer is not None:
            raise self.lost_answer

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
