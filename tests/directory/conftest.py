"""Fixtures for the tests of the resolvers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.parts import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    await gateway.bus.start(gateway.hub.hear)
    yield gateway
    await gateway.users.close()
    await gateway.bus.stop()
