"""Rate limits, and limits of sockets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.clients.wire import TRANSPORT, Wire, open_wire
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from userline.gateway.rate_limit import RateLimiter, key_of
from userline.gateway.websocket.protocol import CloseCode
from userline.settings.settings import load_settings
from userline.users.viewer import OPEN_VIEWER, Viewer, ViewerKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_again() -> None:
    clock = Clock()
    limiter = RateLimiter(2, 3, clock=clock)
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limiter.take("b") == 0
    clock.now += 0.5
    assert [limiter.take("a"), limiter.take("a")] == [0, 0.5]
    clock.now += 1000
    assert limiter.take("a", 3) == 0
    assert limiter.take("a", 50) == 1.5
    assert limiter.refusals == 0
    assert limiter.refusal(1.5).seconds == 2
    assert limiter.refusals == 1, "who was told to wait is counted"


def test_nobody_is_limited_without_a_rate_or_a_key() -> None:
    assert [RateLimiter(0, 1).take("a") for _ in range(5)] == [0] * 5
    limiter = RateLimiter(1, 1)
    assert [limiter.take(None) for _ in range(5)] == [0] * 5
    assert len(limiter) == 0


def test_buckets_are_bounded() -> None:
    limiter = RateLimiter(1, 1, capacity=10)
    for number in range(100):
        limiter.take(str(number))
    assert len(limiter) == 10


def test_whose_bucket_it_is() -> None:
    scope = {"client": ("10.0.0.1", 5)}
    assert key_of(OPEN_VIEWER, scope) == "address 10.0.0.1"
    assert key_of(OPEN_VIEWER, {}) == "address unknown"
    assert key_of(Viewer(ViewerKind.USER, "alice", 5.0), scope) == "user alice"
    assert key_of(Viewer(ViewerKind.APP), scope) is None


@pytest.mark.usefixtures("no_settings")
def test_the_default_is_for_gateways_with_tokens() -> None:
    assert load_settings().rate_limit_per_second == 0
    assert load_settings({"secret": SECRET}).rate_limit_per_second == 100
    assert load_settings({"rate_limit_per_second": "5"}).rate_limit_per_second == 5


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with tokens, and limits that are met at once."""
    flags = ("--rate-limit-per-second", "0.5", "--rate-limit-burst", "5", "--max-sockets", "3")
    directory = tmp_path_factory.mktemp("narrow")
    running = RunningGateway(directory, *flags, "--max-sockets-per-user", "1", env={"USERLINE_SECRET": SECRET})
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log
    assert "handshake" not in running.log, "a refused socket is no failure"


def post(gateway: RunningGateway, token: str, body: object) -> httpx.Response:
    return gateway.http.post("/graphql", json=body, headers={"authorization": f"Bearer {token}"})


def test_requests(narrow: RunningGateway) -> None:
    query = {"query": "{ app { id } }"}
    token = token_of("request")
    assert [post(narrow, token, query).status_code for _ in range(5)] == [200] * 5
    refused = post(narrow, token, query)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "2"
    (error,) = refused.json()["errors"]
    assert error["extensions"] == {"code": "RATE_LIMITED"}
    assert error["message"].startswith("Too many requests: the limit is 0.5 a second after 5 at once.")
    assert post(narrow, token_of("somebody else"), query).status_code == 200
    assert {post(narrow, token_of(None), query).status_code for _ in range(20)} == {200}


def test_a_batch_counts_as_its_operations(narrow: RunningGateway) -> None:
    query = {"query": "{ app { id } }"}
    token = token_of("batch")
    assert post(narrow, token, [query] * 4).status_code == 200
    assert post(narrow, token, [query] * 4).status_code == 429


def wire(gateway: RunningGateway, user_id: str | None) -> Wire:
    connection = connect(gateway.websocket_url, subprotocols=[Subprotocol(TRANSPORT)], proxy=None, legacy=True)
    made = Wire(connection)
    made.send({"type": "connection_init", "payload": {"token": token_of(user_id)}})
    return made


def test_messages(narrow: RunningGateway) -> None:
    made = wire(narrow, "message")
    assert made.receive()["type"] == "connection_ack"
    for _ in range(5):
        made.send({"type": "ping"})
        assert made.receive() == {"type": "pong"}
    operation = made.start("{ app { id } }")
    (error,) = made.expect(operation)["errors"]
    assert error["extensions"] == {"code": "RATE_LIMITED"}
    made.expect_complete(operation)
    made.send({"type": "ping"})
    code, reason = made.closed()
    assert code == CloseCode.RATE_LIMITED
    assert reason.startswith("Too many requests: the limit is 0.5 a second")


def test_sockets_of_a_user_and_of_a_gateway(narrow: RunningGateway) -> None:
    first = wire(narrow, "many")
    assert first.receive()["type"] == "connection_ack"
    second = wire(narrow, "many")
    assert second.closed() == (
        CloseCode.TOO_MANY_SOCKETS,
        "This user has 1 sockets and streams open, which is the limit.",
    )
    others = [wire(narrow, None), wire(narrow, None)]
    assert [other.receive()["type"] for other in others] == ["connection_ack"] * 2
    with pytest.raises(InvalidStatus) as caught:
        wire(narrow, None)
    answer = caught.value.response
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert json.loads(answer.body or b"")["errors"][0]["extensions"] == {"code": "RATE_LIMITED"}
    for made in (first, *others):
        made.connection.close()
    again = wire(narrow, "many")
    assert again.receive()["type"] == "connection_ack"
    again.connection.close()


def test_an_open_gateway_goes_by_address_if_told_to(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--rate-limit-per-second", "0.1", "--rate-limit-burst", "2")
    try:
        codes = [gateway.http.post("/graphql", json={"query": "{ app { id } }"}).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        with open_wire(gateway, TRANSPORT) as made:
            made.start("{ app { id } }")
            assert made.receive()["payload"]["errors"][0]["extensions"] == {"code": "RATE_LIMITED"}
    finally:
        assert gateway.stop() == 0
