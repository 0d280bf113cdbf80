"""Watching users through real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANGED = "subscription($id: ID!) { userChanged(id: $id) { name } }"
ONLINE = "subscription($id: ID!) { userOnlineChanged(id: $id) { isConnected } }"


class Watching:
    """One socket with a subscription for each of some users. ``seen`` has the names of each user, in order of arrival,
    or with ``ONLINE`` whether the user was connected.

    Made by ``await Watching.start(url, user_ids)``, which returns when each has had its first event.
    """

    def __init__(self, socket: ClientConnection, user_ids: list[str]) -> None:
        self._socket = socket
        self.seen: dict[str, list[Any]] = {user_id: [] for user_id in user_ids}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, url: str, user_ids: Iterable[str], *, token: str | None = None, query: str = CHANGED
    ) -> Watching:
        socket = await connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], open_timeout=30)
        payload: dict[str, Any] = {} if token is None else {"Authorization": f"Bearer {token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        watching = cls(socket, list(user_ids))
        for user_id in watching.seen:
            payload = {"query": query, "variables": {"id": user_id}}
            await socket.send(json.dumps({"id": user_id, "type": "subscribe", "payload": payload}))
        return watching

    def last(self, user_id: str) -> Any:
        """Return what was seen last."""
        return self.seen[user_id][-1] if self.seen[user_id] else None

    @property
    def closed(self) -> bool:
        return self._reader.done()

    async def stop(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        async for text in self._socket:
            message: dict[str, Any] = json.loads(text)
            if message["type"] == "next":
                (told,) = message["payload"]["data"].values()
                self.seen[message["id"]].append(told and told.get("name", told.get("isConnected")))
            else:
                assert message["type"] in ("ping", "pong"), message
