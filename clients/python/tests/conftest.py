"""Fixtures for the tests of the client: real gateways, and one that says what a test wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from clients.python.tests.clocks import ScriptedClock
from clients.python.tests.scripted import ScriptedGateway, scripted_gateway
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that tests share; each uses user ids of its own."""
    running = RunningGateway(tmp_path_factory.mktemp("client"))
    yield running
    assert running.stop() == 0, running.log


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that wants tokens."""
    running = RunningGateway(tmp_path_factory.mktemp("guarded"), env={"USERLINE_SECRET": SECRET})
    yield running
    assert running.stop() == 0, running.log


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ScriptedClock:
    """The clock of the sessions that a test makes."""
    scripted_clock = ScriptedClock()
    monkeypatch.setattr("userline_client.session.Clock", lambda: scripted_clock)
    return scripted_clock


@pytest_asyncio.fixture
async def scripted() -> AsyncIterator[ScriptedGateway]:
    """A gateway of the test's own, that says what the test wants."""
    async with scripted_gateway() as running:
        yield running
