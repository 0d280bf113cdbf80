"""Each backend of a bus, with what can be done to its server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tests.support.redis_kinds import ALL
from userline.changes.factory import kind_of, make_backend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from userline.changes.protocol import Backend, Link


class Server(Protocol):
    """What carries a bus."""

    url: str

    def kill(self) -> None: ...
    def start(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...
    def kill_listeners(self) -> None: ...


class Ground:
    """A bus, and the links that a test has made to it."""

    def __init__(self, url: str, server: Server | None) -> None:
        self.url = url
        self._server = server
        self._backends: list[Backend] = [make_backend(url)]
        self._links: list[Link] = []

    @property
    def server(self) -> Server:
        assert self._server is not None
        return self._server

    async def join(self, *channels: str, as_another_gateway: bool = True) -> Link:
        """Return a link; each is of a gateway of its own, where that can be."""
        if as_another_gateway and kind_of(self.url).is_shared:
            self._backends.append(make_backend(self.url))
        self._links.append(await self._backends[-1].join(channels))
        return self._links[-1]

    def explain(self, error: BaseException) -> str:
        return str(self._backends[0].explain(error))

    async def close(self) -> None:
        for link in self._links:
            await link.close()
        for backend in self._backends:
            await backend.close()


SHARED = {"redis": "server", "postgres": "postgres", "sentinels": "sentinels", "cluster": "cluster", "tls": "tls"}
"""The kinds of servers, and the fixtures that have one. By TLS there is a user who may do what the docs say."""


# Behind Sentinels and by TLS, links are those of a Redis by itself, but for how they are joined and how they end.
HEARD = [kind for kind in SHARED if ALL or kind not in {"sentinels", "tls"}]
CUT_OFF = [kind for kind in SHARED if ALL or kind != "cluster"]


@pytest.fixture(params=["memory", *HEARD])
async def ground(request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    """Each kind of bus."""
    server = request.getfixturevalue(SHARED[request.param]) if request.param in SHARED else None
    ground = Ground(server.url if server else "memory://", server)
    yield ground
    await ground.close()


@pytest.fixture(params=CUT_OFF)
async def shared_ground(request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    """Each kind of bus that has a server."""
    server = request.getfixturevalue(SHARED[request.param])
    ground = Ground(server.url, server)
    yield ground
    await ground.close()


async def hear(link: Link, count: int, channels: Collection[str] | None = None) -> list[tuple[str, bytes]]:
    """Return the next messages, as many as are wanted."""
    heard: list[tuple[str, bytes]] = []
    for _ in range(100 + 50 * count):
        if len(heard) == count:
            return heard
        message = await link.hear(5.0)
        if message is not None and (channels is None or message.channel in channels):
            heard.append((message.channel, message.message))
    raise AssertionError(f"only {len(heard)} of {count} were heard")
