"""A client that has stopped reading is gone as soon after its token has expired as one that reads."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.fuzz import frame
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from pathlib import Path

# What must hold is a second; a default run may share the machine.
MOST_SECONDS = 1.0 if os.environ.get("USERLINE_TEST_LONG") == "1" else 4.0
UPGRADE = (
    b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
WATCH = {"id": "1", "type": "subscribe", "payload": {"query": 'subscription { userChanged(id: "s") { custom } }'}}


def write(gateway: RunningGateway, number: int) -> None:
    """Change the watched user to one of about 50 KB."""
    patch = {"name": "S", "custom": {f"key {key}": f"{number} " + "a" * 500 for key in range(100)}}
    back_end = {"authorization": f"Bearer {token_of(None)}"}
    assert gateway.http.put("/v1/userline/users/s", json=patch, headers=back_end).status_code == 200


@pytest.mark.parametrize("writes", [3, 150], ids=["what was sent is on its way", "the gateway waits to send more"])
def test_a_client_that_does_not_read_is_gone_when_its_token_has_expired(tmp_path: Path, writes: int) -> None:
    gateway = RunningGateway(tmp_path, "--ping-seconds", "0", "--no-access-log", env={"USERLINE_SECRET": SECRET})
    try:
        write(gateway, 0)
        before = gateway.metric("process_open_fds")
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.settimeout(20)
            stuck.connect(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
            stuck.sendall(UPGRADE)
            assert stuck.recv(4096).startswith(b"HTTP/1.1 101 ")
            expires_at = int(time.time()) + (15 if writes > 10 else 5)
            token = token_of("alice", exp=expires_at)
            stuck.sendall(frame(1, json.dumps({"type": "connection_init", "payload": {"token": token}}).encode()))
            assert b"connection_ack" in stuck.recv(4096)
            stuck.sendall(frame(1, json.dumps(WATCH).encode()))
            for number in range(1, writes + 1):
                write(gateway, number)
            assert time.time() < expires_at, "the machine is too busy for this test"
            assert gateway.metric("userline_sockets") == 1
            assert gateway.metric("process_open_fds") == before + 1
            time.sleep(expires_at - time.time())
            while gateway.metric("userline_sockets") or gateway.metric("process_open_fds") > before:
                assert time.time() - expires_at < MOST_SECONDS, "it is still there"
                time.sleep(0.05)
    finally:
        assert gateway.stop() == 0
    assert "Traceback" not in gateway.log
