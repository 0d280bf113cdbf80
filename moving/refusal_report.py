"""The report of what was refused and why, in JSON Lines: ``{"line": 7, "id": "x", "reasons": [{field, message}]}``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import orjson

from userline.moving.checkpoint import MoveRefused
from userline.storage.files import create_private, put_in_place, write_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from userline.users.errors import Problem

_KEYS: Final = {"id", "reasons"}
_LONGEST_LINE: Final = 1 << 20


class RefusalReport:
    """Written to ``path`` with ``.part`` behind it, and renamed at the end.

    Nothing is created or touched while there is nothing to say.
    """

    def __init__(self, path: Path, size: int = 0, *, overwrite: bool = True) -> None:
        """Go on with a report that had this size; what was written after that is written again.

        A new one takes the place of what is at ``path`` with ``overwrite`` alone. Raises MoveRefused if the report to
        go on with is not there any more.
        """
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._overwrite = overwrite
        self._file: int | None = None
        if size:
            known = self._known(size)
            write_all(self._begin(), known)

    @property
    def size(self) -> int:
        """How large it is."""
        return os.fstat(self._file).st_size if self._file is not None else 0

    def add(self, line: int, user_id: str | None, problems: Sequence[Problem]) -> None:
        """Add a refused line. Raises OSError."""
        file = self._begin() if self._file is None else self._file
        reasons = [{"field": problem.field, "message": problem.message} for problem in problems]
        value = {"line": line, "id": user_id, "reasons": reasons}
        write_all(file, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))

    def finish(self) -> None:
        """Put it in its place. Raises FileExistsError if something has come there that is not to be replaced."""
        if self._file is not None:
            os.fsync(self._file)
            put_in_place(self._part, self.path, overwrite=self._overwrite)

    def close(self) -> None:
        """Close the file. If it is not finished, it is left for the next run."""
        if self._file is not None:
            if not self.size:
                self._part.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def discard(self) -> None:
        """Take away what was collected."""
        if self._file is not None:
            self._part.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def _known(self, size: int) -> bytes:
        """Return so much of what the run before has left, which may have been put in its place or not."""
        for path in (self._part, self.path):
            if is_report(path) and path.stat().st_size >= size:
                with path.open("rb") as file:
                    return file.read(size)
        raise MoveRefused(
            f"The report of the interrupted import, {self.path}, does not exist any more. Give --restart to start "
            "again."
        )

    def _begin(self) -> int:
        if os.path.lexists(self._part):
            if not is_report(self._part):
                raise MoveRefused(f"The report is collected in {self._part}, but that is something else. Move it away.")
            self._part.unlink()
        self._file = create_private(self._part)
        return self._file


def is_report(path: Path) -> bool:
    """Whether a file is a report, by its first line."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline(_LONGEST_LINE)
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and value.keys() >= _KEYS
