"""Writes, which are published to all gateways."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from userline.directory.uncertain_writes import UncertainWrites
from userline.storage.protocol import StoreRefused
from userline.users.errors import StoreUnavailable, UserlineError
from userline.users.record import Deletion

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from userline.changes.bus import Bus
    from userline.changes.hub import Hub
    from userline.storage.protocol import DeleteResult, UserStore, WriteResult
    from userline.users.condition import Condition
    from userline.users.patch import UserPatch
    from userline.users.record import UserSnapshot

T = TypeVar("T")

logger = logging.getLogger("userline.users")


class Writes:
    """Writes to the store, then to the hub and the bus. A write is completed even if its caller disconnects.

    For one event loop.
    """

    def __init__(self, store: UserStore, hub: Hub, bus: Bus) -> None:
        self._store = store
        self._hub = hub
        self._bus = bus
        self._uncertain_writes = UncertainWrites(store, hub, bus)
        self._under_way: set[asyncio.Task[Any]] = set()

    async def wait_until_published(self) -> None:
        """Return when all gateways have been told of every write so far, those without an answer included."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._uncertain_writes.looked()
        await self._bus.emptied()

    async def close(self) -> None:
        """Wait for the writes under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._uncertain_writes.close()

    async def write(self, user_id: str, write: Coroutine[None, None, WriteResult]) -> tuple[UserSnapshot, WriteResult]:
        """Do one write of the store. Returns the newest snapshot and what the write did. Raises what the store does."""
        return await self._to_the_end(self._write_and_tell(user_id, write))

    async def delete(self, user_id: str, condition: Condition | None = None) -> DeleteResult:
        """Delete a user. Raises what the store does."""
        return await self._to_the_end(self._delete_and_tell(user_id, condition))

    async def write_many(self, patches: Mapping[str, UserPatch]) -> dict[str, WriteResult]:
        """Patch several users, all or none. Raises what the store does."""
        return await self._to_the_end(self._write_many_and_tell(patches))

    async def _to_the_end(self, work: Coroutine[None, None, T]) -> T:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_ended_alone)
            raise

    async def _write_and_tell(
        self, user_id: str, write: Coroutine[None, None, WriteResult]
    ) -> tuple[UserSnapshot, WriteResult]:
        with self._hub.reading([user_id], is_write=True) as reading:
            try:
                result = await write
            except StoreUnavailable:
                self._uncertain_writes.look_at([user_id])
                raise
            after = result.after.snapshot
            newest = reading.confirm(user_id, after, is_seen=result.snapshot_changed) or after
        if result.snapshot_changed:
            self._bus.publish(result.after.snapshot)
        return newest, result

    async def _delete_and_tell(self, user_id: str, condition: Condition | None) -> DeleteResult:
        with self._hub.reading([user_id]) as reading:
            try:
                done = await self._store.delete(user_id, condition)
            except StoreUnavailable:
                self._uncertain_writes.look_at([user_id])
                raise
            if not done.version:
                reading.confirm(user_id, None)
                return done
            deletion = Deletion(user_id, done.version)
            reading.confirm_deletion(deletion)
        # Also where somebody else has deleted the user: whoever did may have died before it could tell.
        self._bus.publish(deletion)
        return done

    async def _write_many_and_tell(self, patches: Mapping[str, UserPatch]) -> dict[str, WriteResult]:
        with self._hub.reading(patches, is_write=True) as reading:
            try:
                results = await self._store.patch_many(patches)
            except (StoreUnavailable, StoreRefused):  # some of them may have been written
                self._uncertain_writes.look_at(patches)
                raise
            for user_id, result in results.items():
                reading.confirm(user_id, result.after.snapshot, is_seen=result.snapshot_changed)
        for result in results.values():
            if result.snapshot_changed:
                self._bus.publish(result.after.snapshot)
        return results


def _ended_alone(task: asyncio.Task[Any]) -> None:
    """Look at how work ended whose caller has gone: a refusal is nobody's any more, and what surprises us is logged."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, UserlineError):
        logger.error("A write failed unexpectedly after its caller had disconnected.", exc_info=error)
