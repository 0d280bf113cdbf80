"""A line that is laid by hand is the one that structlog's processors lay, to the character."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from userline.telemetry.formatter import LONGEST_VALUE, LogFormatter
from userline.telemetry.logs import REQUEST_STATE, configure_logging
from userline.users.viewer import OPEN_VIEWER, Viewer, ViewerKind

if TYPE_CHECKING:
    from collections.abc import Iterator

APP_VIEWER: Final = Viewer(ViewerKind.APP)
STAMP: Final = "2026-01-02T03:04:05.000006Z"
TEXTS: Final = (
    st.text(max_size=60) | st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["", " ", "a\n"])
)
LEVELS: Final = st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL, 15, 0])


@pytest.fixture(scope="module", params=["text", "json"])
def formatters(request: pytest.FixtureRequest) -> Iterator[tuple[LogFormatter, LogFormatter]]:
    """One that lays lines by hand, and one that never does."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(structlog.processors.TimeStamper, "__call__", stamp)
            patched.setattr("userline.telemetry.formatter.Clock", lambda: lambda: STAMP)
            yield formatter(request.param), formatter(request.param, by_hand=False)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(capture=False)


def stamp(_self: object, _logger: object, _name: str, event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "timestamp": STAMP}


def formatter(log_format: Literal["text", "json"], *, by_hand: bool = True) -> LogFormatter:
    configure_logging(log_format, "info", worker=3)
    made = logging.getLogger().handlers[0].formatter
    assert isinstance(made, LogFormatter)
    if not by_hand:
        made._lay = None
    return made


@dataclass(frozen=True)
class Logged:
    """What somebody logs, and where."""

    name: str
    level: int = logging.INFO
    message: object = "x"
    argument: object = None
    request_id: str | None = None
    viewer: Viewer | None = None
    bound: str | None = None
    is_raised: bool = False
    client: str | None = None
    trace_id: str | None = None
    fields: dict[str, Any] | None = None


@given(
    st.builds(
        Logged,
        name=TEXTS,
        level=LEVELS,
        message=TEXTS | st.integers(),
        argument=st.none() | TEXTS | st.integers(),
        request_id=st.none() | TEXTS,
        viewer=st.sampled_from([None, APP_VIEWER, OPEN_VIEWER]),
        bound=st.none() | TEXTS,
        is_raised=st.booleans(),
        client=st.sampled_from([None, "127.0.0.1", "2001:db8::1", "a%20b"]),
        trace_id=st.sampled_from([None, "0af7651916cd43dd8448eb211c80319c"]),
        fields=st.none()
        | st.dictionaries(
            st.sampled_from(["request_id", "viewer", "action", "users", "where"]),
            TEXTS | st.integers() | st.lists(TEXTS, max_size=3),
        ),
    )
)
@example(Logged("a", message="x" * LONGEST_VALUE))
@example(Logged("a", message="x" * (LONGEST_VALUE + 1)))
@example(Logged("a" * (LONGEST_VALUE + 1)))
@example(Logged("a", fields={"where": "x" * (LONGEST_VALUE + 1)}))
@example(Logged("a", fields={"users": ["a", "\u202e", "\n"], "request_id": "own"}, request_id="other"))
@example(Logged("userline.audit", argument="app token", request_id="the id", viewer=APP_VIEWER))
def test_a_line_is_the_same_by_hand(formatters: tuple[LogFormatter, LogFormatter], logged: Logged) -> None:
    told = {"viewer": logged.viewer, "client": logged.client, "trace_id": logged.trace_id}
    state = {"request_id": logged.request_id} | {name: value for name, value in told.items() if value is not None}
    token = REQUEST_STATE.set(None if logged.request_id is None else state)
    try:
        with structlog.contextvars.bound_contextvars(**({} if logged.bound is None else {"bound": logged.bound})):
            by_hand, by_processors = (each.format(record_of(logged)) for each in formatters)
    finally:
        REQUEST_STATE.reset(token)
    assert by_hand == by_processors


def record_of(logged: Logged) -> logging.LogRecord:
    text = logged.message if logged.argument is None else "%s of a program"
    arguments = () if logged.argument is None else (logged.argument,)
    error = error_of_a_program() if logged.is_raised else None
    record = logging.LogRecord(logged.name, logged.level, "", 0, text, arguments, error)
    if logged.fields is not None:
        record.fields = logged.fields
    return record


def error_of_a_program() -> Any:
    try:
        raise ValueError("no")  # noqa: TRY301 - what is raised is the test
    except ValueError:
        return sys.exc_info()


def test_most_lines_are_laid_by_hand(
    formatters: tuple[LogFormatter, LogFormatter], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = logging.LogRecord("userline.audit", logging.INFO, "", 0, "a line", (), None)
    expected = formatters[1].format(record)
    monkeypatch.setattr(structlog.stdlib.ProcessorFormatter, "format", None)
    assert formatters[0].format(record) == expected
