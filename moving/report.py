"""The report of what was refused and why, in JSON Lines: ``{"line": 7, "id": "x", "reasons": [{field, message}]}``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import orjson

from userline.moving.checkpoint import MoveRefused
from userline.storage.files import create_private, write_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from userline.users.errors import Problem

_KEYS: Final = {"id", "reasons"}
_LONGEST_LINE: Final = 1 << 20


class Report:
    """Written as lines are refused; nothing is created or touched while there is nothing to say."""

    def __init__(self, path: Path, size: int = 0, *, overwrite: bool = True) -> None:
        """Go on with a report that had this size; what was written after that is written again.

        A new one takes the place of what is there when the first line is refused, with ``overwrite`` alone. Raises
        MoveRefused if the report to go on with is not there any more.
        """
        self.path = path
        self._overwrite = overwrite
        self._file: int | None = None
        if not size:
            return
        if not is_report(path) or path.stat().st_size < size:
            raise MoveRefused(f"The report of the interrupted import, {path}, is not there any more. Say --restart.")
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.ftruncate(self._file, size)

    @property
    def size(self) -> int:
        """How large the file is."""
        return os.fstat(self._file).st_size if self._file is not None else 0

    def add(self, line: int, user_id: str | None, problems: Sequence[Problem]) -> None:
        """Add a refused line."""
        if self._file is None:
            if self._overwrite:
                self.path.unlink(missing_ok=True)
            self._file = create_private(self.path)
        reasons = [{"field": problem.field, "message": problem.message} for problem in problems]
        value = {"line": line, "id": user_id, "reasons": reasons}
        write_all(self._file, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


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
