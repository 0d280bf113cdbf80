"""Makes a consistent copy of a database while it is in use, checks it, and puts it in place when it is complete."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from userline.storage.files import NewFile, remove_leftovers
from userline.storage.sqlite.database import open_as_it_is
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PAGES_A_STEP: Final = 256
_INSTRUCTIONS_A_STEP: Final = 100_000


class BackupStopped(Exception):
    """The backup was cancelled."""


def back_up(
    source: Path, target: Path, *, overwrite: bool, show: Callable[[int, int], None], is_stopped: Callable[[], bool]
) -> int:
    """Copy the database at ``source`` into ``target``, for its owner alone; return how many users are in the copy.

    The copy has every write that was acknowledged before this is called, and is of one moment; programs that write
    meanwhile neither wait nor make it begin anew. ``show`` hears how many pages are copied, and of how many.

    Raises StoreMissing, StoreFormatError, StoreUnavailable or OSError; FileExistsError unless ``overwrite``, if a file
    is at ``target``; BackupStopped soon after ``is_stopped`` is true. ``target`` is then as it was.
    """

    def on_step(_: int, remaining: int, total: int) -> None:
        if is_stopped():
            raise BackupStopped
        show(total - remaining, total)

    target = target.absolute()
    with closing(open_as_it_is(source)) as original:
        # A read transaction keeps the moment: otherwise each write by another process would start the copying anew.
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        remove_leftovers(target.parent)
        with NewFile(target) as file:
            try:
                with closing(sqlite3.connect(f"{file.path.as_uri()}?mode=rw", uri=True, isolation_level=None)) as copy:
                    # What is not whole is thrown away, and what is goes to the disk at the end.
                    copy.execute("PRAGMA journal_mode = OFF")
                    copy.execute("PRAGMA synchronous = OFF")
                    original.backup(copy, pages=_PAGES_A_STEP, progress=on_step)
                users = _check(file.path, is_stopped)
            except sqlite3.Error as error:
                raise StoreUnavailable(
                    f"The backup of {source} into {target} failed: {error}. Look whether a disk is full, and try again."
                ) from error
            file.place(overwrite=overwrite)
    return users


def _check(path: Path, is_stopped: Callable[[], bool]) -> int:
    """Return how many users a copy has, read back from the file. Raises StoreUnavailable if it is damaged."""
    # Nobody else has it open: without locks, and without files beside it.
    uri = f"{path.as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as copy:
        copy.set_progress_handler(is_stopped, _INSTRUCTIONS_A_STEP)
        try:
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            (users,) = copy.execute("SELECT count(*) FROM users").fetchone()
        except sqlite3.OperationalError:
            if is_stopped():
                raise BackupStopped from None
            raise
    if found != "ok":
        raise StoreUnavailable(
            f"The copy is damaged, and so is the database that it was made of: {found}. Nothing was put in place."
        )
    return int(users)
