"""Whatever reading the settings again comes upon, no gateway ends of it, and the next SIGHUP is heeded."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer

from userline.gateway.reloading import ReloadingForWorkers, reloading
from userline.server.hang_ups import HangUps
from userline.settings.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from userline.settings.reloading import NewValues

SURPRISES: list[Exception] = [
    FileNotFoundError(2, "No such file or directory"),
    PermissionError(13, "Permission denied", ".env"),
    OSError(5, "Input/output error"),
    ValueError("embedded null byte"),
    RecursionError("maximum recursion depth exceeded"),
    RuntimeError(),
    MemoryError(),
]


def reader_of(surprise: Exception) -> Callable[[], Settings]:
    """Return what is surprised the first time, and reads another limit from then on."""
    waiting = [surprise]

    def read() -> Settings:
        if waiting:
            raise waiting.pop()
        return load_settings({"max_depth": 7})

    return read


def assert_told(caplog: pytest.LogCaptureFixture, surprise: Exception) -> None:
    told = [record for record in caplog.records if "not reloaded and keep their values" in record.getMessage()]
    assert [record.exc_info[1] for record in told if record.exc_info] == [surprise]
    assert (str(surprise) or type(surprise).__name__) in told[0].getMessage()


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("surprise", SURPRISES, ids=lambda surprise: type(surprise).__name__)
async def test_one_process_reads_them_again_after_any_surprise(
    surprise: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    taken: list[NewValues] = []
    hang_ups = HangUps()
    async with asyncio.timeout(20), reloading(load_settings({}), reader_of(surprise), hang_ups, taken.append):
        hang_ups.come()
        while not any("not reloaded" in record.getMessage() for record in caplog.records):
            await asyncio.sleep(0.01)
        assert not taken
        hang_ups.come()
        while not taken:
            await asyncio.sleep(0.01)
    assert taken[0].names == ("max_depth",)
    assert_told(caplog, surprise)


@pytest.mark.usefixtures("no_settings")
async def test_what_fails_while_parts_take_new_values_is_told_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    settings, depths, taken = load_settings({}), iter((7, 8)), list[int]()

    def take(new: NewValues) -> None:
        taken.append(new.settings.max_depth)
        if len(taken) == 1:
            raise ValueError("It cannot be.")

    hang_ups = HangUps()
    reading = reloading(settings, lambda: load_settings({"max_depth": next(depths)}), hang_ups, take)
    async with asyncio.timeout(20), reading:
        for times in (1, 2):
            hang_ups.come()
            while len(taken) < times:
                await asyncio.sleep(0.01)
    assert taken == [7, 8]
    assert [record.getMessage() for record in caplog.records if "Restart the gateway" in record.getMessage()]


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("surprise", SURPRISES, ids=lambda surprise: type(surprise).__name__)
def test_who_started_workers_reads_them_again_after_any_surprise(
    surprise: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    settings, hang_ups = load_settings({}), HangUps()
    reload = ReloadingForWorkers(settings, reader_of(surprise), hang_ups)
    hang_ups.come()
    while not any("not reloaded" in record.getMessage() for record in caplog.records):
        assert reload.look() is None
        time.sleep(0.01)
    assert settings.max_depth == 10
    hang_ups.come()
    while (new := reload.look()) is None:
        time.sleep(0.01)
    assert new.names == ("max_depth",)
    assert settings.max_depth == 7
    assert_told(caplog, surprise)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_gateway_whose_working_directory_is_gone_says_so_and_serves_on(tmp_path: Path, workers: int) -> None:
    """A path of a store that is relative to it cannot be looked at then."""
    there = tmp_path / "there"
    there.mkdir()
    redis = RedisServer(tmp_path)
    flags = ("--workers", str(workers), "--bus-url", redis.url, "--store-url", "sqlite:///users.db")
    gateway = RunningGateway(there, *flags)
    try:
        gateway._log_path = gateway._log_path.rename(tmp_path / "gateway.log")
        shutil.rmtree(there)
        for times in (1, 2):
            gateway.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 20
            while gateway.log.count("The settings were not reloaded and keep their values") < times:
                assert time.monotonic() < deadline, gateway.log
        assert gateway.data("{ app { id } }") == {"app": {"id": "userline"}}
        assert gateway.stop() == 0, gateway.log
    finally:
        gateway.kill()
        redis.remove()


def test_a_worker_is_replaced_in_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    redis = RedisServer(tmp_path)
    gateway = RunningGateway(
        there, "--workers", "2", "--bus-url", redis.url, "--store-url", f"sqlite:///{tmp_path / 'users.db'}"
    )
    try:
        gateway._log_path = gateway._log_path.rename(tmp_path / "gateway.log")
        workers = until_two_answer(gateway)
        shutil.rmtree(there)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        assert workers.isdisjoint(until_two_answer(gateway, but=workers))
        assert gateway.log.count("has ended with exit code") == 2
        assert gateway.data("{ app { id } }") == {"app": {"id": "userline"}}
        assert gateway.stop() == 0, gateway.log
    finally:
        gateway.kill()
        redis.remove()


def until_two_answer(gateway: RunningGateway, but: frozenset[int] = frozenset()) -> frozenset[int]:
    """Return the processes of the workers when both are others than ``but``, and serve."""
    deadline = time.monotonic() + 60
    while True:
        workers = workers_of(gateway.process.pid) - but
        if len(workers) == 2 and gateway.log.count("Started server process") >= 2 + len(but):
            return workers
        assert time.monotonic() < deadline, gateway.log


def workers_of(pid: int) -> frozenset[int]:
    """Return the processes that a process has started as workers."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 - of this kernel
        children = [int(child) for child in file.read().split()]
    found = set()
    for child in children:
        with suppress(OSError), open(f"/proc/{child}/cmdline", "rb") as file:  # noqa: PTH123 - likewise
            if b"spawn_main" in file.read():
                found.add(child)
    return frozenset(found)
