"""Whatever reading the settings again comes upon, no gateway ends of it, and the next SIGHUP is heeded."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer

from userline.gateway.reloading import reload_for_workers, reloading
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
    settings, read = load_settings({}), reader_of(surprise)
    assert reload_for_workers(settings, read) is None
    assert settings.max_depth == 10
    new = reload_for_workers(settings, read)
    assert new is not None
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
