"""The report of what was refused and why, in JSON Lines: ``{"line": 7, "id": "x", "reasons": [{field, message}]}``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson

from userline.moving.checkpoint import open_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from userline.users.errors import Problem


class Report:
    """Written as lines are refused; there is no file while there is nothing to say."""

    def __init__(self, path: Path, size: int = 0) -> None:
        """Go on with a report that had this size; what was written after that is written again."""
        self.path = path
        self._file: int | None = None
        if size and path.exists():
            self._file = open_private(path, os.O_APPEND)
            os.ftruncate(self._file, size)
        else:
            path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """How large the file is."""
        return os.fstat(self._file).st_size if self._file is not None else 0

    def add(self, line: int, user_id: str | None, problems: Sequence[Problem]) -> None:
        """Add a refused line."""
        if self._file is None:
            self._file = open_private(self.path, os.O_APPEND)
        reasons = [{"field": problem.field, "message": problem.message} for problem in problems]
        value = {"line": line, "id": user_id, "reasons": reasons}
        os.write(self._file, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
