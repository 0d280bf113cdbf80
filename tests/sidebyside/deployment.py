"""Two gateways of different versions on one store and one Redis, and who watches at each of them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, Any, Final

from pymongo import MongoClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support import trees
from tests.support.gateway import RunningGateway
from tests.support.mongodb import MongoServer
from tests.support.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KNOWN_BY_ALL: Final = "id name custom locale photoUrl role welcomeMessage"


class Store:
    """The store that both use, looked into from outside."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_mongodb = url.startswith("mongodb:")

    def version(self, user_id: str) -> int:
        """Return the version that the store keeps of a user."""
        if self.is_mongodb:
            return int(self.document(user_id)["version"])
        with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection:
            return int(connection.execute("SELECT version FROM users WHERE id = ?", (user_id,)).fetchone()[0])

    def document(self, user_id: str) -> dict[str, Any]:
        """Return what MongoDB keeps of a user."""
        with MongoClient[dict[str, Any]](self.url) as client:
            found = client.get_default_database()["users"].find_one({"_id": user_id})
            assert found is not None
            return found

    def put_beside(self, user_id: str, **fields: object) -> None:
        """Write what no userline knows into a user's document, as another program does."""
        with MongoClient[dict[str, Any]](self.url) as client:
            client.get_default_database()["users"].update_one(
                {"_id": user_id}, {"$set": fields, "$inc": {"version": 1}}
            )


class Watcher:
    """One socket that watches a user. ``seen`` has what was told, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.seen: list[dict[str, Any]] = []
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, url: str, user_id: str, fields: str) -> Watcher:
        socket = await connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], open_timeout=30)
        await socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        query = f"subscription($id: ID!) {{ userChanged(id: $id) {{ {fields} }} }}"
        payload = {"query": query, "variables": {"id": user_id}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        return cls(socket)

    async def stop(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if message["type"] == "next":
                self.seen.append(message["payload"]["data"]["userChanged"])


class Version:
    """A tree, and what is known of its gateways."""

    def __init__(
        self, tree: Path, *, has_field: bool = False, keeps_others: bool = True, hears_deletions: bool = True
    ) -> None:
        self.tree = tree
        self.has_field = has_field
        self.keeps_others = keeps_others
        """Whether it keeps what it does not know in MongoDB."""
        self.hears_deletions = hears_deletions
        """Whether it can make anything of what the bus says of a deletion."""

    @property
    def fields(self) -> str:
        return f"{KNOWN_BY_ALL} pronouns" if self.has_field else KNOWN_BY_ALL


class Gateway:
    """A running gateway of a version, open, so that REST needs no token."""

    def __init__(self, version: Version, directory: Path, *flags: str) -> None:
        self.version = version
        self.running = RunningGateway(directory, *flags, env=trees.environment(version.tree))

    async def set(self, user_id: str, **patch: object) -> dict[str, Any]:
        """Patch a user and return its snapshot."""
        query = (
            "mutation($id: ID!, $input: SetUserInput!) "
            f"{{ setUser(id: $id, input: $input) {{ user {{ {self.version.fields} }} }} }}"
        )
        data = await asyncio.to_thread(self.running.data, query, {"id": user_id, "input": patch})
        user: dict[str, Any] = data["setUser"]["user"]
        return user

    async def get(self, user_id: str) -> dict[str, Any]:
        """Return a user's snapshot; of one who is not there, it is None."""
        query = f"query($id: ID!) {{ user(id: $id) {{ {self.version.fields} }} }}"
        data = await asyncio.to_thread(self.running.data, query, {"id": user_id})
        user: dict[str, Any] = data["user"]
        return user

    async def record(self, user_id: str) -> dict[str, Any]:
        """Return the whole user, by REST."""
        answer = await asyncio.to_thread(self.running.http.get, f"/v1/userline/users/{user_id}")
        record: dict[str, Any] = answer.json()
        return record

    async def watch(self, user_id: str) -> Watcher:
        """Watch a user here."""
        return await Watcher.start(self.running.websocket_url, user_id, self.version.fields)


@asynccontextmanager
async def side_by_side(
    directory: Path, store_name: str, first: Version, second: Version
) -> AsyncIterator[tuple[Store, Gateway, Gateway]]:
    """Start a gateway of each version, the first one before the second. Both have to end well."""
    async with AsyncExitStack() as stack:
        (directory / "redis").mkdir()
        redis = RedisServer(directory / "redis")
        stack.callback(redis.kill)
        if store_name == "sqlite":
            store = Store(f"sqlite:///{directory / 'users.db'}")
        else:
            (directory / "mongo").mkdir()
            server = MongoServer(store_name, directory / "mongo")
            server.start()
            stack.callback(server.stop)
            store = Store(server.url())
        gateways = []
        for number, version in enumerate((first, second)):
            home = directory / f"gateway-{number}"
            home.mkdir()
            # Nothing is read again soon: what is not heard is not seen.
            flags = ["--store-url", store.url, "--bus-url", redis.url, "--reread-seconds", "600"]
            gateway = Gateway(version, home, *flags)
            stack.callback(gateway.running.kill)
            gateways.append(gateway)
        yield store, gateways[0], gateways[1]
        for gateway in gateways:
            assert gateway.running.stop() == 0, gateway.running.log
            assert "Traceback" not in gateway.running.log, gateway.running.log
            if gateway.version.hears_deletions:
                for dropped in (
                    "makes no sense",
                    "on the bus that is not valid",
                ):  # as older gateways say it, and newer
                    assert dropped not in gateway.running.log, gateway.running.log
