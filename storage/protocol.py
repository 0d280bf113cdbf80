"""The protocol of user stores, with its guarantees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from userline.users.condition import Condition
    from userline.users.patch import UserPatch
    from userline.users.record import Change, UserRecord, UserSnapshot
    from userline.users.replacement import Put
    from userline.users.rules import Rules

MAX_BATCH = 1000
"""The most ids that one ``get_many`` takes, and the most users that one ``list_users`` returns."""

MAX_PUTS = 1000
"""The most records that one ``put_many`` takes."""

MAX_WRITES = 100
"""The most users that one ``patch_many`` takes."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of one atomic write: the user just before it (None: there was none) and just after it.

    ``after is before`` if the write changed nothing.
    """

    before: UserRecord | None
    after: UserRecord

    @property
    def created(self) -> bool:
        """Whether the user did not exist before."""
        return self.before is None

    @property
    def changed(self) -> bool:
        """Whether anything of the record changed, private fields included."""
        return self.after is not self.before

    @property
    def snapshot_changed(self) -> bool:
        """Whether the public half changed, so that watchers must be told."""
        return self.before is None or not self.after.snapshot.looks_like(self.before.snapshot)


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """The result of a deletion."""

    deleted: bool
    """Whether there was such a user."""
    version: int
    """The version of the last deletion of this user, 0 if none is known."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry of a store that is not a valid user, because another program wrote it."""

    id: str
    """Its id; if that is not a string, the text form of it."""
    reason: str
    """A sentence that names the entry and has nothing of its contents."""


class UserStore(Protocol):
    """A store of users. Used from one event loop; any number of calls may be under way at once.

    **Atomic**: a write of one user is done completely or not at all. Two writes of one user, from this process or
    another, are done one after the other, so no update is lost. The result of a write is defined by
    :func:`userline.users.patch.apply`, and the version grows with every write that changes something.

    **Durable**: when a write returns, it survives a crash of this process and of the store's, and a power failure.

    **Coherent**: a read that starts after a write has returned sees that write or a later one.

    **Errors**: ``BadUserInput``, ``NameRequired`` and ``ConditionFailed`` from ``apply`` (nothing was written).
    ``StoreUnavailable`` if the store cannot be reached, does not answer in time (a write may or may not have been done;
    repeating it is safe), or is not open. ``StoreRefused`` if the store is configured so that it always refuses the
    write. Any other error is a bug. A failure of one call does not affect other calls.

    **Cancellation**: a cancelled read stops waiting. A cancelled write may still be done.

    Ids and patches are valid: they come from ``parse_id``, ``parse_patch`` and ``parse_new_user``.
    """

    async def open(self, *, create: bool = True) -> None:
        """Make the store ready for use; create or upgrade its tables or collections if necessary.

        Raises StoreUnavailable, or StoreFormatError if the data was written by a newer userline or another program.
        With ``create=False``, for commands that only read, nothing is created; raises StoreMissing if there is no
        store.
        """

    async def close(self) -> None:
        """Finish the writes under way and release everything. It may be called twice."""

    async def ping(self) -> None:
        """Return if the store answers; raises StoreUnavailable if it does not."""

    @property
    def most_reads(self) -> int:
        """The useful number of ``get_many`` calls at the same time; it grows with the round-trip time to the store.

        More calls are allowed, but they wait for each other. It is better to collect their ids for one call.
        """

    async def get_many(self, ids: Sequence[str]) -> list[UserRecord | None]:
        """Return the users with these ids, in the order of ``ids`` and as many, None for the missing.

        At most ``MAX_BATCH`` ids, else ValueError; an id may be there more than once.
        """

    async def create_if_not_exists(self, user_id: str, patch: UserPatch) -> WriteResult:
        """Create the user from ``patch``, which has a name, or leave the user who exists as it is."""

    async def patch(self, user_id: str, patch: UserPatch) -> WriteResult:
        """Patch the user, creating it if it does not exist. Raises NameRequired and BadUserInput as ``apply`` does."""

    async def patch_many(self, patches: Mapping[str, UserPatch]) -> dict[str, WriteResult]:
        """Patch several users, all or none, each as ``patch`` does; return the result of each, in the same order.

        Raises BatchRefused with the error of each user that ``apply`` refuses; then nothing was written. At most
        ``MAX_WRITES`` users, else ValueError. Two batches with users in common do not block each other.

        SQLite uses one transaction, so after a power failure either all or none of the users are written. MongoDB works
        without a transaction: it reads the users and applies all patches, writes nothing if one is refused, and
        otherwise writes each user as ``patch`` does. So some users may be written and others not, if the process or the
        store crashes (StoreUnavailable), or if a concurrent write brings a user so near to a limit that its patch no
        longer fits (BatchRefused). Repeating the batch is safe in both cases. A read may see some users of a batch
        before the others.
        """

    async def delete(self, user_id: str, condition: Condition | None = None) -> DeleteResult:
        """Delete the user, if there is one. Nothing of it stays in the store but what ``deletions`` needs.

        Raises ConditionFailed, and deletes nobody, if the user is not as ``condition`` says at that moment.

        The version in the result is above every version of the user. If the user is created again, it gets a higher
        version, whatever the clocks say. Of several concurrent deletions of one user, one returns ``deleted``.
        """

    async def deletions(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the version of the last known deletion of each of these ids, by id, without ids that have none.

        The user may exist again. The store keeps a keyed hash of the id, the version and the time of a deletion, for
        ``userline.storage.deletions.KEPT_DAYS`` days. A deletion by hand is not known. At most ``MAX_BATCH`` ids, else
        ValueError.
        """

    async def put_many(self, records: Sequence[UserRecord], *, overwrite: bool, restore: bool = False) -> list[Put]:
        """Write whole records as they are, but never decrease a version; return what was done, in the same order.

        :func:`userline.users.replacement.put` defines the result: a user who exists with other values is replaced only
        with ``overwrite``, and a user who was deleted after the state in the record is created again only with
        ``restore``. Each user is written atomically, and all are durable when this returns. After a failure
        (StoreUnavailable) some may be written and others not; repeating the call is safe. At most ``MAX_PUTS`` records,
        with different ids, else ValueError.

        It is for imports: records come from a store, or have passed the same checks. Nothing is published, so gateways
        that hold one of the users see the new values when they read the user again.
        """

    async def count_users(self) -> int:
        """Return the approximate number of users. It is exact if nobody writes and no process was killed lately."""

    async def list_users(self, *, limit: int, after: str | None) -> list[UserRecord]:
        """Return the first ``limit`` users whose ids come after ``after`` (None: from the start), in order of id.

        Ids are ordered by their code points, which is also the order of their UTF-8 bytes. There need not be a user
        with the id ``after``. ``limit`` is 1 to ``MAX_BATCH``, else ValueError. A user who exists while all pages are
        read one after the other is on exactly one of them.
        """

    def walk(
        self, *, after: str | None, on_unreadable: Callable[[Unreadable], None] | None = None
    ) -> AsyncGenerator[list[UserRecord], None]:
        """Yield all users whose ids come after ``after`` in order of id, in lists of up to ``MAX_BATCH``.

        Entries that are not valid users are passed to ``on_unreadable``. Entries whose ids are not valid are looked for
        only if ``on_unreadable`` is given. A user who exists during the whole walk is in exactly one list, as it was
        when that list was read. If the store becomes unavailable during the walk (StoreUnavailable), continue with
        another walk after the last user.
        """


def sift(
    found: Iterable[UserRecord | Unreadable], on_unreadable: Callable[[Unreadable], None] | None
) -> list[UserRecord]:
    """Return the users of a step of a walk, and pass the other entries to ``on_unreadable``."""
    users = []
    for item in found:
        if not isinstance(item, Unreadable):
            users.append(item)
        elif on_unreadable is not None:
            on_unreadable(item)
    return users


def check_puts(records: Sequence[UserRecord]) -> None:
    """Raise ValueError if these are more records than one ``put_many`` takes, or two of them are of one user."""
    if len(records) > MAX_PUTS:
        raise ValueError(f"put_many takes at most {MAX_PUTS} records, not {len(records)}.")
    if len({record.snapshot.id for record in records}) < len(records):
        raise ValueError("put_many takes no two records of one user.")


class StoreFormatError(Exception):
    """This version of userline cannot use the data. The message says what to do."""


class StoreMissing(Exception):
    """There is no store at the URL, and none was to be created. The message says what to do."""


class StoreRefused(StoreFormatError):
    """The store always refuses a write, because of how it is configured: trying again does not help.

    Nothing was written. The message says what to change in the configuration, and has no data of the user.
    """


@runtime_checkable
class RuledStore(Protocol):
    """A store whose rules can change while it is open."""

    def hold_to(self, rules: Rules) -> None:
        """Use these rules from the next write on. Raises ValueError if the store cannot keep users of that size."""


@runtime_checkable
class FollowedStore(Protocol):
    """A store that other programs may write to, and that can report their changes."""

    def follow(
        self,
        on_change: Callable[[UserSnapshot], None],
        on_delete: Callable[[str], None],
        on_gap: Callable[[], None],
    ) -> object:
        """Report all changes and deletions in the store, and gaps in these reports, until the store is closed.

        Raises StoreUnavailable if the store is not open.
        """

    def hear(self, change: Change) -> None:
        """Note a change of another gateway, so that no write is based on a guess from before it."""
