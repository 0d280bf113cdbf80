"""What can be told of a database file from outside."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of the file that users are in, or would be in. Sizes are in bytes."""

    exists: bool
    writable: bool
    """Whether this process may write the file, or create it in its directory."""
    size: int
    log_size: int
    """Of the write-ahead log, which is folded into the file from time to time."""
    free: int
    """What is free on the disk."""
    sqlite_version: str


def examine_file(path: Path) -> FileFacts:
    """Return the facts; creates and changes nothing. Raises OSError if the directory cannot be looked at."""
    exists = path.exists()
    log = path.with_name(path.name + "-wal")
    return FileFacts(
        exists=exists,
        writable=os.access(path.parent, os.W_OK | os.X_OK) and (not exists or os.access(path, os.W_OK)),
        size=path.stat().st_size if exists else 0,
        log_size=log.stat().st_size if log.exists() else 0,
        free=shutil.disk_usage(path.parent).free,
        sqlite_version=sqlite3.sqlite_version,
    )
