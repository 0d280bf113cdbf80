"""Logging, in a process of its own, as Uvicorn and the libraries use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

START = """
import logging, warnings, structlog
from userline.telemetry.logs import configure_logging
configure_logging({format!r}, {level!r})
"""


def run(code: str, log_format: str, level: str = "info", **env: str) -> list[str]:
    """Return the lines that ``code`` logs."""
    done = subprocess.run(
        [sys.executable, "-c", START.format(format=log_format, level=level) + code],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def run_json(code: str, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(code, "json", level)]


def test_json_is_an_object_per_line_with_the_same_keys_for_everybody() -> None:
    ours, structured, uvicorn, access = run_json(
        """
logging.getLogger("userline").info("Hello %s\\nand good-bye", "Alice")
structlog.get_logger("userline.x").warning("Hello %s", "Bob", user="b")
logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "Started in colour"})
logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/graphql", "1.1", 200)
"""
    )
    assert list(ours) == ["timestamp", "level", "logger", "event"]
    assert (ours["level"], ours["logger"], ours["event"]) == ("info", "userline", "Hello Alice\nand good-bye")
    assert list(structured) == ["timestamp", "level", "logger", "event", "user"]
    assert (structured["level"], structured["logger"]) == ("warning", "userline.x")
    assert (structured["event"], structured["user"]) == ("Hello Bob", "b")
    assert list(uvicorn) == ["timestamp", "level", "logger", "event"]
    assert (uvicorn["logger"], uvicorn["event"]) == ("uvicorn.error", "Started")
    assert (access["logger"], access["event"]) == ("uvicorn.access", '127.0.0.1:1 - "GET /graphql HTTP/1.1" 200')


def test_timestamps_are_iso_8601_in_utc() -> None:
    (line,) = run_json('logging.getLogger("a").info("b")')
    moment = datetime.fromisoformat(line["timestamp"])
    assert moment.utcoffset() == UTC.utcoffset(None)
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_what_is_bound_to_the_context_is_there() -> None:
    inside, structured, outside = run_json(
        """
with structlog.contextvars.bound_contextvars(request_id="r1"):
    logging.getLogger("a").info("inside")
    structlog.get_logger("b").info("inside too")
logging.getLogger("a").info("outside")
"""
    )
    assert inside["request_id"] == structured["request_id"] == "r1"
    assert "request_id" not in outside


FAILURE = """
try:
    try:
        1 / 0
    except ZeroDivisionError as error:
        raise ValueError("outer") from error
except ValueError:
    logging.getLogger("a").exception("It failed")
    structlog.get_logger("b").exception("It failed")
"""


def test_exceptions_are_whole_in_json() -> None:
    for line in run_json(FAILURE):
        assert (line["event"], line["level"]) == ("It failed", "error")
        assert line["exception"].startswith("Traceback (most recent call last):")
        assert "ZeroDivisionError: division by zero" in line["exception"]
        assert line["exception"].endswith("ValueError: outer")


def test_exceptions_are_whole_in_text() -> None:
    text = "\n".join(run(FAILURE, "text"))
    assert text.count("ZeroDivisionError: division by zero") == 2
    assert text.count("\nValueError: outer") == 2


def test_python_warnings_are_logged() -> None:
    (line,) = run_json('warnings.warn("old", UserWarning)')
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "UserWarning: old" in line["event"]


def test_what_json_does_not_know_is_logged_all_the_same() -> None:
    (line,) = run_json('structlog.get_logger("a").info("b", what=object(), odd="\\ud800")')
    assert line["what"].startswith("<object object")
    assert line["odd"] == "\ud800"


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_levels(log_format: str, level: str, count: int) -> None:
    code = """
for logger in logging.getLogger("a"), structlog.get_logger("b"):
    for name in "debug", "info", "warning", "error":
        getattr(logger, name)("x")
"""
    assert len(run(code, log_format, level)) == 2 * count


def test_text_has_no_colours_where_nobody_sees_them() -> None:
    (line,) = run('logging.getLogger("uvicorn.error").info("Started %s", 1)', "text", FORCE_COLOR="1")
    assert "\x1b" not in line
    assert "Started 1" in line
    assert "[info" in line
    assert "[uvicorn.error]" in line


def test_a_second_set_up_takes_the_place_of_the_first() -> None:
    (line,) = run('configure_logging("json", "warning")\nlogging.getLogger("a").warning("once")', "text")
    assert json.loads(line)["event"] == "once"


def test_loggers_that_uvicorn_has_set_up_are_taken_over() -> None:
    code = """
import uvicorn.config, logging.config
logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
configure_logging("json", "info")
logging.getLogger("uvicorn.error").info("x")
logging.getLogger("uvicorn.access").info("y")
"""
    assert [line["event"] for line in run_json(code)] == ["x", "y"]
