"""Gateways whose REST API is tested: one that asks for tokens, and the one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from tests.support.gateway import RunningGateway, running
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A real gateway with a secret."""
    flags = ("--bad-tokens-per-second", "0")
    yield from running(tmp_path_factory.mktemp("guarded"), *flags, env={"USERLINE_SECRET": SECRET})


@pytest.fixture(scope="session")
def server(guarded: RunningGateway) -> Iterator[httpx.Client]:
    """A back end: a client with a server token, whose addresses are relative to the app's."""
    headers = {"authorization": f"Bearer {token_of(None)}"}
    with httpx.Client(base_url=f"{guarded.url}/v1/userline", headers=headers, timeout=30) as client:
        yield client
