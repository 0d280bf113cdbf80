"""The writes of one transaction: applied in memory one after the other, and then stored together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from userline.storage.protocol import DeleteResult, WriteResult
from userline.storage.sqlite.deletions import delete_users, note_deletions, select_deletions
from userline.storage.sqlite.rows import select_users, upsert_users
from userline.users.errors import BadUserInput, BatchRefused, ConditionFailed
from userline.users.patch import apply
from userline.users.replacement import Put, put
from userline.users.versions import next_version

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Mapping, Sequence

    from userline.users.condition import Condition
    from userline.users.patch import UserPatch
    from userline.users.record import UserRecord
    from userline.users.rules import Rules


@dataclass(frozen=True, slots=True)
class Write:
    """The patches of one call, by user id: all of them are written, or none."""

    patches: Mapping[str, UserPatch]
    leave_existing: bool = False

    @property
    def ids(self) -> Collection[str]:
        """The users it is about."""
        return self.patches.keys()


@dataclass(frozen=True, slots=True)
class Puts:
    """Whole records, which are written as they are."""

    records: Mapping[str, UserRecord]
    overwrite: bool
    restore: bool

    @property
    def ids(self) -> Collection[str]:
        """The users it is about."""
        return self.records.keys()


@dataclass(frozen=True, slots=True)
class Delete:
    """The deletion of a user."""

    user_id: str
    condition: Condition | None

    @property
    def ids(self) -> Collection[str]:
        """The user it is about."""
        return (self.user_id,)


Written: TypeAlias = "dict[str, WriteResult]"
Asked: TypeAlias = Write | Puts | Delete
Outcome: TypeAlias = "Written | list[Put] | DeleteResult | Exception"


class TransactionUsers:
    """The users of a transaction, as they are stored and after its writes. Within a transaction."""

    def __init__(
        self, connection: sqlite3.Connection, writes: Sequence[Asked], rules: Rules, clock: Callable[[], int]
    ) -> None:
        self._connection = connection
        self._rules = rules
        self._clock = clock
        ids = [user_id for write in writes for user_id in write.ids]
        self._stored = select_users(connection, ids)
        self._current = dict(self._stored)
        missing = [user_id for user_id in ids if user_id not in self._stored]
        self._deletions = select_deletions(connection, missing) if missing else {}
        self._deleted: dict[str, int] = {}

    def do(self, write: Asked) -> Outcome:
        """Do one write in memory; one that is refused changes nothing, and the outcome is why."""
        if isinstance(write, Write):
            return self._write(write)
        if isinstance(write, Puts):
            return [self._put(write, record) for record in write.records.values()]
        return self._delete(write)

    def save(self) -> bool:
        """Write what has changed, and return whether anybody was deleted."""
        stored, current = self._stored, self._current
        if self._deleted:
            # Before those are written who were created again: nothing of the row that was there stays.
            delete_users(self._connection, stored.keys() & self._deleted.keys())
            note_deletions(self._connection, self._deleted, self._clock())
        upsert_users(self._connection, [user for key, user in current.items() if user is not stored.get(key)])
        return bool(self._deleted)

    def _write(self, write: Write) -> Written | Exception:
        results: Written = {}
        refused: dict[str, BadUserInput] = {}
        for user_id, patch in write.patches.items():
            before = self._current.get(user_id)
            if before is not None and write.leave_existing:
                results[user_id] = WriteResult(before, before)
                continue
            deleted = self._deletions.get(user_id, 0)
            try:
                after = apply(patch, before, user_id=user_id, now=self._clock(), rules=self._rules, deleted=deleted)
            except BadUserInput as error:
                refused[user_id] = error
            except Exception as error:  # noqa: BLE001 - raised where the write is awaited
                return error
            else:
                results[user_id] = WriteResult(before, after)
        if refused:
            return BatchRefused(refused)
        self._current.update((user_id, result.after) for user_id, result in results.items())
        return results

    def _put(self, puts: Puts, record: UserRecord) -> Put:
        user_id = record.snapshot.id
        what, after = put(
            record,
            self._current.get(user_id),
            now=self._clock(),
            overwrite=puts.overwrite,
            deleted=self._deletions.get(user_id, 0),
            restore=puts.restore,
        )
        if after is not None:
            self._current[user_id] = after
        return what

    def _delete(self, delete: Delete) -> DeleteResult | ConditionFailed:
        user_id = delete.user_id
        known, before = self._deletions.get(user_id, 0), self._current.get(user_id)
        if delete.condition is not None:
            try:
                delete.condition.check(user_id, None if before is None else before.snapshot.version)
            except ConditionFailed as failed:
                return failed
        if before is None:
            return DeleteResult(deleted=False, version=known)
        del self._current[user_id]
        version = next_version(max(before.snapshot.version, known), self._clock())
        self._deletions[user_id] = self._deleted[user_id] = version
        return DeleteResult(deleted=True, version=version)
