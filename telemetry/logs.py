"""Logging set-up: what is logged by userline, Uvicorn, the libraries and Python's warnings looks alike.

Everybody logs to loggers of the standard library, or of structlog where that is loaded; one handler writes it all to
standard error. structlog itself is loaded by the first line that is more than a text, or is to have colours.
"""

from __future__ import annotations

import logging
import os
import sys
from contextvars import ContextVar
from typing import Any, Final, Literal

from userline.telemetry.access_log import ACCESS_LOG, LOGGER_NAME, LogHandler, format_json, format_text
from userline.telemetry.formatter import LogFormatter

REQUEST_STATE: ContextVar[dict[str, Any] | None] = ContextVar("userline-request-state", default=None)
"""The state of the request or socket that is being served; its id, its viewer, the client's address and the trace are
in every line of the log."""

_OF_PROCESS: Final[dict[str, Any]] = {}
"""What is in every line that this process logs."""

_UVICORN_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def configure_logging(log_format: Literal["text", "json"], level: str, *, worker: int | None = None) -> None:
    """Log everything of ``level`` and above to standard error. Uvicorn must be run with ``log_config=None``.

    "text" is for people, coloured on a terminal. "json" is one JSON object per line, with ``timestamp`` (ISO 8601,
    UTC), ``level``, ``logger``, ``event`` and what is bound to the context, such as ``request_id``; an exception is
    there whole, as the string ``exception``. A record's own ``fields`` (a dictionary, given as ``extra``) are there
    too, and ``worker``, the number of this process among several, if it has one. May be called again.
    """
    _OF_PROCESS.clear()
    if worker is not None:
        _OF_PROCESS["worker"] = worker
    has_colours = log_format == "text" and _has_colours()

    def make_processors() -> logging.Formatter:
        from userline.telemetry.processors import configure_structlog  # noqa: PLC0415 - most lines need none of it

        return configure_structlog(log_format, has_colours=has_colours, context=_request_fields)

    formatter = LogFormatter(make_processors, by_hand=None if has_colours else log_format, context=_request_fields)
    if "structlog" in sys.modules:  # somebody may log to its loggers
        formatter.load()
    handler = LogHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    ACCESS_LOG.use(
        handler, format_json if log_format == "json" else _coloured if has_colours else format_text, _OF_PROCESS
    )
    for name in _UVICORN_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.error").addFilter(_is_no_handshake)
    logging.captureWarnings(capture=True)
    set_level(level)


def set_level(level: str) -> None:
    """Log what is of ``level`` and above from now on."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    # Below, Uvicorn writes what comes over sockets, tokens included, and PyMongo writes users, e-mails included.
    for name, least in (("uvicorn.error", logging.INFO), ("pymongo", logging.INFO), ("httpx", logging.WARNING)):
        logging.getLogger(name).setLevel(max(least, root.level))


def _is_no_handshake(record: logging.LogRecord) -> bool:
    """Whether this is none of Uvicorn's lines about a handshake. They have the query; the access log's line has not."""
    return not (isinstance(record.msg, str) and '"WebSocket %s"' in record.msg)


def _has_colours() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def _coloured(timestamp: str, event: str, fields: dict[str, Any]) -> str:
    from userline.telemetry.processors import lay_in_colours  # noqa: PLC0415 - for terminals alone

    line = {"timestamp": timestamp, "level": "info", "logger": LOGGER_NAME, "event": event, **fields}
    return lay_in_colours(line)


def _request_fields() -> dict[str, Any]:
    state = REQUEST_STATE.get()
    if state is None:
        return _OF_PROCESS
    fields: dict[str, Any] = {"request_id": state["request_id"]}
    if "client" in state:
        fields["client"] = state["client"]
    if "viewer" in state:
        fields["viewer"] = state["viewer"].kind.value
    if "trace_id" in state:
        fields["trace_id"] = state["trace_id"]
    return fields | _OF_PROCESS
