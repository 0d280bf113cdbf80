"""Fixtures for the clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients.wire import becomes_quiet

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway


@pytest.fixture(autouse=True)
def quiet(gateway: RunningGateway) -> None:
    """Nobody of the tests before is still about to leave: a test can count watchers and sockets."""
    becomes_quiet(gateway)
