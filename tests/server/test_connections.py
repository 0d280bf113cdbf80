"""What becomes of a connection: upgrades, trailers, the order of answers, last words, and what waits."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.attacks import BODIES
from tests.support.fuzz import frame
from tests.support.gateway import RunningGateway
from tests.support.needed import program
from tests.support.raw_http import raw_connection
from tests.support.tokens import token_of

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
APP = b'{"query":"{ app { id } }"}'
ANSWER = b'{"data":{"app":{"id":"userline"}}}'
HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
SLOW = BODIES["1,000 users"]
"""Which takes some milliseconds, so that what comes behind it comes in the middle."""


def post(body: bytes = APP, *, more: bytes = b"", chunked: bool = False) -> bytes:
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % len(body)
    if chunked:
        body = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
    return b"POST /graphql HTTP/1.1\r\n" + HOST + JSON + more + framing + b"\r\n" + body


def get(path: bytes = b"/healthz", *, more: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + more + b"\r\n"


UPGRADES = {
    "h2c as Java says it": b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    b"Upgrade: h2c\r\n",
    "TLS": b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    "something": b"Upgrade: something/2\r\nConnection: upgrade\r\n",
    "several": b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c, foo\r\n",
    "websocket, for a POST": b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "websocket, without connection": b"Upgrade: websocket\r\n",
    "connection alone": b"Connection: Upgrade\r\n",
}  # fmt: skip


@pytest.mark.parametrize("way", ["one write", "two writes", "body in two", "byte by byte"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("upgrade", UPGRADES)
def test_another_upgrade_is_ignored_and_the_body_kept(
    each_gateway: RunningGateway, upgrade: str, chunked: bool, way: str
) -> None:
    request = post(more=UPGRADES[upgrade], chunked=chunked)
    head, _, body = request.partition(b"\r\n\r\n")
    parts = {
        "one write": [request],
        "two writes": [head + b"\r\n\r\n", body],
        "body in two": [head + b"\r\n\r\n" + body[:7], body[7:]],
        "byte by byte": [bytes([byte]) for byte in request],
    }[way]
    with raw_connection(each_gateway) as made:
        for part in parts:
            made.send(part)
            time.sleep(0.005 if len(parts) < 5 else 0)
        made.send(get())
        first, second = made.read(2)
    assert first.body == ANSWER
    assert second.status == 200


@pytest.mark.parametrize("body", [get(b"/metrics"), post(), HANDSHAKE], ids=["metrics", "graphql", "handshake"])
@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_body_behind_an_upgrade_is_never_a_request(each_gateway: RunningGateway, upgrade: str, body: bytes) -> None:
    head, _, _ = post(body, more=UPGRADES[upgrade]).partition(b"\r\n\r\n")
    with raw_connection(each_gateway) as made:
        made.send(head + b"\r\n\r\n")
        time.sleep(0.005)
        made.send(body)
        made.send(get())
        answers = made.read(2)
        made.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            made.socket.recv(1)
    assert [answer.status for answer in answers] == [400, 200]
    assert b"valid JSON" in answers[0].body


JAVA = """
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

public class Ask {
    public static void main(String[] args) throws Exception {
        for (int client = 0; client < 3; client++) {
            HttpClient http = HttpClient.newHttpClient();
            for (int round = 0; round < 3; round++) {
                System.out.println(send(http, "POST", args[0] + "/graphql", "{\\"query\\":\\"{ app { id } }\\"}"));
                System.out.println(send(http, "PUT", args[0] + "/v1/userline/users/java", "{\\"name\\":\\"Java\\"}"));
                System.out.println(send(http, "GET", args[0] + "/v1/userline/users/java", null));
            }
        }
    }

    static String send(HttpClient http, String method, String url, String body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url))
            .header("Content-Type", "application/json").header("Accept", "application/json");
        request.method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
        HttpResponse<String> answer = http.send(request.build(), BodyHandlers.ofString());
        return method + " " + answer.statusCode() + " " + answer.body();
    }
}
"""


def test_a_stock_java_client_is_answered(each_gateway: RunningGateway, tmp_path: Path) -> None:
    """It offers h2c with the first request of each connection."""
    source = tmp_path / "Ask.java"
    source.write_text(JAVA)
    command = [program("java"), "-XX:TieredStopAtLevel=1", str(source), each_gateway.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 27
    assert [line for line in lines if line.startswith("POST")] == [f"POST 200 {ANSWER.decode()}"] * 9
    for line in lines:
        assert line.split()[1] in ("200", "201"), line
        if line.startswith("GET"):
            assert '"name":"Java"' in line


TRAILERS = [b"Authorization: Bearer %b", b"X-Forwarded-For: 10.1.2.3", b"Content-Length: 3", b"Host: other", b"A: b"]


@pytest.mark.parametrize("way", ["whole", "byte by byte"])
def test_a_token_in_a_trailer_is_none(guarded: RunningGateway, way: str) -> None:
    token = token_of(None).encode()
    request = post(chunked=True)[:-2] + b"Authorization: Bearer %b\r\n\r\n" % token
    with raw_connection(guarded) as made:
        step = len(request) if way == "whole" else 1
        for at in range(0, len(request), step):
            made.send(request[at : at + step])
        made.send(post(more=b"Authorization: Bearer %b\r\n" % token))
        first, *others = made.read(2)
    assert first.status == 401
    if others:
        assert [each.body for each in others] == [ANSWER]
    else:  # who answers before all of a body has come may end the connection, and says so
        assert way == "byte by byte"
        assert first.headers["connection"] == "close"


def test_trailers_are_dropped(tmp_path: Path) -> None:
    """An address in a trailer is no address: the limit of the one that it comes from holds."""
    limits = ("--rate-limit-per-second", "1", "--rate-limit-burst", "3", "--trusted-proxies", "127.0.0.1")
    running = RunningGateway(tmp_path, *limits)
    try:
        with raw_connection(running) as made:
            statuses = []
            for number in range(8):
                made.send(post(chunked=True)[:-2] + b"X-Forwarded-For: 10.0.0.%d\r\n\r\n" % number)
                statuses.append(made.read()[0].status)
        assert statuses[:3] == [200] * 3
        assert 429 in statuses[3:5]
    finally:
        assert running.stop() == 0


@pytest.mark.parametrize("trailer", TRAILERS)
def test_what_comes_behind_trailers_is_answered(each_gateway: RunningGateway, trailer: bytes) -> None:
    trailer = trailer.replace(b"%b", b"x")
    with raw_connection(each_gateway) as made:
        made.send(post(chunked=True)[:-2] + trailer + b"\r\n\r\n" + get())
        first, second = made.read(2)
    assert (first.body, second.status) == (ANSWER, 200)


BEHIND = {
    "nonsense": (b"nonsense\r\n\r\n", 400),
    "a large head": (b"GET / HTTP/1.1\r\nA: " + b"a" * 20_000, 431),
    "two hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "a bad body": (post(chunked=True).replace(b"5\r\n", b"x\r\n"), 400),
    "a handshake": (HANDSHAKE, 101),
    "a good one": (get(), 200),
}


@pytest.mark.parametrize("behind", BEHIND)
def test_answers_leave_in_the_order_of_their_requests(each_gateway: RunningGateway, behind: str) -> None:
    second, status = BEHIND[behind]
    with raw_connection(each_gateway) as made:
        for _ in range(3):
            made.ask(post(SLOW))
        made.send(post(SLOW) + post() + post(SLOW) + second)
        data = b""
        deadline = time.monotonic() + 10
        while data.count(b"HTTP/1.1 ") < 4 and time.monotonic() < deadline:
            data += made.socket.recv(262_144)
    statuses = [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 200, 200, status]
    assert data.count(b'{"data":{"users":') == 2
    assert data.rindex(b'{"data":{"users":') < data.rindex(b"HTTP/1.1 ")


@pytest.mark.parametrize("way", ["at once", "later"])
@pytest.mark.parametrize("asked", [1, 2, 50])
@pytest.mark.parametrize(
    "unfinished", [b"", b"GET /hea", post()[:-3], post(chunked=True)[:-4]], ids=["", "h", "b", "c"]
)
def test_who_has_said_the_last_word_gets_all_answers(
    each_gateway: RunningGateway, asked: int, unfinished: bytes, way: str
) -> None:
    with raw_connection(each_gateway) as made:
        made.send((post() + post(SLOW) + get()) * asked + unfinished)
        if way == "later":
            time.sleep(0.01)
        made.socket.shutdown(socket.SHUT_WR)
        answers = made.read(3 * asked + 1)
    assert [answer.status for answer in answers] == [200] * 3 * asked


def test_who_is_gone_is_noticed_during_a_stream(each_gateway: RunningGateway) -> None:
    query = json.dumps({"query": 'subscription { userChanged(id: "nobody there") { name } }'}).encode()
    with raw_connection(each_gateway) as made:
        made.send(post(query, more=b"Accept: text/event-stream\r\n"))
        while b"event: next" not in (data := made.socket.recv(65_536)):
            assert data
        made.socket.shutdown(socket.SHUT_WR)
        made.socket.settimeout(5)
        while made.socket.recv(65_536):
            pass
    deadline = time.monotonic() + 5
    while each_gateway.metric("userline_watchers"):
        assert time.monotonic() < deadline


def resident(gateway: RunningGateway) -> int:
    statm = (Path("/proc") / str(gateway.process.pid) / "statm").read_text()
    return int(statm.split()[1]) * 4096


@pytest.mark.parametrize("reads", [True, False], ids=["read", "never read"])
def test_pipelined_requests_wait_in_the_system_and_not_in_the_gateway(
    each_gateway: RunningGateway, reads: bool
) -> None:
    request = post(SLOW)
    with raw_connection(each_gateway) as made:
        made.ask(request)
        before = peak = resident(each_gateway)
        made.socket.settimeout(0.05)
        many = request * 50
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            try:
                made.socket.send(many)
            except TimeoutError:
                pass
            except ConnectionError:
                break
            if reads:
                with suppress(TimeoutError):
                    made.socket.recv(65_536)
            peak = max(peak, resident(each_gateway))
        made.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert (peak - before) / 1e6 < 16


@pytest.mark.parametrize("bad", [b"\xff" * 100, frame(1, b"{}", masked=False), frame(3, b""), frame(0, b"")])
def test_bad_frames_behind_a_handshake_are_closed_after_its_answer(each_gateway: RunningGateway, bad: bytes) -> None:
    with raw_connection(each_gateway) as made:
        made.send(HANDSHAKE + bad)
        data = b""
        while part := made.socket.recv(4096):
            data += part
    assert data.startswith(b"HTTP/1.1 101 ")
    assert data.partition(b"\r\n\r\n")[2].startswith(b"\x88")
    assert b"\x03\xea" in data  # 1002


@pytest.mark.parametrize("protocol", [b"graphql-transport-ws", b"graphql-ws"])
def test_frames_behind_a_handshake_are_kept(gateway: RunningGateway, protocol: bytes) -> None:
    with raw_connection(gateway) as made:
        made.send(HANDSHAKE.replace(b"graphql-transport-ws", protocol) + frame(1, b'{"type":"connection_init"}'))
        data = b""
        while b"connection_ack" not in data:
            part = made.socket.recv(4096)
            assert part
            data += part
    assert data.startswith(b"HTTP/1.1 101 ")
