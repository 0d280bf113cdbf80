"""Who is connected, seen by a server: users who send requests alone, a gateway that comes late, a bus that is away."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.gateway import RunningGateway
from tests.support.raw_http import raw_connection, raw_post
from tests.support.redis import RedisServer
from tests.support.tokens import SECRET, token_of
from websockets.sync.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.sync.client import ClientConnection

SECONDS = 3.0
PATIENCE = 20.0
ONLINE = "subscription($id: ID!) { userOnlineChanged(id: $id) { user { name } isConnected } }"
WATCH = 'subscription { userChanged(id: "nobody") { id } }'
READ = '{ user(id: "nobody") { id } }'


@contextmanager
def serving(directory: Path, *flags: str) -> Iterator[RunningGateway]:
    flags = ("--presence-seconds", str(SECONDS), *flags)
    gateway = RunningGateway(directory, *flags, env={"USERLINE_SECRET": SECRET})
    try:
        yield gateway
    finally:
        gateway.kill()
    assert "Traceback" not in gateway.log


class Socket:
    """A socket of a user, or of a server if there is none."""

    def __init__(self, connection: ClientConnection, user_id: str | None) -> None:
        self._connection = connection
        self._send({"type": "connection_init", "payload": {"token": token_of(user_id)}})
        assert json.loads(connection.recv(PATIENCE))["type"] == "connection_ack"

    def subscribe(self, query: str, **variables: object) -> None:
        self._send({"id": "1", "type": "subscribe", "payload": {"query": query, "variables": variables}})

    def receive(self) -> Any:
        return json.loads(self._connection.recv(PATIENCE))

    def state(self) -> Any:
        """Return the state in the next message."""
        message = self.receive()
        assert message["type"] == "next", message
        return message["payload"]["data"]["userOnlineChanged"]

    def is_quiet(self, seconds: float) -> bool:
        try:
            self._connection.recv(seconds)
        except TimeoutError:
            return True
        return False

    def _send(self, message: object) -> None:
        self._connection.send(json.dumps(message))


@contextmanager
def opened(gateway: RunningGateway, user_id: str | None) -> Iterator[Socket]:
    with connect(gateway.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as connection:
        yield Socket(connection, user_id)


@contextmanager
def online(gateway: RunningGateway, user_id: str) -> Iterator[Socket]:
    """Watch a user's presence as a server does, who is nobody."""
    with opened(gateway, None) as socket:
        socket.subscribe(ONLINE, id=user_id)
        yield socket


HERE = {"user": None, "isConnected": True}
AWAY = {"user": None, "isConnected": False}


@pytest.mark.parametrize(("flags", "by_the_lane"), [((), 1), (("--no-fast-lane", "--no-plans"), 0)])
def test_requests_alone_connect_for_a_while(tmp_path: Path, flags: tuple[str, ...], by_the_lane: int) -> None:
    request = raw_post(json.dumps({"query": READ}).encode(), b"Authorization: Bearer " + token_of("ann").encode())
    with serving(tmp_path, *flags) as gateway, online(gateway, "ann") as watching:
        assert watching.state() == AWAY
        for _ in range(2):
            with raw_connection(gateway) as connection:
                assert connection.ask(request).status == 200
            assert watching.state() == HERE
            assert watching.state() == AWAY
        assert gateway.metric("userline_fast_lane_requests_total") == by_the_lane


def test_a_bad_id_is_refused_as_everywhere(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway, opened(gateway, None) as socket:
        socket.subscribe(ONLINE, id="")
        message = socket.receive()
        assert message["type"] == "next"
        assert message["payload"]["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": "id"}


def test_a_gateway_that_comes_late_knows_soon_and_without_a_bus_what_was_known_runs_out(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    try:
        with ExitStack() as stack:
            there = stack.enter_context(serving(tmp_path, "--bus-url", redis.url))
            stack.enter_context(opened(there, "ann")).subscribe(WATCH)
            late = stack.enter_context(serving(tmp_path, "--bus-url", redis.url))
            time.sleep(SECONDS / 2)
            watching = stack.enter_context(online(late, "ann"))
            assert watching.state() == HERE
            assert watching.is_quiet(SECONDS)
            redis.kill()
            killed_at = time.monotonic()
            assert watching.state() == AWAY
            assert SECONDS / 2 < time.monotonic() - killed_at < SECONDS + 2
            redis.start()
            assert watching.state() == HERE
            assert watching.is_quiet(2 * SECONDS)
    finally:
        redis.kill()
