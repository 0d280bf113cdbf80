"""Checks whether the open files are still the ones at their path.

A file that was deleted or replaced can be written on, and every write is gone when the process ends. SQLite does not
look, so the store does: what it has open is known by device and inode, and what is at the path is looked up.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from userline.storage.sqlite.file import files_of
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_BETWEEN_LOOKS: Final = 0.25
"""How long a read may go by what was seen before. A write never does."""

_SETTLED_SECONDS: Final = 0.1
"""How old the last change of a directory must be to be told from the next one by its time, whose steps are coarse."""

_RESTART: Final = "Stop the gateway, put the file back (from a backup if need be), and start it again."


class FileWatch:
    """Looks at the files of an open database. Used by the threads of one store, and not bound to any of them."""

    def __init__(self, path: Path) -> None:
        """Take note of what is there: the files must be open already, and not known to others for less."""
        self._path = path
        # Without the journal, which is there during a conversion alone.
        self._files = files_of(path)[:3]
        self._known = [_identity(file) for file in self._files]
        self._size = self._files[0].stat().st_size
        self._parent = str(self._files[0].parent)
        self._directory: tuple[int, int, int] | None = None
        self._may_write = True
        self._next_look = 0.0

    @property
    def identity(self) -> tuple[int, int] | None:
        """Which file the database is."""
        return self._known[0]

    def check_for_read(self) -> None:
        """Raise StoreUnavailable if the files are not those at the path, as they were a moment ago."""
        if time.monotonic() >= self._next_look:
            self._look()

    def check_for_write(self) -> None:
        """Raise StoreUnavailable if the files are not those at the path or may not be written."""
        # Whoever deletes, replaces or moves a file changes its directory, so that one look tells of all files. Their
        # size and mode tell of less urgent things.
        directory = self._directory_now()
        if directory != self._directory or not self._may_write or time.monotonic() >= self._next_look:
            self._look()
            settled = time.time_ns() - directory[2] > _SETTLED_SECONDS * 1e9
            self._directory = directory if settled else None
        if not self._may_write:
            raise StoreUnavailable(
                f"{self._path} is not writable any more. Make it and its file system writable. Writing then continues."
            )

    def _directory_now(self) -> tuple[int, int, int]:
        try:
            status = os.stat(self._parent)  # noqa: PTH116 - for every group of writes, and half the time of a Path
        except OSError as error:
            raise StoreUnavailable(
                f"The directory {self._parent} does not exist any more ({error.strerror}). {_RESTART}"
            ) from None
        return status.st_dev, status.st_ino, status.st_mtime_ns

    def _look(self) -> None:
        for index, file in enumerate(self._files):
            known, now = self._known[index], _identity(file)
            if known is None:  # it was made since
                self._known[index] = now
            elif now is None:
                raise StoreUnavailable(f"{file} was deleted or moved away while in use. {_RESTART}")
            elif now != known:
                raise StoreUnavailable(f"{file} was replaced by another file while in use. {_RESTART}")
        size = self._files[0].stat().st_size
        if size < self._size and not self._is_whole():
            raise StoreUnavailable(f"{self._path} was truncated while in use, and is damaged. {_RESTART}")
        self._size = size
        self._may_write = os.access(self._files[0], os.W_OK)
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS

    def _is_whole(self) -> bool:
        """Whether a file that has become smaller is sound, as after VACUUM."""
        # A connection of its own knows no pages from before.
        uri = f"{self._path.as_uri()}?mode=rw"
        try:
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
                connection.execute("SELECT id FROM users LIMIT 1")  # an empty file would be sound
                return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.DatabaseError:
            return False


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
