"""What is counted where it happens, and how little that can grow."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from userline.telemetry.metrics.histogram import Histogram
from userline.telemetry.metrics.loop import watching_the_loop
from userline.telemetry.metrics.recorder import Metrics, code_of
from userline.telemetry.metrics.text import labelled, merged
from userline.telemetry.metrics.workers import WorkerMetrics

if TYPE_CHECKING:
    from pathlib import Path


def test_a_histogram_counts_by_bounds() -> None:
    histogram = Histogram((1, 2.5, 10))
    for value in (0, 1, 1.1, 2.5, 10, 10.1, 99):
        histogram.add(value)
    assert histogram.buckets() == [("1.0", 2), ("2.5", 4), ("10.0", 5), ("+Inf", 7)]
    assert histogram.count == 7
    assert histogram.total == pytest.approx(123.7)


def test_operations_are_counted_by_name_and_code() -> None:
    metrics = Metrics()
    metrics.request("A", "OK", 0.1)
    metrics.request("A", "OK", 0.1)
    metrics.request("A", "FORBIDDEN", 0.1)
    metrics.request(None, "OK", 0.1)
    assert metrics.requests == {("A", "OK"): 2, ("A", "FORBIDDEN"): 1, ("unnamed", "OK"): 1}
    assert metrics.request_seconds["A"].count == 3


def test_names_are_bounded_in_number_and_length() -> None:
    metrics = Metrics()
    metrics.request("x" * 65, "OK", 0)
    for number in range(10_000):
        metrics.request(f"Name{number}", "OK", 0)
    metrics.request("refused", "GRAPHQL_PARSE_FAILED", 0)
    metrics.request(None, "OK", 0)
    metrics.request("Name5", "OK", 0)
    assert len(metrics.request_seconds) == 103
    assert metrics.requests["other", "OK"] == 9901
    assert metrics.requests["Name5", "OK"] == 2
    assert metrics.requests["refused", "GRAPHQL_PARSE_FAILED"] == 1


def test_methods_are_bounded() -> None:
    metrics = Metrics()
    metrics.http("GET", 200)
    for number in range(1000):
        metrics.http(f"M{number}", 405)
    assert metrics.http_responses == {("GET", 200): 1, ("other", 405): 1000}


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b'{"data":{"user":null}}', "OK"),
        (b'{"data":{"user":{"name":"\\"errors\\":[{"}}}', "OK"),
        (b'{"data":{"errors":[{"message":"an alias"}]}}', "OK"),
        (b'{"errors":[{"message":"x","extensions":{"code":"FORBIDDEN"}}]}', "FORBIDDEN"),
        (b'{"data":null,"errors":[{"extensions":{"code":"A"}},{"extensions":{"code":"B"}}]}', "A"),
    ],
)
def test_the_code_of_a_response(response: bytes, code: str) -> None:
    assert code_of(response) == code


async def test_the_lag_of_the_loop_is_seen() -> None:
    lag = Histogram()
    async with watching_the_loop(lag, 0.01):
        await asyncio.sleep(0.05)
        time.sleep(0.2)
        await asyncio.sleep(0.05)
    assert lag.total > 0.15


FIRST = """\
# HELP a_total Some.
# TYPE a_total counter
a_total 1.0
# HELP b Others.
# TYPE b gauge
b{x="1",y="a } b"} 2.0
"""
SECOND = """\
# HELP a_total Some.
# TYPE a_total counter
a_total 3.0
# HELP c Only here.
# TYPE c gauge
c{x="1"} 4.0
"""


def test_the_texts_of_workers_become_one() -> None:
    assert merged([labelled(FIRST, 'worker="0"'), labelled(SECOND, 'worker="1"')]).splitlines() == [
        "# HELP a_total Some.",
        "# TYPE a_total counter",
        'a_total{worker="0"} 1.0',
        'a_total{worker="1"} 3.0',
        "# HELP b Others.",
        "# TYPE b gauge",
        'b{worker="0",x="1",y="a } b"} 2.0',
        "# HELP c Only here.",
        "# TYPE c gauge",
        'c{worker="1",x="1"} 4.0',
    ]


async def test_a_worker_that_does_not_answer_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("userline.telemetry.metrics.workers._SECONDS", 0.1)
    (tmp_path / "2.sock").touch()
    asked = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(0.3)
        writer.close()

    stuck = await asyncio.start_unix_server(say_nothing, tmp_path / "3.sock")

    async def write() -> str:
        return SECOND

    async with WorkerMetrics(tmp_path, 1).answering_others(write):
        told = await WorkerMetrics(tmp_path, 0).of_all(FIRST.encode())
    assert asked.is_set()
    stuck.close()
    await asyncio.sleep(0.3)
    assert told.decode() == merged([labelled(FIRST, 'worker="0"'), labelled(SECOND, 'worker="1"')])
    assert not (tmp_path / "1.sock").exists()
