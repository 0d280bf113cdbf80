"""Servers that carry a bus, and gateways' ends of one, which end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.changes.listening import Listener
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.redis_kinds import RULES, Cluster, Sentinels, TlsRedis

Serve: TypeAlias = Callable[..., RedisServer]
ServePostgres: TypeAlias = Callable[..., PostgresServer]
Listen: TypeAlias = Callable[..., Listener]
Directories: TypeAlias = Callable[[str], Path]
SharedServer: TypeAlias = RedisServer | PostgresServer


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start a Redis with the options given, each in a directory of its own."""
    servers: list[RedisServer] = []

    def serve(*options: str) -> RedisServer:
        servers.append(RedisServer(tmp_path_factory.mktemp("redis"), *options))
        return servers[-1]

    yield serve
    for server in servers:
        server.remove()


@pytest.fixture
def server(serve: Serve) -> RedisServer:
    """A Redis as it comes."""
    return serve()


@pytest.fixture
def serve_postgres() -> Iterator[ServePostgres]:
    """Start a PostgreSQL with the options given."""
    servers: list[PostgresServer] = []

    def serve(*options: str, encoding: str = "UTF8") -> PostgresServer:
        servers.append(PostgresServer(*options, encoding=encoding))
        return servers[-1]

    yield serve
    for server in servers:
        server.remove()


@pytest.fixture
def postgres(serve_postgres: ServePostgres) -> PostgresServer:
    """A PostgreSQL as it comes."""
    return serve_postgres()


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> Directories:
    """Make a new directory."""
    return tmp_path_factory.mktemp


@pytest.fixture(scope="module")
def sentinels(directories: Directories) -> Iterator[Sentinels]:
    """A Redis behind three Sentinels, which the tests of a module share: it takes two seconds to be up."""
    sentinels = Sentinels(directories)
    yield sentinels
    sentinels.remove()


@pytest.fixture(scope="module")
def cluster(directories: Directories) -> Iterator[Cluster]:
    """A cluster, which the tests of a module share: it takes two seconds to be up."""
    cluster = Cluster(directories)
    yield cluster
    cluster.remove()


@pytest.fixture(scope="module")
def tls(directories: Directories) -> Iterator[TlsRedis]:
    """A Redis that speaks TLS, whose user may do all that the contract's tests do with channels."""
    server = TlsRedis(directories("tls"), f"shop on >secret {RULES.replace('&userline:shop:*', '&*')}")
    yield server
    server.remove()


@pytest.fixture(params=["redis", "postgres"])
def shared(request: pytest.FixtureRequest) -> SharedServer:
    """A server of each kind that several gateways can share as a bus."""
    server: SharedServer = request.getfixturevalue({"redis": "server", "postgres": "postgres"}[request.param])
    return server


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
