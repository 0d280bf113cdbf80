"""The access log: in order with the rest, whole at the end of the process, and cheap."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.gateway import RunningGateway

if TYPE_CHECKING:
    from pathlib import Path

START = """
import asyncio, logging, os, sys, time
from userline.telemetry.access_log import ACCESS_LOG
from userline.telemetry.logs import configure_logging
from userline.gateway.request_log import Asked, log_access
from userline.users.viewer import OPEN_VIEWER

configure_logging({format!r}, "info")
asked = Asked("r1", OPEN_VIEWER, ["Profile", "unnamed"])
"""


def run(code: str, log_format: str = "json", *, check: bool = True) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", START.format(format=log_format) + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=check,
    )
    return done.stderr.splitlines()


def objects(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_a_line_has_everything() -> None:
    (line,) = objects(run('log_access("POST", "/graphql", 200, 0.00123, asked)'))
    assert list(line.items())[1:] == [
        ("level", "info"),
        ("logger", "userline.access"),
        ("event", "POST /graphql 200 1.2 ms"),
        ("request_id", "r1"),
        ("viewer", "open"),
        ("operation", "Profile,unnamed"),
        ("status", 200),
        ("milliseconds", 1.2),
    ]


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_quick_way_lays_the_same_line(log_format: str) -> None:
    code = """
from itertools import product
from userline.gateway.request_log import log_request
from userline.telemetry.metrics.recorder import cut
from userline.users.viewer import Viewer, ViewerKind

NAMES, CLIENTS = (None, "Profile", "x" * 65), (None, ("127.0.0.1", 1), ("a b", 0))
VIEWERS = (OPEN_VIEWER, Viewer(ViewerKind.APP), Viewer(ViewerKind.USER, "u"))
for name, client, trace, viewer in product(NAMES, CLIENTS, (None, "t" * 32), VIEWERS):
    log_request("r1", viewer, cut(name or "unnamed"), 0.00123, client, trace)
    log_access("POST", "/graphql", 200, 0.00123, Asked("r1", viewer, (name or "unnamed",), client, trace))
"""
    lines = [line.split(",", 1)[1] if log_format == "json" else line[27:] for line in run(code, log_format)]
    assert len(lines) == 2 * 3 * 3 * 2 * 3
    assert lines[::2] == lines[1::2]


def test_text_looks_like_the_other_lines() -> None:
    ours, other = run('log_access("GET", "/a\\nb", 404, 1.0, asked); logging.getLogger("x").info("y")', "text")
    assert " [info     ] GET /a%0Ab 404 1000.0 ms" in ours
    assert "[userline.access] request_id=r1 viewer=open operation=Profile,unnamed status=404" in ours
    assert ours.index("[info") == other.index("[info")


IN_A_LOOP = """
async def main():
    for number in range({count}):
        log_access("POST", f"/{{number}}", 200, 0, asked)
    {then}

asyncio.run(main())
"""


def test_lines_are_written_before_any_line_that_is_logged_later() -> None:
    then = 'logging.getLogger("userline").info("between"); log_access("POST", "/last", 200, 0, asked)'
    lines = objects(run(IN_A_LOOP.format(count=3, then=then)))
    assert [line["event"].split()[:2] for line in lines] == [
        ["POST", "/0"], ["POST", "/1"], ["POST", "/2"], ["between"], ["POST", "/last"]
    ]  # fmt: skip


@pytest.mark.parametrize("then", ["pass", "sys.exit(3)", "raise ValueError", "raise KeyboardInterrupt"])
def test_no_line_is_lost_however_the_process_ends(then: str) -> None:
    lines = run(IN_A_LOOP.format(count=1000, then=then), check=False)
    assert sum("userline.access" in line for line in lines) == 1000


def test_lines_are_written_soon() -> None:
    code = START.format(format="json") + IN_A_LOOP.format(count=3, then="await asyncio.sleep(30)")
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        started = time.monotonic()
        assert b'"POST /0 200' in process.stderr.readline()
        assert time.monotonic() - started < 20
        process.kill()


def test_a_gateway_that_is_told_to_stop_has_logged_every_request(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--log-format", "json")
    for number in range(300):
        gateway.execute(f"query Q{number % 5} {{ app {{ id }} }}")
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.stop() == 0
    lines = [line for line in objects(gateway.log.splitlines()) if line["logger"] == "userline.access"]
    assert sum(line["event"].startswith("POST /graphql 200") for line in lines) == 300
    assert {line["operation"] for line in lines if "operation" in line} == {f"Q{number}" for number in range(5)}


def test_a_line_costs_a_fraction_of_what_logging_costs() -> None:
    code = """
def seconds(work, count=3000):
    started = time.process_time()
    for _ in range(count):
        work()
    return time.process_time() - started

async def main():
    logger = logging.getLogger("userline.other")
    by_hand = min(seconds(lambda: log_access("POST", "/graphql", 200, 0.001, asked)) for _ in range(5))
    by_logging = min(seconds(lambda: logger.info("%s %s %s %.1f ms", "POST", "/graphql", 200, 1.0)) for _ in range(5))
    print(by_logging / by_hand, file=sys.stdout)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", START.format(format="json") + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert float(done.stdout) > 2, done.stdout
