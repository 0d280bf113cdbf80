"""Where a run takes place: the users in every form, the database, the peers, and what starts each server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias

import pymongo
from tests.support.mongodb import MongoServer

from bench import users
from bench.delay import delayed
from bench.native import NATIVE
from bench.servers import BenchError, Server, running
from userline.gateway.auth.minting import mint
from userline.gateway.graphiql.build import BuildError, Node, find_node, install_packages
from userline.storage.mongo import MongoUserStore
from userline.storage.sqlite import SQLiteUserStore
from userline.users.errors import StoreUnavailable
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import TracebackType

StoreKind: TypeAlias = Literal["memory", "sqlite", "mongodb"]

GATEWAY: Final = "userline"
LANE_OFF: Final = "userline-lane-off"
OURS: Final = (GATEWAY, LANE_OFF)
PYTHON_PEERS: Final = ("strawberry", "strawberry-cached", "ariadne", "bare-uvicorn", "limit")
NODE_PEERS: Final = ("apollo-server", "graphql-yoga", "mercurius", "graphql-ws")
SERVERS: Final = (*OURS, *PYTHON_PEERS, *NODE_PEERS, *NATIVE)

STAND_INS: Final = ("nx-27017", "mongo-java-server")
"""What can be started in place of MongoDB. The second goes through a whole collection for a write that names a version
beside the id, as the gateway's do and those of its peers do not.
"""

SECRET: Final = "the secret of the benchmark, which has more than 32 bytes"
_TOKEN_SECONDS: Final = 86_400
_PATIENCE_MS: Final = 30_000
"""How long filling a database may wait for one answer."""

_ROOT: Final = Path(__file__).parent.parent
NODE_DIRECTORY: Final = _ROOT / "bench" / "peers" / "node"


def make_token() -> str:
    """Return a token of the app, which the gateway checks and its peers do not look at."""
    return mint(SECRET, "userline", user_id=None, seconds=_TOKEN_SECONDS)


class Site:
    """Entered once for a run. ``directory`` is empty at first; ``mongodb`` is a stand-in or the URL of a server."""

    def __init__(self, directory: Path, mongodb: str = STAND_INS[0]) -> None:
        self._directory = directory
        self._seeded = directory / "seeded.db"
        self._file = directory / "users.json"
        self._mongodb = mongodb
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
    def database(self) -> tuple[str, str]:
        """What stands for MongoDB, and which version of it or what that means."""
        if self._mongodb in STAND_INS:
            return self._mongodb, "in place of MongoDB"
        with pymongo.MongoClient[dict[str, Any]](self._mongodb, serverSelectionTimeoutMS=5000) as client:
            return "MongoDB's protocol", str(client.server_info()["version"])

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

    def missing(self, name: str, kind: StoreKind = "memory") -> str | None:
        """Return what there is not for a server to run on a kind of store, or None."""
        if name in NODE_PEERS and self.node is None:
            return "no Node (20.19 or newer) with npm and the packages of bench/peers/node"
        if name in NODE_PEERS and kind == "sqlite" and not _has_sqlite(self.node):
            return "no better-sqlite3, which is compiled by a C++ compiler, make and Python, with Node's headers"
        return _built(name) if name in NATIVE else None

    @asynccontextmanager
    async def running(
        self, name: str, kind: StoreKind, flags: Sequence[str] = (), *, delay: float = 0
    ) -> AsyncIterator[Server]:
        """Start a server on a store of its own. Raises BenchError.

        ``flags`` are the gateway's; ``delay`` is how many milliseconds MongoDB is away, each way.
        """
        home = self._directory / f"{name}-{uuid.uuid4().hex[:8]}"
        home.mkdir()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("USERLINE_")}
        paths = [str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        environment |= {"NODE_ENV": "production", "PYTHONPATH": os.pathsep.join(paths), "GOMAXPROCS": "1"}
        async with AsyncExitStack() as stack:
            store = await self._store(name, kind, home)
            if kind == "mongodb" and delay:
                store = await stack.enter_async_context(delayed(store, delay, home / "line", environment))
            command, more = self._command(name, store, flags)
            yield await stack.enter_async_context(running(name, command, home, environment | dict(more)))
        shutil.rmtree(home)

    def _command(self, name: str, store: str, flags: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
        """Return what starts a server, and what it needs in its environment."""
        if name in NATIVE:
            return [str(NATIVE[name].executable), store], {}
        if name in NODE_PEERS:
            assert self.node is not None
            return [str(self.node.executable), str(NODE_DIRECTORY / "serve.mjs"), name, store], {}
        if name in PYTHON_PEERS:
            return [sys.executable, "-m", "bench.peers", name, store], {}
        environment = {"USERLINE_SECRET": SECRET, "USERLINE_ENV": "production"}
        if name == LANE_OFF:
            environment["USERLINE_FAST_LANE"] = "false"
        command = [sys.executable, "-m", "userline", "serve", "--port", "0", "--no-access-log", "--drain-seconds", "0"]
        return [*command, "--store-url", store, *flags], environment

    def copy_users(self, path: Path) -> Path:
        """Make an SQLite store of all users."""
        return Path(shutil.copy(self._seeded, path))

    async def _store(self, name: str, kind: StoreKind, home: Path) -> str:
        """Make the store and return its URL. The gateway has no store in memory: it reads SQLite, and holds users."""
        if kind == "mongodb":
            return await self._database()
        if kind == "memory" and name not in OURS:
            return f"memory:{self._file}"
        return f"sqlite:///{self.copy_users(home / 'users.db')}"

    async def _database(self) -> str:
        """Make a database with users and return its URL."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        url = self._started().url(name) if self._mongodb in STAND_INS else self._real(name)
        patient = f"{url}{'&' if '?' in url else '?'}timeoutMS={_PATIENCE_MS}"
        try:
            await users.fill(MongoUserStore(patient, Rules()), users.READ_USERS)
        except StoreUnavailable as error:
            raise BenchError(f"{self._mongodb} could not be filled: {error}") from error
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            if client.get_default_database().users.count_documents({}) != users.READ_USERS:
                raise BenchError(f"{self._mongodb} has not kept all users.")
        return url

    def _real(self, name: str) -> str:
        base, _, options = self._mongodb.partition("?")
        match = re.match(r"[^/]*//[^/]*", base)
        assert match is not None
        self._stack.callback(self._drop, name)
        return f"{match[0]}/{name}{'?' if options else ''}{options}"

    def _drop(self, name: str) -> None:
        with pymongo.MongoClient[dict[str, Any]](self._mongodb) as client:
            client.drop_database(name)

    def _started(self) -> MongoServer:
        if self._stand_in is None:
            home = self._directory / "mongodb"
            home.mkdir()
            server = MongoServer(self._mongodb, home)
            try:
                server.start()
            except AssertionError as error:
                raise BenchError(str(error)) from error
            self._stack.callback(server.stop)
            self._stand_in = server
        return self._stand_in


@cache
def _built(name: str) -> str | None:
    return NATIVE[name].missing()


@cache
def _has_sqlite(node: Node) -> bool:
    """Return whether the peers on Node can open SQLite. Its package is the one that is compiled, once."""
    check = [str(node.executable), "-e", "new (require('better-sqlite3'))(':memory:')"]
    for _ in range(2):
        if subprocess.run(check, cwd=NODE_DIRECTORY, capture_output=True, check=False).returncode == 0:
            return True
        print("compiling better-sqlite3 (npm rebuild), which takes some minutes …", file=sys.stderr)
        environment = node.environment() | {"npm_config_build_from_source": "true"}
        rebuild = [*node.npm, "rebuild", "better-sqlite3"]
        if subprocess.run(rebuild, cwd=NODE_DIRECTORY, env=environment, capture_output=True, check=False).returncode:
            return False
    return False
