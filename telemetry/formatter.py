"""The format of log lines: by structlog's processors, or by hand for most lines, which is faster.

The processors take longer than a small request. By hand, a line is the same to the character.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

from userline.telemetry.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_VALUE: Final = 4096
"""So many characters of a value are logged."""

_LEVELS: Final = {level: level.lower() for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")}
_TO_QUOTE: Final = frozenset(" \t=\r\n\"'")


class LogFormatter(logging.Formatter):
    """Formats simple lines by hand, if ``by_hand`` is given, and all others by the processors.

    ``make_processors`` is called when the first line needs them. ``context`` returns what is in each line beside what
    was logged.
    """

    def __init__(
        self,
        make_processors: Callable[[], logging.Formatter],
        *,
        by_hand: Literal["text", "json"] | None,
        context: Callable[[], dict[str, Any]],
    ) -> None:
        super().__init__()
        self._make_processors = make_processors
        self._processors: logging.Formatter | None = None
        self._lay = {"text": _lay_text, "json": json.dumps, None: None}[by_hand]
        self._context = context
        self._stamp = Clock()

    def load(self) -> logging.Formatter:
        """Return the processors."""
        if self._processors is None:
            self._processors = self._make_processors()
        return self._processors

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        level = _LEVELS.get(record.levelname)
        if self._lay is None or level is None or record.exc_info or record.stack_info or hasattr(record, "_logger"):
            return self.load().format(record)
        event = record.getMessage()
        if max(len(event), len(record.name)) > LONGEST_VALUE or _is_bound():
            return self.load().format(record)
        fields: dict[str, Any] | None = getattr(record, "fields", None)
        if fields is not None and any(isinstance(one, str) and len(one) > LONGEST_VALUE for one in fields.values()):
            return self.load().format(record)
        context = self._context()
        if fields is not None:
            context = fields | {name: value for name, value in context.items() if name not in fields}
        line = {"timestamp": self._stamp(), "level": level, "logger": record.name, "event": event}
        return self._lay(line | context)


def _is_bound() -> bool:
    """Whether something is bound to the context by structlog."""
    contextvars = sys.modules.get("structlog.contextvars")
    return contextvars is not None and bool(contextvars.get_contextvars())


def _lay_text(line: dict[str, Any]) -> str:
    first = f"{line['timestamp']} [{line['level']:9}] {line['event']:30} [{line['logger']}]"
    return " ".join([first, *(f"{name}={_shown(value)}" for name, value in list(line.items())[4:])]).rstrip(" ")


def _shown(value: object) -> str:
    if isinstance(value, list):
        value = json.dumps(value)
    return value if isinstance(value, str) and _TO_QUOTE.isdisjoint(value) else repr(value)
