"""The fast lane and the shortcut, byte by byte: they answer what the ordinary way answers, however requests arrive."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson
import pytest
from tests.support.gateway import RunningGateway
from tests.support.raw_http import RawResponse, raw_connection, raw_post
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from pathlib import Path

READ = "query($id: ID!) { user(id: $id) { id name custom locale photoUrl role welcomeMessage effectiveLocale } }"
MANY = "query Many($ids: [ID!]!) { users(ids: $ids) { id n: name } a: user(id: 5) { __typename } app { id } }"
SET = 'mutation($i: SetUserInput!) { setUser(id: "lane", input: $i) { created changed user { id name } } }'


def body(query: str, **variables: object) -> bytes:
    return orjson.dumps({"query": query, "variables": variables})


def chunked(content: bytes) -> bytes:
    return (
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n3\r\n" + content[:3] + b"\r\n%x\r\n" % (len(content) - 3) + content[3:] + b"\r\n0\r\n\r\n"
    )


LANE = [
    raw_post(body(READ, id="lane")),
    raw_post(body(READ, id="nobody"), b"Accept: application/graphql-response+json", b"Connection: keep-alive"),
    raw_post(body(MANY, ids=["lane", "nobody", "lane"]), b"X-Request-Id: mine"),
    raw_post(body(SET, i={"name": "Läne", "custom": {"a.b": "\U0001f600"}})),
    raw_post(body(SET, i={"name": ""})),
    raw_post(body(READ, id="")),
]
ORDINARY = [
    raw_post(body("{ __schema { queryType { name } } }")),
    raw_post(body(READ, id=None)),
    raw_post(b"[" + body(READ, id="lane") + b"," + body(READ, id="nobody") + b"]"),
    raw_post(b'{"query": '),
    raw_post(body("{ nonsense }")),
    raw_post(body(READ, id="lane"), b"Expect: 100-continue"),
    chunked(body(READ, id="lane")),
    b"GET /graphql?query=%7Bapp%7Bid%7D%7D HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PUT /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
]


@pytest.fixture(params=["fast_gateway", "shortcut_gateway"])
def gateway(request: pytest.FixtureRequest) -> RunningGateway:
    """The gateway with the lane, and the one whose shortcut does the same over plain ASGI."""
    gateway: RunningGateway = request.getfixturevalue(request.param)
    return gateway


@pytest.fixture
def taken(gateway: RunningGateway, fast_gateway: RunningGateway) -> str:
    """The metric that counts what goes the short way."""
    return f"userline_{'fast_lane' if gateway is fast_gateway else 'shortcut'}_requests_total"


@pytest.fixture
def expected(
    fast_gateway: RunningGateway, shortcut_gateway: RunningGateway, plain_gateway: RunningGateway
) -> dict[bytes, RawResponse]:
    """What the ordinary way answers. The other gateways have seen every document, as the lane wants it."""
    answers = {}
    for gateway in (fast_gateway, shortcut_gateway, plain_gateway):
        gateway.set_user("lane", name="Läne", custom={"a.b": "\U0001f600"})
        with raw_connection(gateway) as made:
            for request in (*LANE, *ORDINARY):
                made.ask(request)
                answers[request] = made.ask(request)
    return answers


def test_the_lane_takes_what_it_understands(
    gateway: RunningGateway, taken: str, expected: dict[bytes, RawResponse]
) -> None:
    for request in (*LANE, *ORDINARY):
        before = gateway.metric(taken)
        with raw_connection(gateway) as made:
            answer = made.ask(request)
        assert (answer.status, answer.body) == (expected[request].status, expected[request].body)
        assert gateway.metric(taken) - before == (request in LANE), request


def test_answers_have_the_headers_of_the_ordinary_way(
    gateway: RunningGateway, expected: dict[bytes, RawResponse]
) -> None:
    for request in LANE:
        with raw_connection(gateway) as made:
            ours, theirs = made.ask(request).headers, dict(expected[request].headers)
        assert ours.keys() == theirs.keys()
        if b"X-Request-Id" in request:
            assert ours["x-request-id"] == "mine"
        for name in ("date", "x-request-id"):
            del ours[name], theirs[name]
        assert ours == theirs


def test_requests_split_at_every_byte(gateway: RunningGateway, expected: dict[bytes, RawResponse]) -> None:
    for request in LANE:
        with raw_connection(gateway) as made:
            for place in range(1, len(request)):
                made.send(request[:place])
                time.sleep(0.0003)
                made.send(request[place:])
                (answer,) = made.read()
                assert (answer.status, answer.body) == (expected[request].status, expected[request].body), place


@pytest.mark.parametrize("seed", range(20))
def test_pipelined_requests_are_answered_in_order(
    gateway: RunningGateway, expected: dict[bytes, RawResponse], seed: int
) -> None:
    chosen = random.Random(seed)
    requests = [chosen.choice(LANE if chosen.random() < 0.7 else ORDINARY) for _ in range(60)]
    data = b"".join(requests)
    with raw_connection(gateway) as made:
        while data:
            size = chosen.choice([1, 7, 100, 1000, 20_000])
            made.send(data[:size])
            data = data[size:]
            if chosen.random() < 0.2:
                time.sleep(0.001)
        answers = made.read(len(requests))
    assert [answer.status for answer in answers] == [expected[request].status for request in requests]
    assert [answer.body for answer in answers] == [expected[request].body for request in requests]


@pytest.mark.parametrize(
    "request_bytes",
    [raw_post(body(READ, id="lane"), b"Connection: close"), raw_post(body(READ, id="lane"), version=b"HTTP/1.0")],
    ids=["close", "HTTP/1.0"],
)
def test_connections_that_are_to_end_end(gateway: RunningGateway, request_bytes: bytes) -> None:
    with raw_connection(gateway) as made:
        made.send(LANE[0] + request_bytes + LANE[0])
        assert len(made.read(3)) == 2


@pytest.mark.parametrize("lane", ["--fast-lane", "--no-fast-lane"])
def test_an_idle_connection_is_closed_and_a_busy_one_is_not(tmp_path: Path, lane: str) -> None:
    gateway = RunningGateway(tmp_path, "--keep-alive-seconds", "2", lane)
    try:
        with raw_connection(gateway) as idle, raw_connection(gateway) as busy:
            idle.ask(LANE[0])
            for _ in range(8):
                assert busy.ask(LANE[0]).status == 200
                time.sleep(0.5)
            assert idle.read() == []
    finally:
        assert gateway.stop() == 0


def test_a_client_that_does_not_read_harms_itself_alone(gateway: RunningGateway) -> None:
    """What it sends is taken only as long as its answers are."""
    many = raw_post(body(MANY, ids=["lane"] * 1000))
    with raw_connection(gateway, timeout=3) as stuck, raw_connection(gateway) as other:
        other.ask(many)
        sent = 0
        with suppress(TimeoutError):
            while sent < 10_000:
                stuck.send(many)
                sent += 1
        assert 0 < sent < 10_000
        assert other.ask(LANE[0]).status == 200
        stuck.socket.settimeout(20)
        assert [answer.status for answer in stuck.read(sent)] == [200] * sent


def test_a_client_that_reads_nothing_is_cut_off(gateway: RunningGateway) -> None:
    many = raw_post(body(MANY, ids=["lane"] * 1000))
    with raw_connection(gateway, timeout=2) as stuck:
        stuck.ask(many)
        sent = 0
        with suppress(TimeoutError):
            while True:
                stuck.send(many)
                sent += 1
        time.sleep(12)
        with suppress(ConnectionError):
            assert len(stuck.read(sent)) < sent


def test_connections_cut_in_the_middle(gateway: RunningGateway) -> None:
    for request in LANE:
        for place in range(0, len(request), 37):
            with raw_connection(gateway) as made:
                made.send(request + request[:place])
    with raw_connection(gateway) as made:
        assert made.ask(LANE[0]).status == 200


def test_the_shortcut_takes_what_comes_in_pieces(gateway: RunningGateway, expected: dict[bytes, RawResponse]) -> None:
    """The lane needs a request whole; the shortcut its body alone."""
    head, separator, content = LANE[0].partition(b"\r\n\r\n")
    before = gateway.metric("userline_shortcut_requests_total")
    with raw_connection(gateway) as made:
        made.send(head + separator)
        time.sleep(0.05)
        made.send(content)
        assert made.read()[0].body == expected[LANE[0]].body
    assert gateway.metric("userline_shortcut_requests_total") == before + 1


def test_an_answer_is_sent_in_one_piece(shortcut_gateway: RunningGateway, expected: dict[bytes, RawResponse]) -> None:
    with raw_connection(shortcut_gateway) as made:
        for request in LANE:
            made.send(request)
            data = made.socket.recv(262_144)
            assert data.endswith(expected[request].body)


@pytest.mark.parametrize(
    ("flags", "taken"), [((), "fast_lane"), (("--no-fast-lane",), "shortcut")], ids=["lane", "shortcut"]
)
def test_tokens_expiry_and_origins(tmp_path: Path, flags: tuple[str, ...], taken: str) -> None:
    gateway = RunningGateway(
        tmp_path, *flags, env={"USERLINE_SECRET": SECRET, "USERLINE_CORS_ORIGINS": "https://a.example"}
    )
    read = body(READ, id="ann")
    try:
        with raw_connection(gateway) as made:
            short = b"Authorization: Bearer " + token_of("ann", exp=int(time.time()) - 28).encode()
            origin = b"Origin: https://a.example"
            for _ in range(3):
                answer = made.ask(raw_post(read, short, origin))
                assert answer.status == 200
                assert answer.headers["access-control-allow-origin"] == "https://a.example"
                assert answer.headers["vary"] == "Origin"
            assert (
                "access-control-allow-origin"
                not in made.ask(raw_post(read, short, b"Origin: https://b.example")).headers
            )
            assert gateway.metric(f"userline_{taken}_requests_total") >= 1
            assert made.ask(raw_post(read)).status == 401
            time.sleep(2.5)
            assert made.ask(raw_post(read, short, origin)).status == 401
    finally:
        assert gateway.stop() == 0
