"""Where a run takes place: the users in every form, the stand-in for MongoDB, Node, and what starts each server."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias

import pymongo
from tests.support.mongodb import MongoServer

from bench import users
from bench.servers import BenchError, Server, running
from userline.gateway.auth.minting import mint
from userline.gateway.graphiql.build import BuildError, Node, find_node, install_packages
from userline.storage.mongo import MongoUserStore
from userline.storage.sqlite import SQLiteUserStore
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from types import TracebackType

StoreKind: TypeAlias = Literal["memory", "sqlite", "mongodb"]

GATEWAY: Final = "userline"
LANE_OFF: Final = "userline-lane-off"
PYTHON_PEERS: Final = ("strawberry", "strawberry-cached", "ariadne", "bare-uvicorn")
NODE_PEERS: Final = ("apollo-server", "graphql-yoga", "mercurius", "graphql-ws")
SERVERS: Final = (GATEWAY, LANE_OFF, *PYTHON_PEERS, *NODE_PEERS)

SECRET: Final = "the secret of the benchmark, which has more than 32 bytes"
_TOKEN_SECONDS: Final = 86_400

_ROOT: Final = Path(__file__).parent.parent
NODE_DIRECTORY: Final = _ROOT / "bench" / "peers" / "node"
_JAVA_STAND_IN: Final = _ROOT / ".stand-ins" / "bin" / "mongo-java-server"


def make_token() -> str:
    """Return a token of the app, which the gateway checks and its peers do not look at."""
    return mint(SECRET, "userline", user_id=None, seconds=_TOKEN_SECONDS)


class Site:
    """Entered once for a run. ``directory`` is empty at first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seeded = directory / "seeded.db"
        self._file = directory / "users.json"
        self._stand_in: MongoServer | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        users.write_file(self._file)
        await users.fill(SQLiteUserStore(self._seeded, Rules()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def stand_in(self) -> str:
        """The name of the stand-in for MongoDB."""
        return "mongo-java-server" if _JAVA_STAND_IN.exists() else "nx-27017"

    @cached_property
    def node(self) -> Node | None:
        """Node with the peers installed, or None, and then ``missing`` says why."""
        found = find_node()
        installed, wanted = (NODE_DIRECTORY / name for name in ("node_modules/.package-lock.json", "package-lock.json"))
        if found is None or (installed.exists() and installed.stat().st_mtime >= wanted.stat().st_mtime):
            return found
        print("installing the peers on Node (npm ci) …", file=sys.stderr)
        try:
            install_packages(NODE_DIRECTORY, found)
        except BuildError as error:
            print(error, file=sys.stderr)
            return None
        return found

    def missing(self, name: str) -> str | None:
        """Return what there is not for a server to run, or None."""
        if name in NODE_PEERS and self.node is None:
            return "no Node (20.19 or newer) with npm and the packages of bench/peers/node"
        return None

    @asynccontextmanager
    async def running(self, name: str, kind: StoreKind, flags: Sequence[str] = ()) -> AsyncIterator[Server]:
        """Start a server on a store of its own. ``flags`` are the gateway's. Raises BenchError."""
        home = self._directory / f"{name}-{uuid.uuid4().hex[:8]}"
        home.mkdir()
        store = await self._store(name, kind, home)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("USERLINE_")}
        paths = [str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        environment |= {"NODE_ENV": "production", "PYTHONPATH": os.pathsep.join(paths)}
        if name in NODE_PEERS:
            assert self.node is not None
            command = [str(self.node.executable), str(NODE_DIRECTORY / "serve.mjs"), name, store]
        elif name in PYTHON_PEERS:
            command = [sys.executable, "-m", "bench.peers", name, store]
        else:
            environment |= {"USERLINE_SECRET": SECRET, "USERLINE_ENV": "production"}
            if name == LANE_OFF:
                environment["USERLINE_FAST_LANE"] = "false"
            command = [
                sys.executable,
                "-m",
                "userline",
                "serve",
                "--port",
                "0",
                "--no-access-log",
                "--drain-seconds",
                "0",
            ]
            command += ["--store-url", store, *flags]
        async with running(name, command, home, environment) as server:
            yield server
        shutil.rmtree(home)

    def copy_users(self, path: Path) -> Path:
        """Make an SQLite store of all users."""
        return Path(shutil.copy(self._seeded, path))

    async def _store(self, name: str, kind: StoreKind, home: Path) -> str:
        """Make the store and return its URL. The gateway has no store in memory: it reads SQLite, and holds users."""
        if kind == "mongodb":
            return await self._database()
        if kind == "memory" and name not in {GATEWAY, LANE_OFF}:
            return f"memory:{self._file}"
        return f"sqlite:///{self.copy_users(home / 'users.db')}"

    async def _database(self) -> str:
        if self._stand_in is None:
            home = self._directory / "mongodb"
            home.mkdir()
            server = MongoServer(self.stand_in, home)
            try:
                server.start()
            except AssertionError as error:
                raise BenchError(str(error)) from error
            self._stack.callback(server.stop)
            self._stand_in = server
        url = self._stand_in.url(f"bench-{uuid.uuid4().hex[:8]}")
        await users.fill(MongoUserStore(url, Rules()), users.READ_USERS)
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            if client.get_default_database().users.count_documents({}) != users.READ_USERS:
                raise BenchError(f"{self.stand_in} has not kept all users.")
        return url
