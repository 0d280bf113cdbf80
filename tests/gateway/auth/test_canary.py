"""No token is ever written to a log, whatever is logged, and whatever becomes of it."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.clients.wire import TRANSPORT, Wire, new_id
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, bad_tokens, token_of
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_token_is_logged(tmp_path: Path, log_format: str) -> None:
    gateway = RunningGateway(
        tmp_path,
        *("--log-level", "debug", "--log-format", log_format, "--bad-tokens-per-second", "0"),
        env={"USERLINE_SECRET": SECRET},
    )
    good = token_of(new_id("canary"))
    used = [good, *(token for token in bad_tokens().values() if len(token) > 40)]
    for token in used:
        header = {"authorization": f"Bearer {token}"}
        gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers=header)
        gateway.http.post("/graphql", content=b"{", headers=header)
        gateway.http.get("/graphql", params={"query": "{", "token": token}, headers=header)
        gateway.http.get(f"/v1/userline/users/{token[:200]}?token={token}", headers=header)
        url = f"{gateway.websocket_url}?token={token[:4000]}"
        for payload in ({"token": token}, {"Authorization": f"Bearer {token}"}, {"token": good}):
            with connect(url, subprotocols=[Subprotocol(TRANSPORT)], proxy=None) as connection:
                wire = Wire(connection)
                with suppress(ConnectionClosed):  # it may be closed before the last message is sent
                    wire.send({"type": "connection_init", "payload": payload})
                    wire.send({"type": "ping", "payload": {"token": token}})
                    wire.send({"type": token[:100]})
                wire.closed()
        with pytest.raises(InvalidStatus):
            connect(url, origin=Origin("https://mallory.example"), proxy=None)
    assert gateway.stop() == 0
    log = re.sub(r"\S*/v1/userline/users/\S+", "", gateway.log)  # an address is logged, and so is who puts one there
    assert "POST /graphql 200" in log
    assert "A token was refused" in log
    assert SECRET not in log
    for token in used:
        for part in token.split("."):
            at = log.find(part) if len(part) >= 12 else -1
            assert at < 0, log[max(at - 300, 0) : at + 20]
