"""What every user store promises."""

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
    """What one atomic write did: the user just before it (None: there was none) and just after it.

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
        """Whether the public half changed, so that watchers want to hear of it."""
        return self.before is None or not self.after.snapshot.looks_like(self.before.snapshot)


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What a deletion did."""

    deleted: bool
    """Whether there was such a user."""
    version: int
    """That of the last deletion of such a user, 0 if none is known."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in a store in the place of a user, and is none, because another program wrote it."""

    id: str
    """Its id; of one that is no string, what it looks like."""
    reason: str
    """A sentence that names it and has none of its contents."""


class UserStore(Protocol):
    """A store of users. Used from one event loop; any number of calls may be under way at once.

    **Atomic**: a write of one user happens whole or not at all, and two writes of one user, from this process or
    another, happen one after the other: no update is lost. What a write does is what :func:`userline.users.patch.apply`
    says, and the version in its result grows with every write that changed something.

    **Durable**: when a write returns, it survives the death of this process and of the store's, and a power cut.

    **Coherent**: a read that starts after a write returned sees that write or a later one.

    **Errors**: ``BadUserInput``, ``NameRequired`` and ``ConditionFailed`` from ``apply`` (nothing was written), and
    ``StoreUnavailable`` when the store cannot be reached or does not answer in time (a write may or may not have
    happened; repeating it is safe), or is not open. ``StoreRefused`` if the store is set up so that it never takes the
    write. Anything else is a bug. A failure of one call never harms another.

    **Cancellation**: a cancelled read stops waiting. A cancelled write may still happen.

    Ids and patches are valid: they come from ``parse_id``, ``parse_patch`` and ``parse_new_user``.
    """

    async def open(self, *, create: bool = True) -> None:
        """Make the store ready for use, creating or upgrading what it keeps its data in.

        Raises StoreUnavailable, or StoreFormatError if the data was written by a newer userline or something else.
        Without ``create``, as for commands that only read, nothing is created: raises StoreMissing if there is no
        store.
        """

    async def close(self) -> None:
        """Finish the writes under way and let go of everything. Closing twice is fine."""

    async def ping(self) -> None:
        """Return if the store answers; raises StoreUnavailable if it does not."""

    @property
    def most_reads(self) -> int:
        """How many calls of ``get_many`` are worth having under way at once: more, the farther away the store is.

        More of them are allowed, and would wait for each other; who gathers ids meanwhile has them read together.
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
        """Patch several users, all or none, each as ``patch`` would; return the result of each, in the same order.

        Raises BatchRefused, with what ``apply`` raised for each user it refuses, and then nothing was written. At most
        ``MAX_WRITES`` users, else ValueError. Two batches that have users in common both come to an end.

        SQLite does so in one transaction, and a batch then survives a power cut whole or not at all. MongoDB, without a
        transaction, applies all patches to what it reads first, writes nothing if one of them is refused, and otherwise
        writes each user as ``patch`` does. What can go wrong between check and end then leaves some users written and
        others not: the death of the process or the store (StoreUnavailable), or another write that brings a user so
        near a limit that its patch no longer fits (BatchRefused). Repeating the batch is safe after either. A read may
        see some users of a batch before the others.
        """

    async def delete(self, user_id: str, condition: Condition | None = None) -> DeleteResult:
        """Delete the user, if there is one: nothing of it is left in the store but what ``deletions`` needs.

        Raises ConditionFailed, and deletes nobody, if the user is not as ``condition`` says at that moment.

        The result's version is above every version that the user had. Whoever creates the user again, at whatever time
        by whatever clock, gives it a higher one. Of several deletions of one user at the same time, one has deleted it.
        """

    async def deletions(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the version of the last deletion of each of these ids, without those of which none is known.

        There may be such a user again. Of a deletion is kept a hash of the id with a key of the store, its version and
        its time, for ``userline.storage.deletions.KEPT_DAYS``. What somebody deletes by hand leaves nothing. At most
        ``MAX_BATCH`` ids, else ValueError.
        """

    async def put_many(self, records: Sequence[UserRecord], *, overwrite: bool, restore: bool = False) -> list[Put]:
        """Write whole records as they are, but for versions that must not go back; return what was done, in order.

        What putting a record does to a user is what :func:`userline.users.replacement.put` says: with ``overwrite`` a
        user who exists and is another is replaced, without it left as it is; a user who was deleted since it was as in
        the record comes back with ``restore`` alone. Each user is written atomically, and all
        are durable when this returns; a failure (StoreUnavailable) may leave some written and others not, and repeating
        the call is safe. At most ``MAX_PUTS`` records and none of the same user, else ValueError.

        For moving users from store to store: records come from a store, or were checked as if they had. It is nobody's
        change: gateways that hold one of the users see it when they read it again.
        """

    async def count_users(self) -> int:
        """Return how many users there are, about: exactly if nobody writes and no process was killed lately."""

    async def list_users(self, *, limit: int, after: str | None) -> list[UserRecord]:
        """Return the first ``limit`` users whose ids come after ``after`` (None: from the start), in order of id.

        Ids are ordered by their code points, which is also the order of their UTF-8 bytes. There need not be a user
        with the id ``after``. ``limit`` is 1 to ``MAX_BATCH``, else ValueError. A user who is there during a whole walk
        from page to page is on exactly one of them.
        """

    def walk(
        self, *, after: str | None, on_unreadable: Callable[[Unreadable], None] | None = None
    ) -> AsyncGenerator[list[UserRecord], None]:
        """Yield all users whose ids come after ``after`` in order of id, in lists of up to ``MAX_BATCH``.

        What is stored and cannot be read as a user is given to ``on_unreadable``. What stands under an id that no user
        can have is looked for only if there is one.
        A user who is there during the whole walk is in exactly one of them, and as it was when the list was read. When
        the store goes away in the middle (StoreUnavailable), another walk goes on after the last user seen.
        """


def sift(
    found: Iterable[UserRecord | Unreadable], on_unreadable: Callable[[Unreadable], None] | None
) -> list[UserRecord]:
    """Return the users of a step of a walk, and hand on the others."""
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
    """The data is not something that this version of userline can use. The message says what to do."""


class StoreMissing(Exception):
    """There is no store where the URL says, and none was to be created. The message says what to do."""


class StoreRefused(StoreFormatError):
    """The store never takes a write, because of how somebody set it up: trying again does not help.

    Nothing was written. The message says what to change there, and has nothing of the user.
    """


@runtime_checkable
class RuledStore(Protocol):
    """What a store has besides that goes on with other rules while it is open."""

    def hold_to(self, rules: Rules) -> None:
        """Hold users to these rules from the next write on. Raises ValueError if it cannot keep users as large."""


@runtime_checkable
class FollowedStore(Protocol):
    """What a store has besides that other programs may write to, and that can tell of it."""

    def follow(
        self,
        on_change: Callable[[UserSnapshot], None],
        on_delete: Callable[[str], None],
        on_gap: Callable[[], None],
    ) -> object:
        """Tell of what anybody changes or deletes, and of gaps in that, until the store is closed.

        Raises StoreUnavailable if the store is not open.
        """

    def hear(self, change: Change) -> None:
        """Take note of a change that somebody tells of, so that no write is guessed from what was before it."""
