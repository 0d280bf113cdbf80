"""The unfinished file of an export: the lines in ``FILE.part``, and its progress in ``FILE.part.json``.

The note is written after every page, and has the size and a digest of what was written before it. So a run that goes on
knows what is whole, and that nobody else has put something there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, Self

import orjson

from userline.moving.checkpoint import MoveRefused, read_small_file
from userline.storage.files import create_private, put_in_place, write_all, write_whole

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1

OLD_SECONDS: Final = 24 * 3600
"""A part that was begun longer ago is gone on with only if that is asked for: its users have changed since."""

_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Note:
    """How far an export has come."""

    identity: dict[str, object]
    """What must be the same for the next run to go on."""
    begun: float
    """When the first run began, in Unix seconds."""
    format: int = FORMAT
    size: int = 0
    users: int = 0
    last: str | None = None
    """The id of the last user who is there."""
    digest: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)
    """What could not be read, by id, with the reasons."""


class Part:
    """The unfinished file of one export. As a context manager it closes the file and leaves it for the next run.

    ``has_begun`` tells whether a run before has left something. Raises MoveRefused if that is not to be gone on with.
    """

    def __init__(
        self, target: Path, identity: dict[str, object], *, resume: bool = False, restart: bool = False
    ) -> None:
        self.path = target.with_name(target.name + ".part")
        self._target = target
        self._note_path = target.with_name(target.name + ".part.json")
        known = self._load()
        self.has_begun = known is not None and not restart
        if known is not None and restart:
            self._file = self._open()
            self.path.unlink()
            os.close(self._file)
        if known is None or restart:
            self.note = Note(identity, time.time())
            self._digest = hashlib.blake2b()
            self._save()
            self._file = create_private(self.path)
            self._lock()
            return
        self.note = known
        if known.identity != identity:
            raise MoveRefused(f"{self.path} belongs to an export of another store. Delete it, or give --restart.")
        if time.time() - known.begun > OLD_SECONDS and not resume:
            raise MoveRefused(
                f"{self.path} belongs to an export that was started at {self.begun}. Users may have changed since. "
                "Give --restart to start again, or --resume to continue it anyway."
            )
        self._file = self._open()
        try:
            self._verify()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    @property
    def begun(self) -> str:
        """When the first run began, for people."""
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.note.begun))

    def add(self, lines: bytes, users: int, last: str) -> None:
        """Append the lines of some users. Raises OSError, and then the next run goes on before them."""
        write_all(self._file, lines)
        self._digest.update(lines)
        note = self.note
        note.size, note.users, note.last = note.size + len(lines), note.users + users, last
        self._save()

    def finish(self, *, overwrite: bool) -> None:
        """Bring everything to the disk, and the file to its place. Raises FileExistsError unless ``overwrite``."""
        os.fsync(self._file)
        put_in_place(self.path, self._target, overwrite=overwrite)
        self._note_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete it."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def _load(self) -> Note | None:
        """Return what a run before has left, None if there is nothing."""
        data = read_small_file(self._note_path)
        note = None
        if data:
            try:
                value = orjson.loads(data)
                is_whole = value.pop("check") == _check(value)
                note = Note(**value)
            except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
                is_whole = False
            if not is_whole:
                raise MoveRefused(
                    f"An export stores its progress in {self._note_path}, but that is something else. Move it away."
                )
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return None
        if note is None or note.format != FORMAT or not stat.S_ISREG(status.st_mode):
            raise MoveRefused(f"{self.path} was not written by an export of this version. Move it away.")
        return note

    def _verify(self) -> None:
        """Cut off what is not known of. Raises MoveRefused if what is known of is not there as it was."""
        self._digest = hashlib.blake2b()
        rest = self.note.size
        while rest and (chunk := os.read(self._file, min(rest, _CHUNK))):
            self._digest.update(chunk)
            rest -= len(chunk)
        if rest or (self.note.size and self._digest.hexdigest() != self.note.digest):
            raise MoveRefused(
                f"{self.path} was changed after the export was interrupted. Give --restart to start again."
            )
        os.fchmod(self._file, 0o600)
        os.ftruncate(self._file, self.note.size)

    def _open(self) -> int:
        self._file = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._lock()
        except BaseException:
            os.close(self._file)
            raise
        return self._file

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MoveRefused(f"Another export is writing {self.path}. Wait for it, or name another file.") from None

    def _save(self) -> None:
        self.note.digest = self._digest.hexdigest()
        value = asdict(self.note)
        write_whole(self._note_path, orjson.dumps(value | {"check": _check(value)}), is_durable=False)


def _check(value: dict[str, object]) -> str:
    """Return what tells a note that was damaged."""
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
