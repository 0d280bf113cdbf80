"""Replaces a user by a whole record, as an import does."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from userline.users.versions import next_version

if TYPE_CHECKING:
    from userline.users.record import UserRecord


class Put(StrEnum):
    """The result of putting a record."""

    CREATED = "created"
    REPLACED = "replaced"
    SAME = "same"
    """The user was there already, just so."""
    KEPT = "kept"
    """The user was there, another than the record, and was left as it was."""
    DELETED = "deleted"
    """The user was deleted since it was as in the record, and was not brought back."""


def put(  # noqa: PLR0913 - each is something else
    record: UserRecord, before: UserRecord | None, *, now: int, overwrite: bool, deleted: int = 0, restore: bool = False
) -> tuple[Put, UserRecord | None]:
    """Return what putting ``record`` where ``before`` is (None: no such user) does, and what is there then.

    ``deleted`` is the version of the last deletion of such a user (0: none is known). A record from before it is put
    only with ``restore``.

    The user has the times of the record then, and its version or the next one at ``now`` (Unix milliseconds), whichever
    is higher: the record may be old, and the user have been deleted since, and whoever held it would take the new state
    for an old one. Putting the same record again does nothing.
    """
    if before is None:
        if 0 < deleted >= record.snapshot.version and not restore:
            return Put.DELETED, None
        return Put.CREATED, record.at(max(record.snapshot.version, next_version(deleted, now)))
    version = before.snapshot.version
    if record.snapshot.version <= version and record.at(version) == before:
        return Put.SAME, before
    if not overwrite:
        return Put.KEPT, before
    return Put.REPLACED, record.at(max(record.snapshot.version, next_version(version, now)))
