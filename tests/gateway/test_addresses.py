"""Limits that go by address, and whose address it is: the peer's, or what a trusted proxy says."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.clients.wire import TRANSPORT, Wire, eventually
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from userline.gateway.rate_limit import RateLimiter, address_of
from userline.gateway.websocket.protocol import CloseCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

APP = {"query": "{ app { id } }"}
LIMITS = ("--bad-tokens-per-second", "0.01", "--bad-tokens-burst", "3", "--max-new-sockets-per-address", "2")


def start(directory: Path, *flags: str) -> RunningGateway:
    return RunningGateway(
        directory, *LIMITS, "--connection-init-seconds", "60", *flags, env={"USERLINE_SECRET": SECRET}
    )


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway with limits that are met at once, which trusts no proxy."""
    running = start(tmp_path)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log
    assert "handshake" not in running.log, "a refused socket is no failure"


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[RunningGateway]:
    """The same behind a proxy: this machine, and a network that a proxy before it is in."""
    running = start(tmp_path, "--trusted-proxies", "127.0.0.1,10.0.0.0/8")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log
    assert "handshake" not in running.log, "a refused socket is no failure"


def post(gateway: RunningGateway, token: str, **headers: str) -> httpx.Response:
    headers["authorization"] = f"Bearer {token}"
    return gateway.http.post(
        "/graphql", json=APP, headers={key.replace("_", "-"): value for key, value in headers.items()}
    )


def bad(number: int) -> str:
    return token_of("mallory", exp=1, number=number)


def exhaust(gateway: RunningGateway, **headers: str) -> None:
    assert [post(gateway, bad(number), **headers).status_code for number in range(4)] == [401, 401, 401, 429]


def open_socket(gateway: RunningGateway, stack: ExitStack, **headers: str) -> Wire:
    more = {key.replace("_", "-"): value for key, value in headers.items()}
    opening = connect(gateway.websocket_url, subprotocols=[Subprotocol(TRANSPORT)], proxy=None, additional_headers=more)
    return Wire(stack.enter_context(opening))


def refusal_of(gateway: RunningGateway, **headers: str) -> tuple[int, str]:
    with ExitStack() as stack:
        return open_socket(gateway, stack, **headers).closed_for_now()


def test_after_too_many_bad_tokens_new_ones_are_not_looked_at(strict: RunningGateway) -> None:
    known = token_of("alice")
    assert post(strict, known).status_code == 200
    exhaust(strict)
    assert post(strict, known).status_code == 200, "a token that was let in before is still good"
    refused = post(strict, token_of("alice", n=2))
    assert refused.status_code == 429
    (error,) = refused.json()["errors"]
    seconds = error["extensions"]["retryAfterSeconds"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert error["message"] == (
        f"Too many bad tokens from this address: the limit is 0.01 per second, 3 at once. Try again in {seconds:g} s."
    )
    assert refused.headers["retry-after"] == str(math.ceil(seconds))
    assert 90 <= int(refused.headers["retry-after"]) <= 100
    assert strict.metric("userline_bad_tokens_total") == 3


def test_rest_and_sockets_count_the_same_bad_tokens(strict: RunningGateway) -> None:
    for number in range(2):
        headers = {"authorization": f"Bearer {bad(number)}"}
        assert strict.http.get("/v1/userline/users", headers=headers).status_code == 401
    with ExitStack() as stack:
        for number, code in ((2, CloseCode.FORBIDDEN), (3, CloseCode.RATE_LIMITED)):
            wire = open_socket(strict, stack)
            wire.send({"type": "connection_init", "payload": {"token": bad(number)}})
            assert wire.closed()[0] == code
    answer = strict.http.get("/v1/userline/users", headers={"authorization": f"Bearer {token_of(None)}"})
    assert answer.status_code == 429
    assert answer.json()["errorCode"] == "RATE_LIMITED"
    assert int(answer.headers["retry-after"]) > 90


def test_no_token_is_no_bad_token(strict: RunningGateway) -> None:
    assert {strict.http.post("/graphql", json=APP).status_code for _ in range(10)} == {401}
    assert post(strict, token_of("alice")).status_code == 200


def test_new_sockets_of_an_address(strict: RunningGateway) -> None:
    with ExitStack() as stack:
        first, _ = open_socket(strict, stack), open_socket(strict, stack)
        assert refusal_of(strict) == (
            CloseCode.TOO_MANY_SOCKETS,
            "This address has 2 sockets open without connection_init, which is the limit",
        )
        assert strict.metric("userline_new_sockets") == 2
        first.send({"type": "connection_init", "payload": {"token": token_of("alice")}})
        assert first.receive()["type"] == "connection_ack"
        open_socket(strict, stack)
        assert refusal_of(strict)[0] == CloseCode.TOO_MANY_SOCKETS
    eventually(lambda: not strict.metric("userline_new_sockets"), "the closed sockets are not counted")
    with ExitStack() as stack:
        open_socket(strict, stack)
        refused = open_socket(strict, stack)
        refused.send({"type": "connection_init", "payload": {"token": "bad"}})
        assert refused.closed()[0] == CloseCode.FORBIDDEN
        eventually(lambda: strict.metric("userline_new_sockets") == 1, "the refused socket is not counted")


def test_a_forwarded_address_means_nothing_without_a_trusted_proxy(strict: RunningGateway) -> None:
    statuses = [
        post(strict, bad(n), x_forwarded_for=f"203.0.113.{n}", forwarded=f"for=203.0.113.{n}") for n in range(4)
    ]
    assert [answer.status_code for answer in statuses] == [401, 401, 401, 429]
    with ExitStack() as stack:
        for number in range(2):
            open_socket(strict, stack, x_forwarded_for=f"203.0.113.{number}")
        assert refusal_of(strict, x_forwarded_for="203.0.113.9")[0] == CloseCode.TOO_MANY_SOCKETS


def test_the_forwarded_address_counts_behind_a_trusted_proxy(proxied: RunningGateway) -> None:
    exhaust(proxied, x_forwarded_for="203.0.113.1")
    exhaust(proxied, x_forwarded_for="203.0.113.2")
    with ExitStack() as stack:
        for _ in range(2):
            open_socket(proxied, stack, x_forwarded_for="203.0.113.1")
        assert refusal_of(proxied, x_forwarded_for="203.0.113.1")[0] == CloseCode.TOO_MANY_SOCKETS
        open_socket(proxied, stack, x_forwarded_for="203.0.113.2")


def test_what_a_client_put_before_the_address_of_the_proxy_is_ignored(proxied: RunningGateway) -> None:
    """Each proxy adds the address that it sees at the end: the last one that is no proxy's is the client's."""
    spoofed = [post(proxied, bad(n), x_forwarded_for=f"198.51.100.{n}, 203.0.113.1, 10.1.2.3") for n in range(4)]
    assert [answer.status_code for answer in spoofed] == [401, 401, 401, 429]
    assert post(proxied, bad(9), x_forwarded_for="203.0.113.1").status_code == 429
    assert post(proxied, bad(9), x_forwarded_for="198.51.100.1").status_code == 401


def test_the_rate_limit_of_an_open_gateway_goes_by_the_forwarded_address(tmp_path: Path) -> None:
    flags = ("--rate-limit-per-second", "0.01", "--rate-limit-burst", "1", "--trusted-proxies", "127.0.0.1")
    gateway = RunningGateway(tmp_path, *flags)
    try:
        for address, status in (("203.0.113.1", 200), ("203.0.113.1", 429), ("203.0.113.2", 200)):
            answer = gateway.http.post("/graphql", json=APP, headers={"x-forwarded-for": address})
            assert answer.status_code == status
            with ExitStack() as stack:
                wire = open_socket(gateway, stack, x_forwarded_for=address)
                wire.init()
                wire.start("{ app { id } }")
                assert wire.receive()["payload"]["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    finally:
        assert gateway.stop() == 0


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("not an address" * 100, ("not an address" * 100)[:64]),
    ],
)
def test_an_address_is_one_of_ipv4_or_a_network_of_ipv6(host: str, address: str) -> None:
    assert address_of({"client": (host, 5)}) == address


def test_waiting_takes_nothing() -> None:
    limiter = RateLimiter(2, 1, clock=lambda: 100.0)
    assert [limiter.wait("a"), limiter.wait("a"), limiter.take("a"), limiter.wait("a")] == [0, 0, 0, 0.5]
    assert [limiter.wait(None), limiter.wait("b"), RateLimiter(0, 1).wait("a")] == [0, 0, 0]
