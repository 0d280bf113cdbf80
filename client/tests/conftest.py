"""Fixtures for the tests of the client: a real gateway, and a proxy before it that can be cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that tests share; each uses user ids of its own."""
    running = RunningGateway(tmp_path_factory.mktemp("client"))
    yield running
    assert running.stop() == 0, running.log
