"""Real gateways for the tests of any client: a ``conftest.py`` beside them imports these fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gateway import running
from tests.support.tokens import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.gateway import RunningGateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that tests share; each uses user ids of its own."""
    yield from running(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that wants tokens."""
    yield from running(tmp_path_factory.mktemp("guarded"), env={"USERLINE_SECRET": SECRET})
