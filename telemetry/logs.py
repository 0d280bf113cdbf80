"""Logging set-up: what is logged by userline, Uvicorn, the libraries and Python's warnings looks alike.

Everybody logs to loggers of the standard library or of structlog; one handler writes it all to standard error.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from userline.telemetry.access_log import ACCESS_LOG, LOGGER_NAME, LogHandler, format_json, format_text
from userline.telemetry.formatter import LONGEST_VALUE, LogFormatter

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

REQUEST_STATE: ContextVar[dict[str, Any] | None] = ContextVar("userline-request-state", default=None)
"""The state of the request or socket that is being served; its id, its viewer, the client's address and the trace are
in every line of the log."""

_OF_PROCESS: Final[dict[str, Any]] = {}
"""What is in every line that this process logs."""

_LONGEST_EXCEPTION: Final = 16_384
"""So many characters of an exception with its traceback are logged."""

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
    shared: list[Processor] = [
        _merge_fields,
        _merge_request,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = LogHandler(sys.stderr)
    handler.setFormatter(
        LogFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_json_processors() if log_format == "json" else _text_processors()),
            ],
            by_hand=None if log_format == "text" and _has_colours() else log_format,
            context=_request_fields,
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    ACCESS_LOG.use(
        handler, format_json if log_format == "json" else _coloured if _has_colours() else format_text, _OF_PROCESS
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


def _json_processors() -> list[Processor]:
    return [structlog.processors.format_exc_info, _bounded, _in_order, structlog.processors.JSONRenderer()]


def _text_processors() -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=_has_colours(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )
    return [structlog.processors.format_exc_info, _bounded, _lists_as_json, renderer]


def _has_colours() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def _coloured(timestamp: str, event: str, fields: dict[str, Any]) -> str:
    line = {"timestamp": timestamp, "level": "info", "logger": LOGGER_NAME, "event": event, **fields}
    return f"{structlog.dev.ConsoleRenderer(colors=True, sort_keys=False)(None, 'info', line)}\n"


def _merge_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, value in _request_fields().items():
        event.setdefault(name, value)
    return event


def _merge_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event.update(getattr(event.get("_record"), "fields", {}))
    return event


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


def _bounded(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut what is long: much of what is logged has something in it that a caller sent."""
    for name, value in event.items():
        most = _LONGEST_EXCEPTION if name in ("exception", "stack") else LONGEST_VALUE
        if isinstance(value, str):
            event[name] = _cut(value, most)
        elif isinstance(value, list | tuple | dict | bytes):
            text = repr(value)
            if len(text) > most:
                event[name] = _cut(text, most)
    return event


def _lists_as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write lists in ASCII: what is in them may come from callers."""
    return {name: json.dumps(value) if isinstance(value, list) else value for name, value in event.items()}


def _cut(text: str, most: int) -> str:
    """Return a text without its middle, if it is long: the last lines of an exception say the most."""
    if len(text) <= most:
        return text
    start = most // 4
    return f"{text[:start]} … {len(text) - most} characters left out … {text[start - most :]}"


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first = ("timestamp", "level", "logger", "event")
    return {name: event[name] for name in first if name in event} | {
        key: value for key, value in event.items() if key not in first
    }
