"""The files of a database on the disk: the main file, and those that SQLite keeps beside it.

SQLite makes the files beside it with the mode of the database file, whatever the umask; so that one's mode is what
counts. None of them may ever be opened here by other ways than SQLite's: closing a descriptor of a file gives up the
locks of the whole process on it.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Final

from userline.storage.files import PRIVATE, create_private

logger = logging.getLogger("userline.storage")

LOG: Final = "-wal"
"""What the name of the write-ahead log ends with."""

_BESIDE: Final = (LOG, "-shm", "-journal")
_OWNER: Final = stat.S_IRUSR | stat.S_IWUSR


def files_of(path: Path) -> list[Path]:
    """Return the database file and those beside it, there or not. They stand where the file is that a link leads to."""
    real = Path(os.path.realpath(path))
    return [real, *(real.with_name(real.name + suffix) for suffix in _BESIDE)]


def create_file(path: Path) -> bool:
    """Create an empty file for its owner alone, unless something is there; return whether it was. Raises OSError."""
    try:
        os.close(create_private(files_of(path)[0]))
    except FileExistsError:
        return False
    return True


def set_mode(path: Path, mode: int) -> None:
    """Bring the files that are there to ``mode``. What their owner may not do is not given to anybody.

    Where that is for another user to do, and somebody may do more than ``mode`` says, it goes into the log.
    """
    for file in files_of(path):
        try:
            status = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        now = stat.S_IMODE(status.st_mode)
        wanted = mode if now & _OWNER == _OWNER else now & mode
        if wanted == now or not stat.S_ISREG(status.st_mode):
            continue
        try:
            file.chmod(wanted)
        except FileNotFoundError:
            continue
        except PermissionError:
            if now & ~mode:
                logger.warning(
                    "%s has the data of users, but other users of the machine than its owner may use it (mode %04o). "
                    "It belongs to another user, who can correct the mode with: chmod %04o %s",
                    *(file, now, mode, file),
                )


def others_may(path: Path, mode: int = PRIVATE) -> int | None:
    """Return the mode of the first of the files that allows more than ``mode``, None if there is none such."""
    for file in files_of(path):
        try:
            now = stat.S_IMODE(file.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if now & ~mode:
            return now
    return None
