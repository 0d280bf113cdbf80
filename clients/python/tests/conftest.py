"""Fixtures for the tests of the client: real gateways, and one that says what a test wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from clients.python.tests.clocks import ScriptedClock
from clients.python.tests.scripted import ScriptedGateway, scripted_gateway
from tests.support.client_gateways import gateway, guarded
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


__all__ = ["gateway", "guarded"]
"""Fixtures that are used as they are."""


@pytest.fixture(scope="session")
def two_gateways(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningGateway, RunningGateway]]:
    """Two gateways of one deployment."""
    directory = tmp_path_factory.mktemp("deployment")
    redis = RedisServer(directory)
    running = [RunningGateway(directory, env={"USERLINE_BUS_URL": redis.url}) for _ in range(2)]
    yield running[0], running[1]
    assert [each.stop() for each in running] == [0, 0], [each.log for each in running]
    redis.kill()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ScriptedClock:
    """The clock of the sessions that a test makes, which may leap: no peer is dead for that."""
    monkeypatch.setattr("userline_client.liveness._QUIET_TICKS", 10**9)
    return _scripted_clock(monkeypatch)


@pytest.fixture
def live_clock(monkeypatch: pytest.MonkeyPatch) -> ScriptedClock:
    """The clock of the sessions that a test makes, by which they look after their peers."""
    return _scripted_clock(monkeypatch)


def _scripted_clock(monkeypatch: pytest.MonkeyPatch) -> ScriptedClock:
    scripted_clock = ScriptedClock()
    monkeypatch.setattr("userline_client.session.Clock", lambda: scripted_clock)
    return scripted_clock


@pytest_asyncio.fixture
async def scripted() -> AsyncIterator[ScriptedGateway]:
    """A gateway of the test's own, that says what the test wants."""
    async with scripted_gateway() as running:
        yield running
