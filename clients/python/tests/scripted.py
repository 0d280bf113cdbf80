"""A gateway that says what a test wants it to say, when it wants it: what a real one does only now and then."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from ssl import SSLContext

PATIENCE = 20.0


_versions = itertools.count(1_000)


def user(user_id: str, name: str, version: int | None = None) -> dict[str, Any]:
    """Return a user as it stands in an answer; without a version, it is a newer one than any before."""
    fields: dict[str, Any] = {
        "version": str(next(_versions) if version is None else version),
        "custom": {},
        "locale": None,
        "effectiveLocale": "en",
        "photoUrl": None,
        "role": "default",
        "welcomeMessage": None,
    }
    return {"id": user_id, "name": name, **fields}


class ScriptedGateway:
    """Acknowledges every socket, unless ``refusal`` is set, and leaves the rest to the test."""

    def __init__(self) -> None:
        self.url = ""
        self.sockets = 0
        self.payloads: list[Any] = []
        """Those of the ``connection_init`` messages."""
        self.refusal: tuple[int, str] | None = None
        """Close code and reason for sockets that say ``connection_init``."""
        self.limits: dict[str, int] | None = None
        """What is told in ``connection_ack``."""
        self.most_bytes = 2**20
        """A message may not be larger."""
        self._open: set[ServerConnection] = set()
        self._socket: ServerConnection | None = None
        self._socket_of: dict[int, ServerConnection] = {}
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def serve(self, socket: ServerConnection) -> None:
        """Take what a client says."""
        self.sockets += 1
        self._socket = socket
        self._open.add(socket)
        try:
            await self._listen(socket)
        finally:
            self._open.discard(socket)

    async def _listen(self, socket: ServerConnection) -> None:
        async for text in socket:
            assert len(text.encode() if isinstance(text, str) else text) <= self.most_bytes
            message = json.loads(text)
            if message["type"] != "connection_init":
                self._socket_of[id(message)] = socket
                self._inbox.put_nowait(message)
                continue
            self.payloads.append(message.get("payload"))
            if self.refusal is not None:
                await socket.close(*self.refusal)
            elif self.limits is None:
                await socket.send('{"type":"connection_ack"}')
            else:
                await socket.send(json.dumps({"type": "connection_ack", "payload": {"limits": self.limits}}))

    async def expect(self, kind: str, operation: str = "") -> dict[str, Any]:
        """Return the next message, which must be of this type, and for ``subscribe`` of this operation."""
        message = await self.expect_any()
        assert message["type"] == kind, message
        assert operation in message.get("payload", {}).get("query", ""), message
        return message

    async def expect_any(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(PATIENCE):
            return await self._inbox.get()

    @property
    def is_silent(self) -> bool:
        """Whether the client has said nothing that was not expected."""
        return self._inbox.empty()

    async def say(self, kind: str, **rest: object) -> None:
        """Send a message over the newest socket."""
        await self.say_raw(json.dumps({"type": kind, **rest}))

    async def say_raw(self, text: str) -> None:
        """Send any text."""
        assert self._socket is not None
        await self._socket.send(text)

    async def answer(self, request: dict[str, Any], **data: object) -> None:
        """Send a result, and for all but subscriptions its end."""
        await self.say("next", id=request["id"], payload={"data": data})
        if "subscription" not in request["payload"]["query"]:
            await self.say("complete", id=request["id"])

    async def expect_watch(self, *user_ids: str) -> dict[str, Any]:
        """Return the next message, which must watch these users, if any are given."""
        message = await self.expect("subscribe", "usersChanged")
        assert not user_ids or message["payload"]["variables"]["ids"] == list(user_ids), message
        return message

    def watched_over_sockets(self, watches: list[dict[str, Any]]) -> list[int]:
        """How many users these operations watch over each socket."""
        sockets = [self._socket_of[id(watch)] for watch in watches]
        counts = dict.fromkeys(sockets, 0)
        for socket, watch in zip(sockets, watches, strict=True):
            counts[socket] += len(watch["payload"]["variables"]["ids"])
        return list(counts.values())

    async def tell(self, watch: dict[str, Any], *users: dict[str, Any] | str) -> None:
        """Send an event about users; a string is the id of one that there is not. Without any: that there are none."""
        told = users or watch["payload"]["variables"]["ids"]
        entries = [
            {"id": each, "user": None} if isinstance(each, str) else {"id": each["id"], "user": each} for each in told
        ]
        await self.tell_raw(watch, {"usersChanged": entries})

    async def tell_raw(self, watch: dict[str, Any], data: dict[str, Any]) -> None:
        """Send any event, over the socket of its subscription."""
        message = {"type": "next", "id": watch["id"], "payload": {"data": data}}
        await self._socket_of[id(watch)].send(json.dumps(message))

    async def refuse(self, request: dict[str, Any], code: str, **extensions: object) -> None:
        """End an operation with an error."""
        error = {"message": "No.", "extensions": {"code": code, **extensions}}
        await self.say("error", id=request["id"], payload=[error])

    async def refuse_as_result(self, request: dict[str, Any], code: str, **extensions: object) -> None:
        """End a subscription that cannot begin, as the reference server does."""
        error = {"message": "No.", "path": ["usersChanged"], "extensions": {"code": code, **extensions}}
        await self.say("next", id=request["id"], payload={"data": None, "errors": [error]})
        await self.say("complete", id=request["id"])

    async def close(self, code: int, reason: str = "") -> None:
        """Close the newest socket."""
        assert self._socket is not None
        await self._socket.close(code, reason)

    async def close_all(self, code: int, reason: str) -> None:
        """Close every socket."""
        await asyncio.gather(*(socket.close(code, reason) for socket in list(self._open)))

    def cut(self) -> None:
        """Cut the newest socket."""
        assert self._socket is not None
        self._socket.transport.abort()


@asynccontextmanager
async def scripted_gateway(tls: SSLContext | None = None) -> AsyncIterator[ScriptedGateway]:
    """Start one, with TLS if there is a context for it, and stop it on the way out."""
    gateway = ScriptedGateway()
    subprotocols = [Subprotocol("graphql-transport-ws")]
    async with serve(gateway.serve, "127.0.0.1", 0, subprotocols=subprotocols, close_timeout=1, ssl=tls) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        gateway.url = f"{'ws' if tls is None else 'wss'}://127.0.0.1:{port}/graphql"
        yield gateway
