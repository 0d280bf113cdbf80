"""Fixtures for every room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gateway import RunningGateway

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A real gateway that tests share; each uses user ids of its own."""
    running = RunningGateway(tmp_path_factory.mktemp("gateway"))
    yield running
    code = running.stop()
    assert code == 0, running.log
    assert "Traceback" not in running.log, running.log
