"""Guards acknowledged writes: checks that the database files are still in place, and logs each trouble once."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from userline.storage.sqlite.trouble import DISK_FULL, Trouble
from userline.storage.sqlite.watch import FileWatch
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL_BYTES: Final = 64 * 1024
"""A disk with less room than that is full: a write of a user may need it."""


class Guard:
    """The guard of one store. ``reading`` and ``writing`` know whether the last attempt failed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reading = Trouble(path, "read", "userline-read")
        self.writing = Trouble(path, "written", "userline-write", beside=self.reading)
        self.reading.beside = self.writing

    def opened(self) -> None:
        """Take note of which files the database is, once the first connection is open."""
        self._watch = FileWatch(self._path)

    @contextmanager
    def write(self, *, is_ping: bool) -> Iterator[None]:
        """Surround a transaction. Raises StoreUnavailable for every failure, which may be one after the commit."""
        try:
            self._watch.check_for_write()
            if is_ping:
                self._check_room()
            yield
            # What was committed to a file that nobody will find is not told of as written.
            self._watch.check_for_write()
        except (sqlite3.Error, StoreUnavailable) as error:
            raise self.writing.begin(error) from error
        self.writing.end()

    def check_for_read(self) -> None:
        """Raise StoreUnavailable if what can be read is not what is at the path."""
        try:
            self._watch.check_for_read()
        except StoreUnavailable as error:
            raise self.reading.begin(error) from error

    def _check_room(self) -> None:
        disk = os.statvfs(self._path.parent)
        free = disk.f_frsize * (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail)
        if free < FULL_BYTES:
            raise StoreUnavailable(DISK_FULL)
