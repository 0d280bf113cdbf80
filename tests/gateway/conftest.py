"""Fixtures for the tests of the doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.gateway import RunningGateway


@pytest.fixture(scope="module", params=["lane", "general"])
def doors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway as it comes, and one that goes by the ordinary way alone, both with the fields of a subgraph."""
    flags = () if request.param == "lane" else ("--no-fast-lane", "--no-plans")
    yield from running(tmp_path_factory.mktemp("doors"), "--federation", "--no-access-log", *flags)
