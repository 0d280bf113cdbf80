"""What bounds subscriptions over plain HTTP: how many there may be, and clients that do not read."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from userline.gateway.websocket.protocol import CloseCode
from userline.server.stuck import STUCK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SSE = "text/event-stream"
TRANSPORT = "graphql-transport-ws"
MULTIPART = "multipart/mixed;subscriptionSpec=1.0"
COPIES = 20
BODY = json.dumps(
    {"query": f'subscription {{ userChanged(id: "s") {{ {" ".join(f"a{each}: custom" for each in range(COPIES))} }} }}'}
).encode()
"""An event is many times as large as the user in it, so that a few writes are more than buffers hold."""

BACK_END = {"authorization": f"Bearer {token_of(None)}"}
MORE_THAN_BUFFERS_HOLD = 10

framings = pytest.mark.parametrize("accept", [SSE, MULTIPART], ids=["sse", "multipart"])


@contextmanager
def stream(gateway: RunningGateway, token: str, accept: str = SSE) -> Iterator[socket.socket]:
    """Subscribe by a connection that reads only when it is told to, and takes little at once."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(20)
        made.connect(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept: {accept}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        made.sendall(head.encode() + BODY)
        assert made.recv(100).startswith(b"HTTP/1.1 200 ")
        yield made


def open_socket(gateway: RunningGateway) -> ClientConnection:
    return connect(gateway.websocket_url, subprotocols=[Subprotocol(TRANSPORT)], proxy=None, legacy=True)


def write(gateway: RunningGateway, times: int = 1) -> None:
    """Change the watched user to one of about 50 KB, some times."""
    for number in range(times):
        patch = {"name": "S", "custom": {f"key {key}": f"{number} " + "a" * 500 for key in range(100)}}
        assert gateway.http.put("/v1/userline/users/s", json=patch, headers=BACK_END).status_code == 200


def stuck_clients(gateway: RunningGateway) -> float:
    match = re.search(r'^userline_reaped\S*\{reason="stuck"\} (\S+)$', gateway.http.get("/metrics").text, re.MULTILINE)
    return float(match[1]) if match else 0.0


def seconds_until_no_stream(gateway: RunningGateway) -> float:
    started = time.time()
    while gateway.metric("userline_streams"):
        assert time.time() - started < STUCK_SECONDS * 2, "it is still there"
        time.sleep(0.05)
    return time.time() - started


@contextmanager
def narrow(directory: Path, *flags: str) -> Iterator[RunningGateway]:
    gateway = RunningGateway(directory, "--no-access-log", *flags, env={"USERLINE_SECRET": SECRET})
    try:
        write(gateway)
        yield gateway
    finally:
        assert gateway.stop() == 0
    assert "Traceback" not in gateway.log
    assert "without completing response" not in gateway.log


@framings
def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path, accept: str) -> None:
    with narrow(tmp_path) as gateway, stream(gateway, token_of("alice"), accept):
        write(gateway, MORE_THAN_BUFFERS_HOLD)
        assert gateway.metric("userline_streams") == gateway.metric("userline_watchers") == 1
        assert seconds_until_no_stream(gateway) < STUCK_SECONDS + 3
        assert gateway.metric("userline_watchers") == 0
        assert stuck_clients(gateway) == 1


@framings
def test_a_client_that_does_not_read_is_gone_when_its_token_has_expired(tmp_path: Path, accept: str) -> None:
    with narrow(tmp_path) as gateway:
        for seconds in (5, 9, 9):  # less than a client has whose token is good
            expires_at = int(time.time()) + seconds
            with stream(gateway, token_of("alice", exp=expires_at), accept):
                write(gateway, MORE_THAN_BUFFERS_HOLD)
                is_stuck = gateway.metric("userline_streams") == 1
                if time.time() >= expires_at:  # the machine was busy, and it is not known which came first
                    seconds_until_no_stream(gateway)
                    continue
                assert is_stuck
                time.sleep(expires_at - time.time())
                assert seconds_until_no_stream(gateway) < 3
                assert gateway.metric("userline_watchers") == 0
                assert stuck_clients(gateway) == 0, "it was not given the time of a client whose token is good"
                return
        raise AssertionError("The machine is too busy for this test.")


def test_a_client_that_does_not_read_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with narrow(tmp_path) as gateway, stream(gateway, token_of("alice")):
        write(gateway, MORE_THAN_BUFFERS_HOLD)
        gateway.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        gateway.process.wait(30)
        assert time.monotonic() - started < 5


def test_sockets_and_streams_have_one_limit(tmp_path: Path) -> None:
    with narrow(tmp_path, "--max-sockets", "2") as gateway, ExitStack() as stack:
        stack.enter_context(stream(gateway, token_of("alice")))
        held = open_socket(gateway)
        asked = {"authorization": f"Bearer {token_of('bob')}", "accept": SSE, "content-type": "application/json"}
        refused = gateway.http.post("/graphql", content=BODY, headers=asked)
        assert refused.status_code == 429
        assert refused.json()["errors"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfterSeconds": 5}
        assert refused.headers["retry-after"] == "5"
        held.close()
        while gateway.metric("userline_sockets"):
            time.sleep(0.05)
        stack.enter_context(stream(gateway, token_of("bob")))
        with pytest.raises(ConnectionClosed) as caught:
            open_socket(gateway).recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == CloseCode.TRY_AGAIN_LATER
