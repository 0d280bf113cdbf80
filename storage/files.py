"""Files with users in them: only their owner may use them, and they are put in place only when complete."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

PRIVATE: Final = 0o600
"""Who may read and write files with users in them: their owner."""


def create_private(path: Path, mode: int = PRIVATE) -> int:
    """Create a file that is not there yet and return its descriptor; ``mode`` holds whatever the umask.

    Raises FileExistsError, for a link too, wherever it leads.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    try:
        os.fchmod(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        path.unlink()
        raise
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``: one call of the system may write less, on a disk that is nearly full for one."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


_PREFIX: Final = ".userline-"
_SUFFIX: Final = ".tmp"
_LEFT_SECONDS: Final = 3600
"""How long a file must have been left alone to be what a process that was killed has left."""


class NewFile:
    """A file that gets its name when it is complete. Until then it has another name in the same directory.

    A context: unless ``place`` was called, nothing is left of it at the end.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
        self._target = target
        self.descriptor = create_private(self.path)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        self._is_placed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self.descriptor)
        if not self._is_placed:
            self.path.unlink(missing_ok=True)

    def place(self, *, overwrite: bool, is_durable: bool = True) -> None:
        """Bring everything to the disk, if it is to be durable, and the file to its place.

        Raises FileExistsError if something is there, unless ``overwrite``.
        """
        if is_durable:
            os.fsync(self.descriptor)
        put_in_place(self.path, self._target, overwrite=overwrite, is_durable=is_durable)
        self._is_placed = True


def put_in_place(path: Path, target: Path, *, overwrite: bool, is_durable: bool = True) -> None:
    """Give a file the name of ``target``. Raises FileExistsError if something has it, unless ``overwrite``."""
    if overwrite:
        path.replace(target)
    else:
        try:
            # A rename would replace what has come there since somebody looked.
            target.hardlink_to(path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(target):
                raise FileExistsError(f"{target} already exists.") from None
            path.rename(target)
        else:
            path.unlink()
    if not is_durable:
        return
    directory = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    except OSError:  # a file system that cannot; the file itself is on the disk
        pass
    finally:
        os.close(directory)


def remove_leftovers(directory: Path) -> None:
    """Delete what processes that were killed have left of a :class:`NewFile` in a directory."""
    for path in directory.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):
            if path.is_symlink() or not path.is_file() or time.time() - path.stat().st_mtime < _LEFT_SECONDS:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while it is being written
                path.unlink()
            finally:
                os.close(descriptor)


def write_whole(path: Path, data: bytes, *, overwrite: bool = True, is_durable: bool = True) -> None:
    """Put a file with ``data`` in its place: whoever looks sees all of it, or all of what was there before."""
    with NewFile(path) as file:
        write_all(file.descriptor, data)
        file.place(overwrite=overwrite, is_durable=is_durable)
