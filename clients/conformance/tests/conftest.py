"""Fixtures for the runs of our own clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clients.conformance.known import COMMANDS, DRIVERS
from clients.typescript.tests.conftest import node
from tests.support.client_gateways import gateway

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node

__all__ = ["gateway", "node"]
"""Fixtures that are used as they are."""


@pytest.fixture
def typescript(node: Node) -> list[str]:
    """How to start the driver of the TypeScript client, which is built by now."""
    return [str(node.executable), str(DRIVERS / "node.mjs")]


@pytest.fixture
def python() -> list[str]:
    """How to start the driver of the Python client."""
    return COMMANDS["python"]
