"""Fixtures for the tests of the TypeScript client: its package, built, and a real gateway."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.client_gateways import gateway, guarded
from tests.support.npm import Node, built, find_node

__all__ = ["Node", "gateway", "guarded"]
"""Fixtures that are used as they are, and the type of one."""

PACKAGE = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def node() -> Node:
    """Node, with the package installed and built."""
    return built(PACKAGE, find_node())
