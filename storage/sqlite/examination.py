"""Facts about a database file, for ``userline doctor``."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from userline.storage.files import PRIVATE
from userline.storage.sqlite.file import files_of, others_may

if TYPE_CHECKING:
    from collections.abc import Iterator


_TRIED_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Facts about the file of the store, which may not exist yet. Sizes are in bytes."""

    exists: bool
    writable: bool
    """Whether this process may write the file, or create it in its directory."""
    size: int
    log_size: int
    """Of the write-ahead log, which is folded into the file from time to time."""
    free: int
    """What is free on the disk."""
    sqlite_version: str
    wide_mode: int | None = None
    """The mode of the first of the files that others than their owner may use, None if there is none."""
    is_own: bool = True
    """Whether the files are this user's, who may narrow their mode."""
    not_written: str | None = None
    """Why nothing can be written beside the file, None if it can."""
    most_size: int | None = None
    """How large this process may make a file; None if there is no limit."""
    holders: tuple[int, ...] = ()
    """Processes that still have a file open that was deleted from the path, as far as the system tells (Linux)."""


def examine_file(path: Path, mode: int = PRIVATE) -> FileFacts:
    """Return the facts, where ``mode`` says who may use the files; what is written to try the disk is gone again.

    Raises OSError if the directory cannot be looked at.
    """
    exists = path.exists()
    log = path.with_name(path.name + "-wal")
    return FileFacts(
        exists=exists,
        writable=os.access(path.parent, os.W_OK | os.X_OK) and (not exists or os.access(path, os.W_OK)),
        size=path.stat().st_size if exists else 0,
        log_size=log.stat().st_size if log.exists() else 0,
        free=shutil.disk_usage(path.parent).free,
        sqlite_version=sqlite3.sqlite_version,
        wide_mode=others_may(path, mode),
        not_written=_try(path.parent),
        most_size=_most_size(),
        is_own=not exists or os.geteuid() in {0, path.stat().st_uid},
        holders=tuple(_holders(path)),
    )


def _try(directory: Path) -> str | None:
    """Write a file of no name and have it on the disk; return why that fails, None if it does not."""
    if not os.access(directory, os.W_OK | os.X_OK):
        return None  # which is told as such
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(os.urandom(_TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return None


def _most_size() -> int | None:
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if most == resource.RLIM_INFINITY else most


def _holders(path: Path) -> Iterator[int]:
    """Yield the processes of this user that have open what was deleted from the path."""
    deleted = {f"{file} (deleted)" for file in files_of(path)}
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):  # another user's, or it has ended
            if any(str(entry.readlink()) in deleted for entry in descriptors.iterdir()):
                yield int(descriptors.parent.name)
