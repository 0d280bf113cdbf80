"""Fixtures for the tests of the client: real gateways, and one that says what a test wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from clients.conformance.gateway import Gateway, scripted_gateway
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


@pytest_asyncio.fixture
async def scripted() -> AsyncIterator[Gateway]:
    """A gateway of the test's own, that does what the test says."""
    async with scripted_gateway() as running:
        yield running
