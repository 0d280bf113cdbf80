"""A store whose calls are counted and timed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from userline.storage.protocol import DeleteResult, Unreadable, UserStore, WriteResult
    from userline.telemetry.metrics.recorder import Metrics
    from userline.users.condition import Condition
    from userline.users.patch import UserPatch
    from userline.users.record import UserRecord
    from userline.users.replacement import Put

T = TypeVar("T")


class MeasuredStore:
    """Hands every call on to a :class:`~userline.storage.protocol.UserStore`, and takes note of it."""

    def __init__(self, store: UserStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    async def open(self, *, create: bool = True) -> None:
        """Open the store."""
        await self._store.open(create=create)

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def ping(self) -> None:
        """Ping the store."""
        await self._measured("ping", self._store.ping())

    @property
    def most_reads(self) -> int:
        """How many reads are worth having under way."""
        return self._store.most_reads

    async def get_many(self, ids: Sequence[str]) -> list[UserRecord | None]:
        """Read users."""
        self._metrics.store_batch_ids.add(len(ids))
        return await self._measured("get_many", self._store.get_many(ids))

    async def create_if_not_exists(self, user_id: str, patch: UserPatch) -> WriteResult:
        """Create a user."""
        return await self._measured("create_if_not_exists", self._store.create_if_not_exists(user_id, patch))

    async def patch(self, user_id: str, patch: UserPatch) -> WriteResult:
        """Patch a user."""
        return await self._measured("patch", self._store.patch(user_id, patch))

    async def patch_many(self, patches: Mapping[str, UserPatch]) -> dict[str, WriteResult]:
        """Patch users."""
        return await self._measured("patch_many", self._store.patch_many(patches))

    async def delete(self, user_id: str, condition: Condition | None = None) -> DeleteResult:
        """Delete a user."""
        return await self._measured("delete", self._store.delete(user_id, condition))

    async def deletions(self, ids: Sequence[str]) -> dict[str, int]:
        """Look for deletions."""
        return await self._measured("deletions", self._store.deletions(ids))

    async def put_many(self, records: Sequence[UserRecord], *, overwrite: bool, restore: bool = False) -> list[Put]:
        """Put records."""
        return await self._measured("put_many", self._store.put_many(records, overwrite=overwrite, restore=restore))

    async def count_users(self) -> int:
        """Count users."""
        return await self._measured("count_users", self._store.count_users())

    async def list_users(self, *, limit: int, after: str | None) -> list[UserRecord]:
        """List users."""
        return await self._measured("list_users", self._store.list_users(limit=limit, after=after))

    def walk(
        self, *, after: str | None, on_unreadable: Callable[[Unreadable], None] | None = None
    ) -> AsyncGenerator[list[UserRecord], None]:
        """Walk from user to user, which is not for gateways and not measured."""
        return self._store.walk(after=after, on_unreadable=on_unreadable)

    async def _measured(self, call: str, work: Awaitable[T]) -> T:
        started = time.perf_counter()
        failed = False
        try:
            return await work
        except StoreUnavailable:
            failed = True
            raise
        finally:
            self._metrics.store_call(call, time.perf_counter() - started, failed=failed)
