"""What is no HTTP, or what two servers could understand differently: answered, and nothing behind it is run."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.raw_http import raw_connection
from tests.support.tokens import token_of

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

HOST = b"Host: localhost\r\n"


class Door(NamedTuple):
    gateway: RunningGateway
    authorization: bytes
    """A header line, or nothing."""

    def request(self, query: str) -> bytes:
        body = json.dumps({"query": query}).encode()
        return (
            b"POST /graphql HTTP/1.1\r\n" + HOST + self.authorization + b"Content-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )


@pytest.fixture(params=["fast_gateway", "shortcut_gateway", "plain_gateway", "guarded"])
def door(request: pytest.FixtureRequest) -> Door:
    """With the lane, with the shortcut alone, with neither, and with tokens."""
    gateway: RunningGateway = request.getfixturevalue(request.param)
    is_guarded = request.param == "guarded"
    return Door(gateway, f"Authorization: Bearer {token_of(None)}\r\n".encode() if is_guarded else b"")


def post(*lines: bytes, body: bytes = b"{}", target: bytes = b"/graphql", version: bytes = b"HTTP/1.1") -> bytes:
    head = b"POST %b %b\r\nContent-Type: application/json\r\n" % (target, version)
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


CL, TE, A_HOST = b"Content-Length: 2", b"Transfer-Encoding: chunked", b"Host: localhost"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"

REFUSED: dict[str, tuple[bytes, int]] = {
    "no host": (post(CL), 400),
    "two hosts": (post(A_HOST, A_HOST, CL), 400),
    "two hosts that differ": (post(A_HOST, b"Host: other", CL), 400),
    "an empty host": (post(b"Host:", CL), 400),
    "a host with a space": (post(b"Host: local host", CL), 400),
    "a host that is a list": (post(b"Host: localhost, other", CL), 400),
    "a folded host": (post(b"Host:\r\n localhost", CL), 400),
    "HTTP/2.0": (post(A_HOST, CL, version=b"HTTP/2.0"), 400),
    "HTTP/1.2": (post(A_HOST, CL, version=b"HTTP/1.2"), 400),
    "HTTP/3.0": (post(A_HOST, CL, version=b"HTTP/3.0"), 400),
    "HTTP/0.9": (post(A_HOST, CL, version=b"HTTP/0.9"), 400),
    "a request of HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "http in small letters": (post(A_HOST, CL, version=b"http/1.1"), 400),
    "a version of one number": (post(A_HOST, CL, version=b"HTTP/1"), 400),
    "two lengths": (post(A_HOST, CL, CL), 400),
    "two lengths that differ": (post(A_HOST, CL, b"Content-Length: 3"), 400),
    "a list of lengths": (post(A_HOST, b"Content-Length: 2, 2"), 400),
    "a signed length": (post(A_HOST, b"Content-Length: +2"), 400),
    "a negative length": (post(A_HOST, b"Content-Length: -2"), 400),
    "a hexadecimal length": (post(A_HOST, b"Content-Length: 0x2"), 400),
    "an empty length": (post(A_HOST, b"Content-Length:"), 400),
    "a length in words": (post(A_HOST, b"Content-Length: two"), 400),
    "a length with a space": (post(A_HOST, b"Content-Length: 1 2"), 400),
    "an enormous length": (post(A_HOST, b"Content-Length: " + b"9" * 40), 400),
    "a folded length": (post(A_HOST, b"Content-Length:\r\n 2"), 400),
    "length and chunks": (post(A_HOST, CL, TE, body=CHUNKS), 400),
    "chunks and length": (post(A_HOST, TE, b"Content-Length: 13", body=CHUNKS), 400),
    "gzip and chunks": (post(A_HOST, b"Transfer-Encoding: gzip, chunked", body=CHUNKS), 400),
    "chunks twice": (post(A_HOST, TE, TE, body=CHUNKS), 400),
    "chunks, and then something": (post(A_HOST, b"Transfer-Encoding: chunked, identity", body=CHUNKS), 400),
    "an unknown encoding": (post(A_HOST, b"Transfer-Encoding: xchunked", body=CHUNKS), 400),
    "chunks behind a tab": (post(A_HOST, b"Transfer-Encoding:\tchunked", body=CHUNKS), 400),
    "chunks behind a vertical tab": (post(A_HOST, b"Transfer-Encoding: \x0bchunked", body=CHUNKS), 400),
    "a space before the colon": (post(A_HOST, b"Transfer-Encoding : chunked", CL), 400),
    "chunks in HTTP/1.0": (post(A_HOST, TE, body=CHUNKS, version=b"HTTP/1.0"), 400),
    "a folded header": (post(A_HOST, CL, b"X-Folded: a\r\n b"), 400),
    "a header that begins with a tab": (post(A_HOST, b"\tX-Tab: a", CL), 400),
    "no colon": (post(A_HOST, CL, b"nonsense"), 400),
    "no name": (post(A_HOST, CL, b": a"), 400),
    "NUL in a value": (post(A_HOST, CL, b"X-Nul: a\0b"), 400),
    "NUL in a name": (post(A_HOST, CL, b"X\0Nul: a"), 400),
    "CR in a value": (post(A_HOST, CL, b"X-Cr: a\rX: b"), 400),
    "LF in a value": (post(A_HOST, CL, b"X-Lf: a\nX: b"), 400),
    "lines that end by LF": (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
    "a head that ends by LF": (b"GET / HTTP/1.1\r\nHost: localhost\n\n", 400),
    "129 headers": (post(A_HOST, CL, *[b"X: a"] * 127), 431),
    "a line without end": (b"GET /" + b"a" * 17_000, 431),
    "a method without end": (b"G" * 17_000, 431),
    "a value without end": (b"GET / HTTP/1.1\r\nA: " + b"a" * 17_000, 431),
    "CONNECT": (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "CONNECT to a path": (b"CONNECT / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an unknown method": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a method in small letters": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no path": (b"GET  HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a tab in the line": (b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a space in the path": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a path without a slash": (b"GET graphql HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a path of other letters": (b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a fragment": (b"GET /#a HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a star for GET": (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an authority": (b"GET localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an address with a name in it": (b"GET http://a@localhost/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "another scheme": (b"GET ftp://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a client hello of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "empty lines": (b"\r\n" * 20, 400),
    "a chunk without a size": (post(A_HOST, TE, body=b"\r\n{}\r\n"), 400),
    "a chunk with a sign": (post(A_HOST, TE, body=b"+2\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk like a number in C": (post(A_HOST, TE, body=b"0x2\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk with a space": (post(A_HOST, TE, body=b"2 \r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk that is longer": (post(A_HOST, TE, body=b"2\r\n{}x\r\n0\r\n\r\n"), 400),
    "a chunk that ends by LF": (post(A_HOST, TE, body=b"2\n{}\n0\n\n"), 400),
    "an enormous chunk": (post(A_HOST, TE, body=b"1" + b"0" * 16 + b"\r\n"), 400),
    "LF in an extension": (post(A_HOST, TE, body=b"2;a\nb\r\n{}\r\n0\r\n\r\n"), 400),
    "an extension without end": (post(A_HOST, TE, body=b"2;" + b"a" * 2000), 400),
    "a size without end": (post(A_HOST, TE, body=b"0" * 2000), 400),
    "a trailer without end": (post(A_HOST, TE, body=b"0\r\nA: " + b"a" * 17_000), 431),
    "trailers without end": (post(A_HOST, TE, body=b"0\r\n" + b"A: a\r\n" * 3000), 431),
    "a trailer that is none": (post(A_HOST, TE, body=b"2\r\n{}\r\n0\r\nnonsense\r\n\r\n"), 400),
    "a folded trailer": (post(A_HOST, TE, body=b"2\r\n{}\r\n0\r\nA: b\r\n c\r\n\r\n"), 400),
    "a handshake with a body": (b"GET /graphql HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        + HOST + b"Content-Length: 1\r\n\r\nx", 400),
    "a handshake with chunks": (b"GET /graphql HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
}  # fmt: skip


@pytest.mark.parametrize("way", ["whole", "split", "byte by byte"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_answered_and_ends_the_connection(door: Door, name: str, way: str) -> None:
    refused, status = REFUSED[name]
    smuggled = f"{name} {way}"
    behind = door.request(f'mutation {{ setUser(id: "{smuggled}", input: {{name: "S"}}) {{ changed }} }}')
    refused = refused.replace(b"Content-Type", door.authorization + b"Content-Type")
    with raw_connection(door.gateway) as made:
        assert made.ask(door.request("{ app { id } }")).status == 200
        with suppress(ConnectionError):  # what comes behind may find the connection closed
            if way == "whole":
                made.send(refused + behind)
            elif way == "split":
                place = refused.find(b"\r\n\r\n") // 2 + 1
                for part in (refused[:place], refused[place:], behind):
                    made.send(part)
                    time.sleep(0.002)
            else:
                for at in range(0, len(refused), 1 + len(refused) // 500):
                    made.send(refused[at : at + 1 + len(refused) // 500])
                made.send(behind)
        answers = made.read(3)
    assert [answer.status for answer in answers] == [status], answers
    (error,) = json.loads(answers[0].body)["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["field"]
    assert error["message"].endswith(".")
    headers = {"authorization": door.authorization.decode().partition(": ")[2].strip()} if door.authorization else {}
    query = {"query": f'{{ user(id: "{smuggled}") {{ id }} }}'}
    assert door.gateway.http.post("/graphql", json=query, headers=headers).json() == {"data": {"user": None}}


ODD_AND_FINE: dict[str, bytes] = {
    "QUERY": b"QUERY /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "PROPFIND": b"PROPFIND /graphql HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}",
    "an absolute address": b"GET http://localhost/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute address with a port": b"GET HTTP://127.0.0.1:80/healthz?x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an absolute address without a path": b"GET http://localhost HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute address and a query": b"GET http://localhost?x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "two slashes": b"GET //graphql HTTP/1.1\r\n" + HOST + b"\r\n",
    "characters that should be escaped": b'GET /graphql?query={app{id}}|"<>^` HTTP/1.1\r\n' + HOST + b"\r\n",
    "bad escapes": b"GET /%zz%ff%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an empty line before": b"\r\nGET /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a value of other letters": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-Name: \xc3\xa9 \xff\r\n\r\n",
    "a length of nothing": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    "a body of GET": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
    "an expectation": b"POST /graphql HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    "trace": b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n",
    "128 headers": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 127 + b"\r\n",
    "chunks with everything": b"POST /graphql HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    b'Transfer-Encoding: Chunked\r\n\r\n1;a;b=c;d="e f"\r\n{\r\n01\r\n}\r\n000;x\r\nA: b\r\nHost: other\r\n\r\n',
}  # fmt: skip


@pytest.mark.parametrize("way", ["whole", "byte by byte"])
@pytest.mark.parametrize("name", ODD_AND_FINE)
def test_what_is_odd_and_fine_is_answered_and_what_comes_behind_too(door: Door, name: str, way: str) -> None:
    odd = ODD_AND_FINE[name]
    with raw_connection(door.gateway) as made:
        step = len(odd) if way == "whole" else 1
        with suppress(ConnectionError):
            for at in range(0, len(odd), step):
                made.send(odd[at : at + step])
        with suppress(ConnectionError):  # an answer that came before the body may have ended the connection
            made.send(door.request("{ app { id } }"))
        first, *behind = made.read(2)
    assert first.status in (200, 307, 400, 401, 403, 404, 405, 406, 415), first
    if first.headers.get("connection") != "close":
        assert [each.body for each in behind] == [b'{"data":{"app":{"id":"userline"}}}']
    else:
        assert way == "byte by byte"
        assert not behind


def test_a_client_that_writes_64_mib_behind_a_refusal_reads_it(gateway: RunningGateway) -> None:
    with raw_connection(gateway) as made:
        made.send(b"nonsense\r\n\r\n")
        sent, part = 0, b"a" * 1_048_576
        with suppress(ConnectionError):
            while sent < 64 * 1_048_576:
                sent += made.socket.send(part)
        assert [answer.status for answer in made.read(2)] == [400]


def test_a_silent_end_is_none(gateway: RunningGateway) -> None:
    with raw_connection(gateway) as made:
        made.socket.shutdown(socket.SHUT_WR)
        assert made.read() == []
