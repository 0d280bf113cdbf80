"""Fixtures for the tests of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway, running
from tests.support.tokens import SECRET, KeyServer, Signer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that checks tokens with ``SECRET``, and logs all that it can."""
    flags = ("--log-level", "debug", "--bad-tokens-per-second", "0")
    yield from running(tmp_path_factory.mktemp("guarded"), *flags, env={"USERLINE_SECRET": SECRET})


@pytest.fixture
def signer() -> Signer:
    return Signer.new("ES256", "first")


@pytest.fixture
def key_server(signer: Signer) -> Iterator[KeyServer]:
    server = KeyServer(signer)
    yield server
    server.stop()
