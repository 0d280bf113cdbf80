"""The structlog processors, for lines with exceptions or colours.

structlog takes a while to load, so that only ``logs.py`` imports this, when there is such a line.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from userline.telemetry.formatter import LONGEST_VALUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger

_LONGEST_EXCEPTION: Final = 16_384
"""So many characters of an exception with its traceback are logged."""


def configure_structlog(
    log_format: Literal["text", "json"], *, has_colours: bool, context: Callable[[], dict[str, Any]]
) -> structlog.stdlib.ProcessorFormatter:
    """Have structlog's loggers log to those of the standard library, and return what lays the lines of both.

    ``context`` returns what is in each line beside what was logged.
    """

    def merge_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        for name, value in context().items():
            event.setdefault(name, value)
        return event

    shared: list[Processor] = [
        _merge_fields,
        merge_context,
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
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_json_processors() if log_format == "json" else _text_processors(has_colours=has_colours)),
        ],
    )


def lay_in_colours(line: dict[str, Any]) -> str:
    """Return a line for a terminal, its end included."""
    return f"{structlog.dev.ConsoleRenderer(colors=True, sort_keys=False)(None, 'info', line)}\n"


def _json_processors() -> list[Processor]:
    return [structlog.processors.format_exc_info, _bounded, _in_order, structlog.processors.JSONRenderer()]


def _text_processors(*, has_colours: bool) -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=has_colours, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )
    return [structlog.processors.format_exc_info, _bounded, _lists_as_json, renderer]


def _merge_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event.update(getattr(event.get("_record"), "fields", {}))
    return event


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
