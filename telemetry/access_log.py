"""The access log: a line for every request, formatted by hand and written many at a time, which is fast.

Lines wait for a tenth of a second at most. They are written before any other line of the log, so that the log is in
order, and when the process ends in any way but ``kill -9``.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
from typing import TYPE_CHECKING, Any, Final

import orjson

from userline.telemetry.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO, TypeAlias

    FormatLine: TypeAlias = Callable[[str, str, dict[str, Any]], str]
    """Lays a line of the time, the text for people and the fields."""

LOGGER_NAME: Final = "userline.access"
_WAIT_SECONDS: Final = 0.1
_MOST_WAITING: Final = 256


class LogHandler(logging.StreamHandler["TextIO"]):
    """Writes the log; before each line it writes the waiting lines of the access log."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line of the log."""
        self._write_waiting()
        super().emit(record)

    def add(self, line: str) -> None:
        """Add a line of the access log, to be written soon."""
        self._waiting.append(line)
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_later(_WAIT_SECONDS, self.write_waiting)
            except RuntimeError:
                self.write_waiting()
        elif len(self._waiting) >= _MOST_WAITING:
            self.write_waiting()

    def write_waiting(self) -> None:
        """Write what waits."""
        if self._waiting:
            self.acquire()
            try:
                self._write_waiting()
            finally:
                self.release()

    def _write_waiting(self) -> None:
        if not self._waiting:
            return
        lines, self._waiting = self._waiting, []
        try:
            self.stream.write("".join(lines))
            self.stream.flush()
        except Exception:  # noqa: BLE001 - as logging does with what it cannot write
            self.handleError(logging.makeLogRecord({"name": LOGGER_NAME}))


class AccessLog:
    """Logs requests. ``log`` is called with the fields of one request, in the order of the line."""

    def __init__(self) -> None:
        self._handler: LogHandler | None = None
        self._format: FormatLine = format_json
        self._stamp = Clock()
        self._of_process: dict[str, Any] = {}

    def use(self, handler: LogHandler, format_line: FormatLine, of_process: dict[str, Any]) -> None:
        """Write to this handler from now on; each line has what is to be in all of them from this process."""
        if self._handler is None:
            atexit.register(self.close)
        self._handler, self._format, self._of_process = handler, format_line, of_process

    def log(self, event: str, fields: dict[str, Any]) -> None:
        """Log a request: a short text for people, and what programs want to know, which is no longer the caller's."""
        if self._handler is None:
            logging.getLogger(LOGGER_NAME).info("%s %s", event, fields)
            return
        if self._of_process:
            fields |= self._of_process
        self._handler.add(self._format(self._stamp(), event, fields))

    def close(self) -> None:
        """Write what waits."""
        if self._handler is not None:
            self._handler.write_waiting()


def format_json(timestamp: str, event: str, fields: dict[str, Any]) -> str:
    """Return a line as a JSON object."""
    line = {"timestamp": timestamp, "level": "info", "logger": LOGGER_NAME, "event": event, **fields}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE).decode()


def format_text(timestamp: str, event: str, fields: dict[str, Any]) -> str:
    """Return a line for people, as the other lines of the log look."""
    told = " ".join([f"{name}={value}" for name, value in fields.items()])
    return f"{timestamp} [info     ] {event:<30} [{LOGGER_NAME}] {told}\n"


ACCESS_LOG: Final = AccessLog()
"""The access log of this process, which ``configure_logging`` sets up."""
