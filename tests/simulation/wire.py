"""A client of graphql-transport-ws that hides nothing: one socket to one gateway, and what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.history import State
from tests.simulation.loop import OWNER, Owner
from tests.simulation.sockets import Connection, HandshakeRefused, SocketClosed
from tests.simulation.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.gateway import Gateway
    from tests.simulation.world import World

USER: Final = "{ id name custom version }"
CHANGED: Final = f"subscription($id: ID!) {{ userChanged(id: $id) {USER} }}"
READ: Final = f"query($id: ID!) {{ user(id: $id) {USER} }}"
SET: Final = f"mutation($id: ID!, $input: SetUserInput!) {{ setUser(id: $id, input: $input) {{ user {USER} }} }}"

PASSING: Final = frozenset({"STORE_UNAVAILABLE", "RATE_LIMITED"})
"""Errors that say nothing but that something is away."""


class AnswerLost(Exception):
    """Nobody knows what became of a request: its socket was lost, or its gateway's store."""


class RefusedError(Exception):
    """An operation was answered with errors."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors)
        self.code = errors[0].get("extensions", {}).get("code")


def state_seen(user: dict[str, Any] | None) -> State | None:
    """Return the state that a user in an answer shows."""
    if user is None:
        return None
    return State(int(user["version"]), (user["name"], tuple(sorted(user["custom"].items()))))


class WireClient(Owner):
    """Has a socket while its gateway is there, and opens another one when it is lost."""

    def __init__(self, world: World, gateway: Gateway, name: str) -> None:
        super().__init__()
        self.gateway = gateway
        self._world = world
        self._name = name
        self._connection: Connection | None = None
        self._operations: dict[str, Callable[[str, Any], None]] = {}
        self._last_id = 0
        self._ready = asyncio.Event()
        self.is_slow = False
        token = OWNER.set(self)
        self._task = world.loop.create_task(self._run())
        OWNER.reset(token)

    @property
    def is_sound(self) -> bool:
        """Whether it does not wait for something that cannot come."""
        return self._connection is None or not self._connection.is_silent

    async def close(self) -> None:
        """Close the socket, and open no other."""
        if self._connection is not None:
            self._connection.close()
        self._task.cancel()
        await asyncio.wait([self._task])

    def hurry(self) -> None:
        """Be slow no longer."""
        self.is_slow = False

    def cut(self, *, is_silent: bool) -> None:
        """Cut the socket."""
        if self._connection is not None:
            self._connection.cut(is_silent=is_silent)
            if is_silent:
                # A client that looks finds out sooner than its gateway.
                self._world.loop.call_later(self._world.random.uniform(1, 10), self._connection.abort)

    async def request(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the data of an answer. Raises AnswerLost and RefusedError."""
        answer: asyncio.Future[Any] = self._world.loop.create_future()

        def hear(kind: str, payload: Any) -> None:
            if not answer.done():
                answer.set_result((kind, payload))

        operation_id = await self._begin(document, variables, hear)
        try:
            kind, payload = await answer
        finally:
            self._operations.pop(operation_id, None)
        if kind == "lost":
            raise AnswerLost
        errors = payload if kind == "error" else payload.get("errors")
        if errors:
            raise RefusedError(errors)
        data: dict[str, Any] = payload["data"]
        return data

    async def watch(self, user_id: str, take: Callable[[State | None], None]) -> None:
        """Tell of a user for as long as the socket is there. Raises AnswerLost and RefusedError."""
        ended: asyncio.Future[Any] = self._world.loop.create_future()

        def hear(kind: str, payload: Any) -> None:
            if kind == "next" and not payload.get("errors"):
                take(state_seen(payload["data"]["userChanged"]))
            elif not ended.done():
                ended.set_result((kind, payload))

        operation_id = await self._begin(CHANGED, {"id": user_id}, hear)
        try:
            kind, payload = await ended
        finally:
            if self._operations.pop(operation_id, None) is not None:
                self._say({"id": operation_id, "type": "complete"})
        if kind in ("lost", "complete"):
            raise AnswerLost
        raise RefusedError(payload if kind == "error" else payload["errors"])

    async def _begin(self, document: str, variables: dict[str, Any], hear: Callable[[str, Any], None]) -> str:
        await self._ready.wait()
        self._last_id += 1
        operation_id = str(self._last_id)
        self._operations[operation_id] = hear
        payload = {"query": document, "variables": variables}
        self._say({"id": operation_id, "type": "subscribe", "payload": payload})
        return operation_id

    def _say(self, message: dict[str, Any]) -> None:
        if self._connection is not None:
            with contextlib.suppress(SocketClosed):
                self._connection.say(json.dumps(message))

    async def _run(self) -> None:
        while True:
            self._connection = connection = Connection(self._world, self.gateway, self._name)
            try:
                async with asyncio.timeout(10):
                    await connection.open()
                    connection.say('{"type":"connection_init"}')
                    while json.loads(await connection.hear())["type"] != "connection_ack":
                        pass
                self._ready.set()
                while True:
                    self._take(json.loads(await connection.hear()))
                    if self.is_slow:
                        await asyncio.sleep(self._world.random.random())
            except (TimeoutError, OSError, SocketClosed, HandshakeRefused) as lost:
                self._world.note(f"{self._name} lost its socket to {self.gateway.name}: {lost!r}")
                if isinstance(lost, SocketClosed) and lost.code not in (1001, 1006, 1012, 4408):
                    self._world.fail(f"{self._name} was closed by {self.gateway.name}: {lost!r}")
            finally:
                self._ready.clear()
                self._connection = None
                operations, self._operations = self._operations, {}
                for hear in operations.values():
                    hear("lost", None)
            await asyncio.sleep(0.05 + self._world.random.random() * 0.2)

    def _take(self, message: dict[str, Any]) -> None:
        hear = self._operations.get(message.get("id", ""))
        if message["type"] in ("error", "complete"):
            self._operations.pop(message["id"], None)
        if hear is not None and message["type"] in ("next", "error", "complete"):
            hear(message["type"], message.get("payload"))


class Subscribed(Watching):
    """Watches over a socket of a client."""

    def __init__(self, world: World, client: WireClient, user_id: str) -> None:
        self._client = client
        super().__init__(world, client.gateway, user_id, 0.0)

    async def watch(self) -> None:
        """Subscribe, and be told until the socket is lost."""
        try:
            await self._client.watch(self.user_id, self.see)
        except AnswerLost:
            pass
        except RefusedError as refused:
            if refused.code not in PASSING:
                raise
