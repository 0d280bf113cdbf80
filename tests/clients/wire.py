"""GraphQL over a WebSocket, message by message: what a client's own code would otherwise hide."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from websockets.sync.client import ClientConnection

    from tests.support.gateway import RunningGateway

Message: TypeAlias = "dict[str, Any]"

TRANSPORT = "graphql-transport-ws"
LEGACY = "graphql-ws"
PATIENCE = 30.0

WATCH = "subscription($id: ID!) { userChanged(id: $id) { id name custom } }"


def new_id(name: str) -> str:
    """Return a user id that no other test has."""
    return f"{name}-{uuid.uuid4().hex[:12]}"


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds; fail if it does not in ``PATIENCE`` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.02)


def becomes_quiet(gateway: RunningGateway) -> None:
    """Wait until the gateway has no watcher and no socket left."""
    names = ("userline_watchers", "userline_sockets")
    eventually(lambda: not any(gateway.metric(name) for name in names), f"{' and '.join(names)} are 0")


@contextmanager
def nothing_left_behind(gateway: RunningGateway) -> Iterator[None]:
    """Check that what happens inside leaves no watcher and no socket behind."""
    becomes_quiet(gateway)
    yield
    becomes_quiet(gateway)


class Wire:
    """An open socket in one of the two subprotocols."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.legacy = connection.subprotocol == LEGACY
        self._ids = itertools.count(1)

    def send(self, message: object) -> None:
        self.connection.send(json.dumps(message))

    def receive(self) -> Message:
        """Return the next message, keep-alives left out."""
        while True:
            message = json.loads(self.connection.recv(PATIENCE))
            assert isinstance(message, dict)
            if message != {"type": "ka"}:
                return message

    def init(self) -> Message:
        """Say who this is, and return what the gateway says to that."""
        self.send({"type": "connection_init"})
        acknowledgement = self.receive()
        assert acknowledgement.pop("type") == "connection_ack"
        assert list(acknowledgement) == ([] if self.legacy else ["payload"])
        return acknowledgement

    def start(
        self, query: str, variables: dict[str, Any] | None = None, operation_id: str | None = None, **more: Any
    ) -> str:
        """Start an operation and return its id."""
        operation_id = operation_id or f"operation {next(self._ids)}"
        payload = {"query": query, "variables": variables, **more}
        self.send({"id": operation_id, "type": "start" if self.legacy else "subscribe", "payload": payload})
        return operation_id

    def watch(self, user_id: str, operation_id: str | None = None) -> str:
        return self.start(WATCH, {"id": user_id}, operation_id)

    def stop(self, operation_id: str) -> None:
        self.send({"id": operation_id, "type": "stop" if self.legacy else "complete"})

    def expect(self, operation_id: str) -> Any:
        """Return the payload of the next message, which must be a result of this operation."""
        message = self.receive()
        assert (message["type"], message["id"]) == ("data" if self.legacy else "next", operation_id), message
        return message["payload"]

    def event(self, operation_id: str) -> Any:
        """Return the user in the next message, which must be an event of this ``WATCH``."""
        payload = self.expect(operation_id)
        assert "errors" not in payload, payload
        return payload["data"]["userChanged"]

    def expect_complete(self, operation_id: str) -> None:
        assert self.receive() == {"id": operation_id, "type": "complete"}

    def is_alive(self) -> bool:
        """Whether an operation still gets its answer, and the answer is the next message."""
        operation_id = self.start("{ app { id } }")
        alive: bool = self.expect(operation_id) == {"data": {"app": {"id": "userline"}}}
        self.expect_complete(operation_id)
        return alive

    def closed(self) -> tuple[int, str]:
        """Wait for the gateway to close the socket, and return its code and reason."""
        deadline = time.monotonic() + PATIENCE
        with suppress(ConnectionClosed):
            while True:
                self.connection.recv(deadline - time.monotonic())
        close = self.connection.protocol.close_rcvd
        assert close is not None, "the connection was lost"
        assert len(close.reason.encode()) <= 123
        return close.code, close.reason

    def tear(self) -> None:
        """End the TCP connection without a word of goodbye, whatever is still on its way."""
        self.connection.close_socket()


@contextmanager
def open_wire(
    gateway: RunningGateway,
    *offered: str,
    init: bool = True,
    max_queue: int | None = 16,
    close_timeout: float = PATIENCE,
) -> Iterator[Wire]:
    """Open a socket, offering these subprotocols, with ``connection_init`` done unless told otherwise."""
    subprotocols = [Subprotocol(name) for name in offered] or None
    with connect(
        gateway.websocket_url, subprotocols=subprotocols, proxy=None, close_timeout=close_timeout, max_queue=max_queue
    ) as connection:
        wire = Wire(connection)
        if init:
            wire.init()
        yield wire
