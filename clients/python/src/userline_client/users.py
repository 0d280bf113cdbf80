"""What can be done with users, by their ids; ``UserRef`` is its face."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from userline_client.batching import Batcher
from userline_client.cache import Known
from userline_client.documents import CREATE, SET, USERS, encode_operation
from userline_client.errors import ConnectionTimeout, Disconnected, ProtocolError, UserlineError
from userline_client.operations import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    from userline_client.cache import Cache
    from userline_client.connection import Connection
    from userline_client.snapshot import Snapshots, UserSnapshot
    from userline_client.watches import Watches

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CreateResult:
    """What ``create_if_not_exists`` did: the user, new or as it was, and whether it was created now."""

    user: UserSnapshot
    created: bool


@dataclass(frozen=True, slots=True)
class SetResult:
    """What ``set`` did: the user as it is now, whether it was created now, and whether anything changed."""

    user: UserSnapshot
    created: bool
    changed: bool


@dataclass(slots=True)
class _Writes:
    """The writes of one user that overlap in time."""

    started: int = 0
    under_way: int = 0


class _Write:
    """A write under way. ``alone`` says whether no other write of this session overlapped it."""

    def __init__(self, writes: _Writes) -> None:
        self._writes = writes
        self._was_first = writes.under_way == 0
        writes.started += 1
        writes.under_way += 1
        self._number = writes.started

    @property
    def alone(self) -> bool:
        return self._was_first and self._writes.started == self._number


class Users:
    """Reads and writes users over the connection, and keeps what it knows of them coherent."""

    def __init__(
        self, connection: Connection, watches: Watches, snapshots: Snapshots, cache: Cache, timeout: float
    ) -> None:
        self._connection = connection
        self._watches = watches
        self._snapshots = snapshots
        self._cache = cache
        self._timeout = timeout
        self._batcher = Batcher(self._read)
        self._writes: dict[str, _Writes] = {}

    async def get(self, user_id: str) -> UserSnapshot | None:
        """Return a user: from the watch or the cache if it is known, or else from the gateway."""
        arriving = self._watches.arriving(user_id)
        if arriving is not None:
            await self._in_time(arriving)
        known = self._watches.get(user_id)
        if known is None and not self._watches.is_doubted(user_id):
            known = self._cache.get(user_id)
        return await self._batcher.get(user_id) if known is None else known.snapshot

    async def create_if_not_exists(self, user_id: str, user_input: Mapping[str, object]) -> CreateResult:
        """Create a user unless there is one."""
        user, result = await self._write(CREATE, "createUserIfNotExists", user_id, user_input)
        return CreateResult(user, created=bool(result.get("created")))

    async def set(self, user_id: str, user_input: Mapping[str, object]) -> SetResult:
        """Patch a user."""
        user, result = await self._write(SET, "setUser", user_id, user_input)
        return SetResult(user, created=bool(result.get("created")), changed=bool(result.get("changed")))

    async def close(self) -> None:
        """Wait for the end of what is under way, after the connection has failed it."""
        await self._batcher.close()

    async def _read(self, ids: list[str]) -> list[UserSnapshot | None]:
        changes = self._cache.changes
        data = await self._request(USERS, {"ids": ids})
        users = data.get("users")
        if not isinstance(users, list) or len(users) != len(ids):
            raise ProtocolError("The gateway answered with other users than those asked for.")
        snapshots = [self._snapshots.read(user) for user in users]
        answers = []
        for user_id, snapshot in zip(ids, snapshots, strict=True):
            answer = self._cache.note_read(user_id, snapshot, changes)
            self._watches.note_read(user_id, answer)
            answers.append(answer)
        return answers

    async def _write(
        self, document: str, field: str, user_id: str, user_input: Mapping[str, object]
    ) -> tuple[UserSnapshot, dict[str, Any]]:
        with self._writing(user_id) as write:
            try:
                data = await self._request(document, {"id": user_id, "input": user_input})
                user, result = self._read_written(data.get(field))
            except BaseException:
                self._cache.note_change(user_id, None)  # it may have been done all the same
                raise
            finally:
                self._batcher.forget(user_id)
            watched = self._watches.note_write(user_id, user)
            self._cache.note_change(user_id, Known(user) if write.alone and not watched else None)
        return user, result

    def _read_written(self, result: Any) -> tuple[UserSnapshot, dict[str, Any]]:
        user = self._snapshots.read(result.get("user")) if isinstance(result, dict) else None
        if user is None:
            raise ProtocolError("The gateway answered a write without the user.")
        return user, result

    @contextlib.contextmanager
    def _writing(self, user_id: str) -> Iterator[_Write]:
        writes = self._writes.setdefault(user_id, _Writes())
        try:
            yield _Write(writes)
        finally:
            writes.under_way -= 1
            if not writes.under_way:
                del self._writes[user_id]

    async def _request(self, document: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """Run a query or a mutation; over several connections, if they are lost, until its time has run out."""
        request = Request(encode_operation(document, variables))
        self._connection.start(request)
        try:
            return await self._in_time(request.result)
        finally:
            self._connection.stop(request)

    async def _in_time(self, awaited: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await awaited
        except TimeoutError:
            raise self._out_of_time() from None

    def _out_of_time(self) -> UserlineError:
        if self._connection.is_open:
            return ConnectionTimeout(f"The gateway did not answer within {self._timeout:g} s.")
        problem = self._connection.problem
        because = f": {problem}" if problem else "."
        return Disconnected(f"There was no connection to the gateway for {self._timeout:g} s{because}")
