"""A file of JSON Lines, read in batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from userline.moving.json_lines import LineRefused, parse_line
from userline.users.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from userline.users.record import UserRecord
    from userline.users.rules import Rules

LINES_A_BATCH: Final = 1000
_BYTES_A_BATCH: Final = 8 << 20
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""What some programs write at the beginning of a file, and is no part of its first line."""


@dataclass(slots=True)
class Batch:
    """Some lines of the file: their users with line numbers, the refused lines, and where the next batch begins."""

    users: dict[str, tuple[int, UserRecord]] = field(default_factory=dict)
    refused: list[tuple[int, LineRefused]] = field(default_factory=list)
    offset: int = 0
    line: int = 0


class Batches:
    """Reads batches from a file, beginning at an offset. No batch has two records of one user.

    The first of two lines of one user ends its batch, so that what is done with users who exist is done with the
    second. Blank lines are passed over.
    """

    def __init__(self, file: BinaryIO, rules: Rules, *, now: int, offset: int = 0, line: int = 0) -> None:
        self._file = file
        self._rules = rules
        self._now = now
        self._offset = offset
        self._line = line
        # Text that is not ASCII can take six times the bytes in JSON that the limit counts.
        self._most = max(1 << 20, 8 * rules.limits.record_bytes)

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches until the end of the file."""
        self._file.seek(self._offset)
        batch, begin = Batch(), self._offset
        for line in self._lines():
            try:
                record = self._parse(line)
            except LineRefused as refused:
                batch.refused.append((self._line, refused))
            else:
                user_id = record.snapshot.id
                if user_id in batch.users:
                    yield batch
                    batch, begin = Batch(), self._offset
                batch.users[user_id] = (self._line, record)
            batch.offset, batch.line = self._offset, self._line
            if len(batch.users) + len(batch.refused) >= LINES_A_BATCH or self._offset - begin >= _BYTES_A_BATCH:
                yield batch
                batch, begin = Batch(), self._offset
        if batch.users or batch.refused:
            yield batch

    def _parse(self, line: bytes | None) -> UserRecord:
        if line is None:
            raise LineRefused(None, (Problem("line", f"line is longer than {self._most} bytes."),))
        return parse_line(line, self._rules, now=self._now)

    def _lines(self) -> Iterator[bytes | None]:
        """Yield the lines that are not blank, None for one that is too long to be read.

        ``_offset`` and ``_line`` are behind the line that was yielded.
        """
        while line := self._file.readline(self._most):
            self._line += 1
            self._offset += len(line)
            if not line.endswith(b"\n") and len(line) == self._most:
                self._skip_rest()
                yield None
                continue
            if self._line == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if not line.isspace():
                yield line

    def _skip_rest(self) -> None:
        while rest := self._file.readline(self._most):
            self._offset += len(rest)
            if rest.endswith(b"\n"):
                return
