"""A gateway of the runner's own: it does what a gateway does, and misbehaves when a case says so."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from clients.conformance.ends import End, refusal
from tests.support.answers import unset_in_answers
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from ssl import SSLContext

__all__ = ["End", "Gateway", "refusal", "scripted_gateway"]

Message = dict[str, Any]
User = dict[str, Any]

_PATIENCE = 5.0
_SILENT = logging.getLogger("userline.conformance.gateway")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class Gateway:
    """Keeps users, tells of their changes, and answers as a gateway does, unless a case says otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.users: dict[str, User] = {}
        self.online: set[str] = set()
        self.sockets: list[End] = []
        """Those whose handshake was done."""
        self.connections: list[End] = []
        """Those of TCP, whatever became of them."""
        self.limits: Any = {"messageBytes": 1_048_576, "subscriptions": 1000, "watchedUsers": 5000}
        """What ``connection_ack`` tells; None: nothing."""
        self.door: str | int | tuple[int, str] = "open"
        """What who connects meets.

        ``open``; ``closed`` (nobody is there); ``silent`` (no answer ever); an HTTP status at the handshake; a close
        code and a reason after ``connection_init``.
        """
        self.hook: Callable[[End, Message], bool] | None = None
        """Takes a message in the place of the gateway if it returns True."""
        self.refuse_token: Callable[[str | None], tuple[int, str] | None] | None = None
        """Returns the close code and the reason for a token that is not good."""
        self.is_deaf = False
        """Whether all that comes is ignored."""
        self.is_telling = True
        """Whether changes are told to those who watch."""
        self.activity = 0
        """Grows with all that happens here."""
        self._handshaking: set[End] = set()
        self._versions = itertools.count(1_700_000_000_001)

    # Sockets

    def accepted(self, end: End) -> None:
        """Note a connection of TCP."""
        self.activity += 1
        self.connections.append(end)
        if self.door != "silent":
            self._handshaking.add(end)

    def closed(self, end: End) -> None:
        """Note that a connection is over."""
        self.activity += 1
        self._handshaking.discard(end)

    async def serve(self, end: End) -> None:
        """Take what comes over a socket."""
        self.activity += 1
        self._handshaking.discard(end)
        self.sockets.append(end)
        with contextlib.suppress(ConnectionClosed):
            async for text in end:
                self.activity += 1
                self._receive(end, json.loads(text))

    @property
    def is_at_work(self) -> bool:
        """Whether handshakes are under way."""
        return bool(self._handshaking)

    @property
    def socket(self) -> End:
        """The newest one."""
        return self.sockets[-1]

    @property
    def live(self) -> list[End]:
        """Those that are let in and not closed."""
        return [end for end in self.sockets if end.is_acknowledged and not end.is_closed]

    @property
    def subscribed(self) -> list[Message]:
        """All ``subscribe`` messages."""
        return [message for end in self.sockets for message in end.subscribed]

    @property
    def watched(self) -> list[list[str]]:
        """The ids of each ``usersChanged`` that was asked for."""
        ids = [message["payload"]["variables"].get("ids") for message in self.subscribed]
        return [each for each in ids if each is not None]

    def cut(self, code: int | None = None, reason: str = "") -> None:
        """Cut all sockets, or close them with a code."""
        for end in self.sockets:
            if end.is_closed:
                continue
            if code is None:
                end.cut()
            else:
                end.end(code, reason)

    async def barrier(self) -> None:
        """Return when all handshakes are done and nothing is under way on any socket."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self._handshaking:  # noqa: ASYNC110 - a handshake may end in many ways
                    await asyncio.sleep(0.001)
        await asyncio.gather(*(end.barrier() for end in self.sockets if not end.is_closed))
        for _ in range(5):
            await asyncio.sleep(0)

    def answer_by(self, answer: Callable[[End, str], None]) -> None:
        """Let this answer operations in the place of the gateway; it is given the socket, and the operation's id."""

        def hook(end: End, message: Message) -> bool:
            if message["type"] == "subscribe":
                answer(end, message["id"])
            return bool(message["type"] == "subscribe")

        self.hook = hook

    # Users

    def put(self, user_id: str, **fields: Any) -> User:
        """Put a user there, as it stands in an answer, and tell nobody."""
        user = {
            "id": user_id,
            "version": str(next(self._versions)),
            "name": user_id,
            **unset_in_answers(),
            **fields,
        }
        self.users[user_id] = user
        return user

    def set(self, user_id: str, **fields: Any) -> User:
        """Change a user, and tell those who watch it."""
        before = self.users.get(user_id, {})
        custom = {**before.get("custom", {}), **(fields.get("custom") or {})}
        changed = {**before, **fields, "custom": {key: value for key, value in custom.items() if value is not None}}
        changed.pop("version", None)
        changed.pop("id", None)
        user = self.put(user_id, **changed)
        self.changed([user_id])
        return user

    def delete(self, user_id: str) -> bool:
        """Delete a user, and tell those who watch it."""
        was_there = self.users.pop(user_id, None) is not None
        if was_there:
            self.changed([user_id])
        return was_there

    def changed(self, user_ids: Iterable[str]) -> None:
        """Tell those who watch these users what they are now."""
        if not self.is_telling:
            return
        for end in self.live:
            for operation, watched in list(end.operations.items()):
                if isinstance(watched, str):
                    if watched in user_ids:
                        self._tell_online(end, operation, watched)
                    continue
                entries = [self.entry(user_id) for user_id in user_ids if user_id in watched]
                if entries:
                    end.next(operation, {"usersChanged": entries})

    def set_online(self, user_id: str, *, is_connected: bool) -> None:
        """Say whether somebody is connected, and tell those who watch that."""
        (self.online.add if is_connected else self.online.discard)(user_id)
        for end in self.live:
            for operation, watched in list(end.operations.items()):
                if watched == user_id:
                    self._tell_online(end, operation, user_id)

    def entry(self, user_id: str) -> Message:
        """Return what an event says of a user."""
        return {"id": user_id, "user": self.users.get(user_id)}

    def _tell_online(self, end: End, operation: str, user_id: str) -> None:
        told = {"user": self.users.get(user_id), "isConnected": user_id in self.online}
        end.next(operation, {"userOnlineChanged": told})

    # What comes

    def _receive(self, end: End, message: Message) -> None:
        end.received.append(message)
        if self.is_deaf or (self.hook is not None and self.hook(end, message)):
            return
        payload = message.get("payload") or {}
        match message["type"]:
            case "connection_init":
                end.token = _token_in(payload)
                refused = self.door if isinstance(self.door, tuple) else None
                if refused is None and self.refuse_token is not None:
                    refused = self.refuse_token(end.token)
                if refused is None:
                    end.acknowledge()
                else:
                    end.end(*refused)
            case "ping":
                if payload:
                    end.token = _token_in(payload)
                end.tell({"type": "pong"})
            case "complete":
                end.operations.pop(message["id"], None)
            case "subscribe":
                self.run(end, message["id"], payload)

    def run(self, end: End, operation: str, payload: Message) -> None:
        """Answer an operation as a gateway does."""
        query, variables = payload["query"], payload["variables"]
        user_id = variables.get("id", "")
        if "usersChanged" in query:
            end.operations[operation] = set(variables["ids"])
            end.next(operation, {"usersChanged": [self.entry(each) for each in dict.fromkeys(variables["ids"])]})
            return
        if "userOnlineChanged" in query:
            end.operations[operation] = user_id
            self._tell_online(end, operation, user_id)
            return
        was_there = user_id in self.users
        if "setUser" in query:
            user = self.set(user_id, **variables["input"])
            end.next(operation, {"setUser": {"user": user, "created": not was_there, "changed": True}})
        elif "createUserIfNotExists" in query:
            user = self.users[user_id] if was_there else self.set(user_id, **variables["input"])
            end.next(operation, {"createUserIfNotExists": {"user": user, "created": not was_there}})
        elif "deleteUser" in query:
            end.next(operation, {"deleteUser": {"deleted": self.delete(user_id)}})
        else:
            roles = [{"name": "default", "settings": {"can": ["read"]}}, {"name": "admin", "settings": {}}]
            end.next(operation, {"app": {"id": "test", "defaultLocale": "en", "roles": roles}})
        end.complete(operation)


def _token_in(payload: Message) -> str | None:
    authorization = payload.get("Authorization")
    return None if authorization is None else authorization.removeprefix("Bearer ")


@asynccontextmanager
async def scripted_gateway(tls: SSLContext | None = None) -> AsyncIterator[Gateway]:
    """Start a gateway, with TLS if there is a context for it, and stop it on the way out."""
    gateway = Gateway()

    def make(*given: Any, **options: Any) -> End:
        end = End(*given, **options)
        end.gateway = gateway
        return end

    def look_at_the_door(end: ServerConnection, _: object) -> Any:
        return end.respond(HTTPStatus(gateway.door), "") if isinstance(gateway.door, int) else None

    async with serve(
        gateway.serve,  # type: ignore[arg-type] # all ends are made by `make`
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        create_connection=make,  # type: ignore[arg-type] # any function that makes one will do
        process_request=look_at_the_door,
        compression=None,
        max_size=None,
        ping_interval=None,
        close_timeout=1,
        logger=_SILENT,
        ssl=tls,
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        gateway.url = f"{'ws' if tls is None else 'wss'}://127.0.0.1:{port}/graphql"
        try:
            yield gateway
        finally:
            for end in gateway.connections:
                end.transport.abort()
