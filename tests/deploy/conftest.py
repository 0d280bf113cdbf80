"""Two gateways on one Redis, for the proxies that stand before them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.deploy.proxies import TRUSTED
from tests.support.gateway import RunningGateway, end_all
from tests.support.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def _pair(directory: Path) -> Iterator[list[RunningGateway]]:
    redis = RedisServer(directory)
    running = [RunningGateway(directory, "--bus-url", redis.url, *TRUSTED) for _ in range(2)]
    yield running
    end_all(running)
    redis.kill()


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[list[RunningGateway]]:
    """For a test that stops one of them."""
    with _pair(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def lasting_gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningGateway]]:
    """For tests that leave them running."""
    with _pair(tmp_path_factory.mktemp("gateways")) as running:
        yield running
