"""What a client may send over a socket before it has said who it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway
    from websockets.sync.client import ClientConnection

PROTOCOLS = ["graphql-transport-ws", "graphql-ws"]
HARMLESS = {
    "graphql-transport-ws": [{"type": "ping"}, {"type": "pong"}, {"type": "complete", "id": "1"}],
    "graphql-ws": [{"type": "stop", "id": "1"}],
}
"""Messages that ask for nothing."""
CASES = [(protocol, message) for protocol in PROTOCOLS for message in HARMLESS[protocol]]
INIT = '{"type":"connection_init"}'


def opened(gateway: RunningGateway, protocol: str) -> ClientConnection:
    return connect(gateway.websocket_url, subprotocols=[Subprotocol(protocol)])


def answers_to(client: ClientConnection, text: str) -> str:
    """Send a message, and return what comes next that is no answer to a ping."""
    client.send(text)
    while True:
        answer = str(client.recv(5))
        if json.loads(answer)["type"] not in ("pong", "ka"):
            return answer


@pytest.mark.parametrize(("protocol", "message"), CASES)
def test_some_messages_first_are_fine(gateway: RunningGateway, protocol: str, message: dict[str, str]) -> None:
    with opened(gateway, protocol) as client:
        for _ in range(99):
            client.send(json.dumps(message))
        assert '"type":"connection_ack"' in answers_to(client, INIT)
        for _ in range(200):
            client.send(json.dumps(message))
        kind = "subscribe" if protocol == "graphql-transport-ws" else "start"
        operation = {"id": "1", "type": kind, "payload": {"query": "{ app { id } }"}}
        assert '"id":"userline"' in answers_to(client, json.dumps(operation))


@pytest.mark.parametrize(("protocol", "message"), CASES)
@pytest.mark.parametrize("last", ["one more", INIT])
def test_too_many_first_are_closed(gateway: RunningGateway, protocol: str, message: dict[str, str], last: str) -> None:
    with opened(gateway, protocol) as client:
        for _ in range(100):
            client.send(json.dumps(message))
        client.send(INIT if last == INIT else json.dumps(message))
        with pytest.raises(ConnectionClosed) as closed:
            answers_to(client, json.dumps(message))
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 4430
    assert closed.value.rcvd.reason == "More than 100 messages or 65536 characters before connection_init"


@pytest.mark.parametrize("kind", ["ping", "pong"])
def test_too_much_first_is_closed(gateway: RunningGateway, kind: str) -> None:
    with opened(gateway, "graphql-transport-ws") as client:
        message = json.dumps({"type": kind, "payload": {"a": "b" * 33_000}})
        client.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            answers_to(client, message)
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 4430
