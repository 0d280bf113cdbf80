"""A store in memory that obeys the same ``apply`` as the real ones, and can be watched, slowed and broken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from userline.storage.protocol import MAX_BATCH, MAX_WRITES, DeleteResult, WriteResult, check_puts
from userline.users.errors import BadUserInput, BatchRefused
from userline.users.patch import UserPatch, apply
from userline.users.replacement import Put, put
from userline.users.rules import Rules
from userline.users.versions import next_version

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from userline.storage.protocol import Unreadable
    from userline.users.condition import Condition
    from userline.users.record import UserRecord


class MemoryStore:
    """Keeps users in a dict. ``reads`` has the ids of each read; every call raises ``failure`` while it is set.

    ``patch``, ``patch_many`` and ``delete`` raise ``lost_answer`` after they have written, while it is set.
    """

    most_reads = 2

    def __init__(self) -> None:
        self.users: dict[str, UserRecord] = {}
        self.deleted: dict[str, int] = {}
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
        deleted = self.deleted.get(user_id, 0)
        after = apply(patch, before, user_id=user_id, now=self.clock(), rules=self.rules, deleted=deleted)
        self.users[user_id] = after
        await self.gate.wait()
        self._lose_answer()
        return WriteResult(before, after)

    async def patch_many(self, patches: Mapping[str, UserPatch]) -> dict[str, WriteResult]:
        assert len(patches) <= MAX_WRITES
        self._fail()
        results, errors = {}, {}
        for user_id, patch in patches.items():
            before, deleted = self.users.get(user_id), self.deleted.get(user_id, 0)
            try:
                results[user_id] = WriteResult(
                    before,
                    apply(patch, before, user_id=user_id, now=self.clock(), rules=self.rules, deleted=deleted),
                )
            except BadUserInput as error:
                errors[user_id] = error
        if errors:
            raise BatchRefused(errors)
        self.users.update((user_id, result.after) for user_id, result in results.items())
        await self.gate.wait()
        self._lose_answer()
        return results

    async def delete(self, user_id: str, condition: Condition | None = None) -> DeleteResult:
        self._fail()
        if condition is not None:
            there = self.users.get(user_id)
            condition.check(user_id, None if there is None else there.snapshot.version)
        before, known = self.users.pop(user_id, None), self.deleted.get(user_id, 0)
        if before is not None:
            known = self.deleted[user_id] = next_version(max(before.snapshot.version, known), self.clock())
        await self.gate.wait()
        self._lose_answer()
        return DeleteResult(before is not None, known)

    async def deletions(self, ids: Sequence[str]) -> dict[str, int]:
        if len(ids) > MAX_BATCH:
            raise ValueError(f"at most {MAX_BATCH} ids")
        self._fail()
        return {user_id: self.deleted[user_id] for user_id in ids if user_id in self.deleted}

    async def put_many(self, records: Sequence[UserRecord], *, overwrite: bool, restore: bool = False) -> list[Put]:
        check_puts(records)
        self._fail()
        done = []
        for record in records:
            user_id = record.snapshot.id
            before, deleted = self.users.get(user_id), self.deleted.get(user_id, 0)
            what, after = put(record, before, now=self.clock(), overwrite=overwrite, deleted=deleted, restore=restore)
            if after is not None:
                self.users[user_id] = after
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
