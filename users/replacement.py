"""What becomes of a user when a whole record is put in its place, as an import does."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from userline.users.record import UserRecord


class Put(StrEnum):
    """What putting a record did."""

    CREATED = "created"
    REPLACED = "replaced"
    SAME = "same"
    """The user was there already, just so."""
    KEPT = "kept"
    """The user was there, another than the record, and was left as it was."""


def put(record: UserRecord, before: UserRecord | None, *, overwrite: bool) -> tuple[Put, UserRecord]:
    """Return what putting ``record`` where ``before`` is (None: no such user) does, and what is there then.

    A user who is created has the version and the times of the record. One who is replaced has them too, but for a
    version that must grow, or whoever holds the user would take the new state for an old one. Putting the same record
    again does nothing.
    """
    if before is None:
        return Put.CREATED, record
    version = before.snapshot.version
    if record.snapshot.version <= version and _at(record, version) == before:
        return Put.SAME, before
    if not overwrite:
        return Put.KEPT, before
    return Put.REPLACED, _at(record, max(record.snapshot.version, version + 1))


def _at(record: UserRecord, version: int) -> UserRecord:
    if record.snapshot.version == version:
        return record
    return replace(record, snapshot=replace(record.snapshot, version=version))
