"""Troubles of an open database: each reason is logged once, and again when it is over."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Final

from userline.common.outage import Outage
from userline.storage.sqlite.database import primary_code
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger("userline.storage")

DISK_FULL: Final = "the disk is full. Free some space on it. The gateway then continues by itself."

_LOOK: Final = "Check whether the disk is full or failing. The gateway continues by itself when the disk works."
_DAMAGED: Final = "Stop the gateway and restore the file from a backup."
_HINTS: Final = {
    sqlite3.SQLITE_BUSY: "Another program keeps the file locked. Stop it. The gateway then continues by itself.",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_IOERR: _LOOK,
    sqlite3.SQLITE_CANTOPEN: _LOOK,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_READONLY: "Make the file and its file system writable. The gateway then continues by itself.",
}


class Trouble:
    """The outages of reading, or of writing."""

    def __init__(self, path: Path, what: str, thread: str, beside: Trouble | None = None) -> None:
        self._path = path
        self._thread = thread
        self._what = what
        self.beside = beside
        """What tells of the same file: a reason that it has told is not told again."""
        self.told: set[str] = set()
        self._outage = Outage()
        self._is_said = False

    def __bool__(self) -> bool:
        """Whether the last attempt failed."""
        return bool(self.told)

    def begin(self, error: Exception | str) -> StoreUnavailable:
        """Take note of a failure, and return what callers are told of it."""
        reason = _reason(error)
        self._outage.begin()
        if reason in self.told:
            return StoreUnavailable()
        self.told.add(reason)
        if self.beside is None or reason not in self.beside.told:
            self._is_said = True
            failed = f"The user database failed ({self._thread})"
            logger.error("%s. %s cannot be %s: %s", failed, self._path, self._what, reason)
        return StoreUnavailable()

    def end(self) -> None:
        """Take note of a success."""
        if not self.told:
            return
        self.told.clear()
        away, is_said, self._is_said = self._outage.end(), self._is_said, False
        if is_said:
            logger.warning("%s can be %s again, after %s.", self._path, self._what, away)


def _reason(error: Exception | str) -> str:
    if isinstance(error, sqlite3.Error):
        if primary_code(error) == sqlite3.SQLITE_FULL:
            return DISK_FULL
        return f"{error} (sqlite3.{type(error).__name__}). {_HINTS.get(primary_code(error), '')}".rstrip()
    return str(error)
