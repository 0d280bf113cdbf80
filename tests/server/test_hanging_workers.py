"""A worker that does nothing at all any more is noticed, told and replaced; one that is busy is left alone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer
from userline.server.worker_links import BEAT_SECONDS, Board, ParentLink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HANG_SECONDS: Final = 4
BOUND_SECONDS: Final = 30
"""Within which one that hangs is replaced: the time it may hang, and starting another on a busy machine."""

SPINNING: Final = """
import signal, sys

def spin_for_ever(*_):
    while True:
        pass

signal.signal(signal.SIGUSR1, spin_for_ever)  # in workers too, which run the main module

if __name__ == "__main__":
    from userline.cli.main import main

    main()
"""


class Workers:
    """A gateway of two workers, in which a signal makes one of them spin."""

    def __init__(self, directory: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        script = directory / "spinning.py"
        script.write_text(SPINNING)
        python = directory / "python"
        python.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {script} "$@"\n')
        python.chmod(0o755)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", str(python))
            self.gateway = RunningGateway(
                directory,
                *("--workers", "2", "--bus-url", redis.url, "--log-format", "json"),
                *("--worker-hang-seconds", str(HANG_SECONDS), "--no-access-log"),
            )

    @property
    def told(self) -> list[dict[str, Any]]:
        """What the process that starts the workers has said of those that it replaced."""
        lines = [json.loads(line) for line in self.gateway.log.splitlines()]
        return [line for line in lines if line["logger"] == "userline.workers"]

    def pids(self) -> dict[int, int]:
        """Return the processes by the numbers of their workers, when both answer."""
        deadline = time.monotonic() + BOUND_SECONDS
        while time.monotonic() < deadline:
            found = re.findall(r'^process_start_time_seconds\{worker="(\d)"\}', self.metrics(), re.MULTILINE)
            if sorted(found) == ["0", "1"]:
                break
            time.sleep(0.2)
        path = f"/proc/{self.gateway.process.pid}/task/{self.gateway.process.pid}/children"
        with open(path) as file:  # noqa: PTH123 - of this kernel
            children = [int(child) for child in file.read().split()]
        with_numbers: dict[int, int] = {}
        for child in children:
            with open(f"/proc/{child}/cmdline", "rb") as file:  # noqa: PTH123 - of this kernel
                if b"spawn_main" in file.read():
                    with_numbers[len(with_numbers)] = child
        return with_numbers

    def metrics(self) -> str:
        try:
            with httpx.Client(verify=False, timeout=5) as http:  # noqa: S501 - there is no TLS
                return http.get(self.gateway.url + "/metrics").text
        except httpx.TransportError:
            return ""

    def count(self, reason: str) -> int:
        found = re.findall(
            rf'^userline_worker_replacements_total\{{.*reason="{reason}".*\}} (\d+)', self.metrics(), re.MULTILINE
        )
        return int(found[0]) if len(found) == 2 and len(set(found)) == 1 else -1

    def known_count(self, reason: str) -> int:
        """Return the count when both workers tell it."""
        deadline = time.monotonic() + BOUND_SECONDS
        while (count := self.count(reason)) < 0 and time.monotonic() < deadline:
            time.sleep(0.2)
        return count

    def until_replaced(self, reason: str, count: int) -> float:
        started = time.monotonic()
        while self.count(reason) != count:
            assert time.monotonic() - started < BOUND_SECONDS, self.gateway.log[-3000:]
            time.sleep(0.2)
        return time.monotonic() - started


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    directory = tmp_path_factory.mktemp("hanging")
    redis = RedisServer(directory)
    with pytest.MonkeyPatch.context() as monkeypatch:
        running = Workers(directory, redis, monkeypatch)
    yield running
    assert running.gateway.stop() == 0, running.gateway.log
    redis.remove()


def test_one_that_is_stopped_is_replaced(workers: Workers) -> None:
    before = workers.known_count("hung")
    pid = workers.pids()[0]
    os.kill(pid, signal.SIGSTOP)
    workers.until_replaced("hung", before + 1)
    line = workers.told[-1]
    assert re.fullmatch(
        rf"Worker \d \(process {pid}\) has not responded for \d+ s and is killed\. Starting another\.",
        line["event"],
    )
    assert "SIGSTOP" in line["where"]
    assert line["level"] == "error"
    assert workers.gateway.data("{ app { id } }")


def test_one_in_an_endless_loop_is_replaced_and_says_where_it_was(workers: Workers) -> None:
    before = workers.known_count("hung")
    pid = workers.pids()[1]
    os.kill(pid, signal.SIGUSR1)
    workers.until_replaced("hung", before + 1)
    assert "spin_for_ever" in workers.told[-1]["where"]


def test_one_that_dies_is_counted_apart(workers: Workers) -> None:
    hung, died = workers.known_count("hung"), workers.known_count("died")
    os.kill(workers.pids()[0], signal.SIGKILL)
    workers.until_replaced("died", died + 1)
    assert workers.known_count("hung") == hung
    assert "has ended with exit code -9; starting another" in workers.told[-1]["event"]


def test_a_machine_that_was_asleep_replaces_nobody(workers: Workers) -> None:
    hung, pids = workers.known_count("hung"), workers.pids()
    everybody = [workers.gateway.process.pid, *pids.values()]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(HANG_SECONDS + 2)
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    time.sleep(2)
    assert (workers.pids(), workers.known_count("hung")) == (pids, hung)


async def test_workers_with_much_to_do_are_left_alone(workers: Workers) -> None:
    pids = workers.pids()
    until = time.monotonic() + HANG_SECONDS + 2
    fields = " ".join(f'f{number}: user(id: "u{number}") {{ id name custom }}' for number in range(30))

    async def ask(http: httpx.AsyncClient) -> None:
        number = 0
        while time.monotonic() < until:
            number += 1
            query = f"query Q{number % 50} {{ {fields} }} # {number}"
            await http.post(workers.gateway.url + "/graphql", json=[{"query": query}] * 20)

    async with httpx.AsyncClient(verify=False, timeout=60) as http:  # noqa: S501 - there is no TLS
        await asyncio.gather(*(ask(http) for _ in range(10)))
    assert workers.pids() == pids


@pytest.mark.parametrize("awake", [[0.2] * 100, [1.0] * 20])
def test_silence_is_counted_while_this_process_is_awake(tmp_path: Path, awake: list[float]) -> None:
    board = Board(2)
    link = ParentLink(1, board, tmp_path / "trace")
    for seconds in awake:
        link.watch(seconds)
    assert link.silent_seconds == pytest.approx(20)
    assert not link.is_up


async def test_a_sign_of_life_ends_the_silence(tmp_path: Path) -> None:
    board = Board(2)
    link = ParentLink(1, board, tmp_path / "trace")
    heard: list[object] = []
    async with link.of_worker.kept(heard.append):
        for _ in range(3):
            link.watch(1.0)
            await asyncio.sleep(BEAT_SECONDS * 1.5)
        assert link.silent_seconds <= 1.0
        assert link.is_up
        for number in range(5):  # only the last of those that come before it is taken counts
            link.tell(number)
        while heard != [4]:
            link.watch(0.1)
            await asyncio.sleep(0.01)
        link.tell("more")
        while heard != [4, "more"]:
            link.watch(0.1)
            await asyncio.sleep(0.01)
        link.close()
