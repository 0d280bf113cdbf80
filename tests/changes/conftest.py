"""Redis servers and gateways' ends of a bus, which end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeAlias

import pytest

from tests.changes.listening import Listener
from tests.support.redis import RedisServer

Serve: TypeAlias = Callable[..., RedisServer]
Listen: TypeAlias = Callable[..., Listener]


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start a Redis with the options given, each in a directory of its own."""
    servers: list[RedisServer] = []

    def serve(*options: str) -> RedisServer:
        servers.append(RedisServer(tmp_path_factory.mktemp("redis"), *options))
        return servers[-1]

    yield serve
    for server in servers:
        server.kill()


@pytest.fixture
def server(serve: Serve) -> RedisServer:
    """A Redis as it comes."""
    return serve()


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Make a gateway's end of the bus, to be started by the test."""
    listeners: list[Listener] = []

    def listen(url: str, **names: str) -> Listener:
        listeners.append(Listener(url, **names))
        return listeners[-1]

    yield listen
    for listener in listeners:
        await listener.bus.stop()
