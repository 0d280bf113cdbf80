"""Rate limits, and limits of sockets."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.clients.wire import TRANSPORT, Wire, open_wire
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.exceptions import ConnectionClosed
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
    assert limiter.refusal(1.5).retry_after == 1.5
    assert limiter.refusals == 1, "who was told to wait is counted"


def test_what_is_owed_has_to_come_in_first() -> None:
    clock = Clock()
    limiter = RateLimiter(2, 3, clock=clock)
    assert [limiter.take("a", on_credit=True) for _ in range(5)] == [0, 0, 0, 0.5, 1]
    assert (limiter.wait("a"), limiter.take("a")) == (1.5, 1.5)
    clock.now += 1.5
    assert (limiter.wait("a"), limiter.take("a"), limiter.take("a")) == (0, 0, 0.5)
    assert limiter.take("b", 1000, on_credit=True) == 0, "a full bucket at most"
    assert limiter.wait("b") == 0.5
    assert [RateLimiter(0, 1).take("a", on_credit=True) for _ in range(3)] == [0] * 3
    assert [limiter.take(None, on_credit=True) for _ in range(9)] == [0] * 9


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
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 1 < error["extensions"]["retryAfterSeconds"] <= 2
    assert error["message"].startswith("Too many requests: the limit is 0.5 per second, 5 at once.")
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
    with suppress(ConnectionClosed):  # who is not let in is told so at once
        made.send({"type": "connection_init", "payload": {"token": token_of(user_id)}})
    return made


def test_messages_end_nothing(narrow: RunningGateway) -> None:
    made = wire(narrow, "message")
    assert made.receive()["type"] == "connection_ack"
    for message in [{"type": "ping"}, {"type": "pong"}, {"type": "complete", "id": "nobody"}] * 10:
        made.send(message)
    assert [made.receive() for _ in range(10)] == [{"type": "pong"}] * 10
    assert made.is_alive()
    made.connection.close()


def test_operations_over_the_rate_are_begun_later(tmp_path: Path) -> None:
    flags = ("--rate-limit-per-second", "5", "--rate-limit-burst", "5")
    gateway = RunningGateway(tmp_path, *flags, env={"USERLINE_SECRET": SECRET})
    try:
        made = wire(gateway, "alice")
        assert made.receive()["type"] == "connection_ack"
        began = time.monotonic()
        for _ in range(15):
            made.start("{ app { id } }")
        received = [made.receive() for _ in range(30)]
        assert {message["type"] for message in received} == {"next", "complete"}
        assert {message["payload"]["data"]["app"]["id"] for message in received if "payload" in message} == {"userline"}
        assert time.monotonic() - began > 9 / 5
        assert gateway.metric("userline_socket_pauses_total") >= 9
        made.connection.close()
    finally:
        assert gateway.stop() == 0


def test_operations_far_over_the_rate_are_refused_and_told_when_to_come_back(tmp_path: Path) -> None:
    flags = ("--rate-limit-per-second", "0.05", "--rate-limit-burst", "2")
    gateway = RunningGateway(tmp_path, *flags, env={"USERLINE_SECRET": SECRET})
    try:
        made = wire(gateway, "alice")
        assert made.receive()["type"] == "connection_ack"
        operations = [made.start("{ app { id } }") for _ in range(3)]
        received = [made.receive() for _ in range(6)]
        assert Counter(message["type"] for message in received) == {"next": 3, "complete": 3}
        refusal, _ = (message for message in received if message["id"] == operations[2])
        (error,) = refusal["payload"]["errors"]
        extensions = error["extensions"]
        assert extensions["code"] == "RATE_LIMITED"
        assert 15 < extensions["retryAfterSeconds"] <= 20
        assert error["message"].startswith("Too many requests: the limit is 0.05 per second")
        made.connection.close()
    finally:
        assert gateway.stop() == 0


def test_sockets_of_a_user_and_of_a_gateway(narrow: RunningGateway) -> None:
    first = wire(narrow, "many")
    assert first.receive()["type"] == "connection_ack"
    second = wire(narrow, "many")
    assert second.closed_for_now() == (
        CloseCode.TOO_MANY_SOCKETS,
        "This user has 1 sockets and streams open, which is the limit",
    )
    others = [wire(narrow, None), wire(narrow, None)]
    assert [other.receive()["type"] for other in others] == ["connection_ack"] * 2
    assert wire(narrow, None).closed_for_now() == (
        CloseCode.TRY_AGAIN_LATER,
        "This gateway has 3 sockets and streams open, which is the limit",
    )
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
            assert made.receive()["payload"]["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    finally:
        assert gateway.stop() == 0
