"""Some gateway processes, one bus and one store, with a watcher of every user on each gateway."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import httpx

from tests.support.detour import Detour
from tests.support.gateway import RunningGateway
from tests.support.mongodb import MongoServer
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.tokens import SECRET, token_of
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

GATEWAYS: Final = 3
SET: Final = "mutation($id: ID!, $name: String!) { setUser(id: $id, input: {name: $name}) { changed user { name } } }"
NEIGHBOUR: Final = "neighbour"
FIRST_OF_NEIGHBOUR: Final = 1_000_000
_PATIENCE: Final = 60.0

BusServer: TypeAlias = RedisServer | PostgresServer


class Deployment:
    """Made by :func:`deployed`. Users are named after numbers that only grow: each edit is one more.

    Those of the neighbour begin at another number, so that what crosses shows.
    """

    edits = 50
    """How often a scenario edits each user."""

    def __init__(self, bus: BusServer, gateways: list[RunningGateway], app_id: str) -> None:
        self.bus = bus
        self.gateways = gateways
        self.app_id = app_id
        self.detour: Detour | None = None
        """The way to the bus of the last gateway, or of all if there is a replica."""
        self.replica: RedisServer | None = None
        self.mongo: MongoServer | None = None
        """The server of the store, where there is one."""
        self.store_url = ""
        self.neighbour: Deployment | None = None
        """Another deployment on the same bus, with users of the same ids."""
        self.start_again: Callable[[int], RunningGateway]
        """Starts one more gateway like the one of this number."""
        self._first = FIRST_OF_NEIGHBOUR if app_id == NEIGHBOUR else 0
        self.watchers: list[Watching] = []
        self.acknowledged: dict[str, int] = {}
        """The number of the last edit of each user that was answered."""
        # A gateway closes connections that are idle, and on a busy machine one may be used at that moment.
        self._http = httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
        self._chance = random.Random()
        self._pulses = 0
        self._rounds = 0

    async def watch(self, count: int, *, on: int | None = None) -> list[str]:
        """Watch that many new users, and a pulse of each gateway, on the first gateways or all, and nothing else."""
        on = len(self.gateways) if on is None else on
        await self.unwatch()
        self.acknowledged = {}
        self._rounds += 1
        self._pulses = self._first
        users = [f"user {number} of round {self._rounds}" for number in range(count)]
        watched = [*users, *(self._pulse_of(number) for number in range(on))]
        self.watchers = [
            await Watching.start(gateway.websocket_url, watched, token=self.token_of(None))
            for gateway in self.gateways[:on]
        ]
        for watching in self.watchers:
            await until(lambda w=watching: all(w.seen.values()), _PATIENCE)  # type: ignore[misc]
        return users

    def token_of(self, user_id: str | None) -> str:
        """Return a token of a user, or of the app."""
        return token_of(user_id, iss=self.app_id)

    @property
    def headers(self) -> dict[str, str]:
        """What a request of the app has."""
        return {"Authorization": f"Bearer {self.token_of(None)}"}

    async def unwatch(self) -> None:
        """Stop watching."""
        await asyncio.gather(*(watching.stop() for watching in self.watchers))
        self.watchers = []

    async def edit(self, users: list[str], edits: int, *, within: float = 0.0, through: int | None = None) -> None:
        """Edit users at once, each user's edits one after the other, through random gateways or one.

        They are spread over ``within`` seconds, or follow each other without a pause.
        """

        async def edit_one(user: str) -> None:
            for _ in range(edits):
                gateway = self._chance.choice(self.gateways) if through is None else self.gateways[through]
                await self._set(gateway, user, self.acknowledged.get(user, self._first) + 1)
                await asyncio.sleep(self._chance.uniform(0, 2 * within / edits))

        await asyncio.gather(*(edit_one(user) for user in users))

    async def pulse(self) -> float:
        """Edit through each gateway at once; return after how many seconds every watcher has seen all of it."""
        started = time.monotonic()
        self._pulses += 1
        pulses = {self._pulse_of(number): self._pulses for number in range(len(self.watchers))}
        await asyncio.gather(
            *(self._set(self.gateways[number], user, self._pulses) for number, user in enumerate(pulses))
        )
        await self._all_have(pulses)
        return time.monotonic() - started

    async def converge(self, since: float) -> float:
        """Wait until every watcher has what was acknowledged by now; return how many seconds after ``since`` that is.

        In order, and with every socket open.
        """
        await self._all_have(dict(self.acknowledged))
        seconds = time.monotonic() - since
        for watching in self.watchers:
            assert not watching.closed
            for user, names in watching.seen.items():
                numbers = [self._first - 1 if name is None else int(name) for name in names]
                assert numbers == sorted(set(numbers)), f"{user}: {numbers}"
                assert self._first - 1 <= numbers[0], f"{user}: {numbers}"
                assert numbers[-1] < self._first + FIRST_OF_NEIGHBOUR, f"{user}: {numbers}"
        return seconds

    async def until_ready(self, *, ready: bool = True) -> None:
        """Wait until every gateway says that it is ready, or that it is not."""
        for gateway in self.gateways:
            while ((await self._http.get(gateway.url + "/readyz?strict=1")).status_code == 200) is not ready:
                await asyncio.sleep(0.03)

    async def close(self) -> None:
        """Stop watching and asking."""
        await self.unwatch()
        await self._http.aclose()

    def _pulse_of(self, gateway: int) -> str:
        return f"pulse of {gateway} in round {self._rounds}"

    async def _set(self, gateway: RunningGateway, user: str, number: int) -> None:
        answer = await self._http.post(
            gateway.url + "/graphql",
            json={"query": SET, "variables": {"id": user, "name": str(number)}},
            headers=self.headers,
        )
        expected = {"changed": True, "user": {"name": str(number)}}
        assert answer.json() == {"data": {"setUser": expected}}, answer.text
        self.acknowledged[user] = number

    async def _all_have(self, numbers: dict[str, int]) -> None:
        for watching in self.watchers:
            for user in numbers.keys() & watching.seen.keys():
                await until(
                    lambda w=watching, u=user: int(w.last(u) or 0) >= numbers[u],  # type: ignore[misc]
                    _PATIENCE,
                )


@asynccontextmanager
async def deployed(
    directory: Path,
    store: str,
    *,
    reread_seconds: float,
    bus: str = "redis",
    detour: bool = False,
    replica: bool = False,
    neighbour: bool = False,
) -> AsyncIterator[Deployment]:
    """Start a deployment in an empty directory, and stop it in the end, where each gateway must end in peace.

    ``store`` is ``sqlite``, or a server of ``tests.support.mongodb`` and a driver: ``nx-27017/motor``; ``bus`` is
    ``redis`` or ``postgres``. With a ``detour``, the last gateway reaches the bus through it; with a ``replica`` of
    Redis, all of them do. A ``neighbour``
    is a deployment of two gateways with a store of its own, and then this one has two gateways as well.
    """
    async with AsyncExitStack() as stack:
        server = _postgres(stack) if bus == "postgres" else _redis(stack, directory / "redis")
        way = await Detour.open(server.port) if detour or replica else None
        if way is not None:
            stack.push_async_callback(way.close)
        by_way = GATEWAYS if replica else 1
        count = GATEWAYS - 1 if neighbour else GATEWAYS
        ports = [server.port if way is None or number < count - by_way else way.port for number in range(count)]
        flags = ["--reread-seconds", str(reread_seconds)]
        deployment = await stack.enter_async_context(
            _gateways(directory / "one", store, server, ports, "userline", flags)
        )
        deployment.detour = way
        if replica:
            assert isinstance(server, RedisServer)
            deployment.replica = _redis(stack, directory / "replica")
            deployment.replica.follow(server)
        if neighbour:
            deployment.neighbour = await stack.enter_async_context(
                _gateways(directory / "two", store, server, ports, NEIGHBOUR, flags)
            )
        yield deployment


def _redis(stack: AsyncExitStack, directory: Path) -> RedisServer:
    directory.mkdir()
    server = RedisServer(directory)
    stack.callback(server.kill)
    return server


def _postgres(stack: AsyncExitStack) -> PostgresServer:
    server = PostgresServer()
    stack.callback(server.remove)
    return server


@asynccontextmanager
async def _gateways(  # noqa: PLR0917 - all of it is needed
    directory: Path, store: str, bus: BusServer, ports: list[int], app_id: str, flags: list[str]
) -> AsyncIterator[Deployment]:
    """Start gateways that reach the bus at the ports, one each, and stop them in the end."""
    directory.mkdir()
    server, _, driver = store.partition("/")
    mongo = None if server == "sqlite" else MongoServer(server, directory)
    flags = [*flags, "--no-access-log", "--app-id", app_id, "--rate-limit-per-second", "0"]
    # On a busy machine a client of the tests may take long to say anything on a connection that it has opened.
    flags += ["--header-seconds", "120"]
    gateways: list[RunningGateway] = []
    url = f"sqlite:///{directory / 'users.db'}"

    def start(port: int) -> RunningGateway:
        way = bus.url.replace(f":{bus.port}", f":{port}")
        return RunningGateway(directory, "--bus-url", way, *flags, env={"USERLINE_SECRET": SECRET})

    try:
        if mongo is not None:
            await asyncio.to_thread(mongo.start)
            # What is tried here is the bus, and some stand-ins are slow.
            url = mongo.url(timeoutMS=10_000)
            flags += ["--store-url", url, "--mongodb-driver", driver]
        # The first makes the database.
        for some in (ports[:1], ports[1:]):
            gateways += await asyncio.gather(*(asyncio.to_thread(start, port) for port in some))
        deployment = Deployment(bus, gateways, app_id)
        deployment.mongo, deployment.store_url = mongo, url
        deployment.start_again = lambda number: start(ports[number])
        try:
            yield deployment
        finally:
            await deployment.close()
        for gateway in gateways:
            if gateway.process.poll() is None:
                assert await asyncio.to_thread(gateway.stop) == 0, gateway.log
            assert "Traceback" not in gateway.log, gateway.log
    finally:
        for gateway in gateways:
            if gateway.process.poll() is None:
                gateway.kill()
        if mongo is not None:
            mongo.stop()
