"""Fixtures for the tests of the hooks for React: their package, built, and what it stands on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.client_gateways import gateway
from tests.support.npm import Node, built, find_node, install

__all__ = ["Node", "gateway"]
"""Fixtures that are used as they are, and the type of one."""

PACKAGE = Path(__file__).parents[1]
CLIENT = PACKAGE.parent / "typescript"


@pytest.fixture(scope="session")
def node() -> Node:
    """Node, with the package built, the client that it is for beside it, and another React."""
    found = find_node()
    built(CLIENT, found)
    install(PACKAGE / "tests" / "react-18", found)
    return built(PACKAGE, found, beside={"@userline/client": CLIENT})
