"""Requests and answers of an ASGI application on the protocol class: as Uvicorn's own class has them."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.support.asgi_server import connected, our_protocol

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

HOST = b"Host: localhost\r\n"
REQUESTS = [
    b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /a%20b/%C3%A9?x=%26&y HTTP/1.1\r\n" + HOST + b"X-Twice: 1\r\nx-twice: 2\r\nEmpty:\r\n\r\n",
    b"GET http://localhost/path?query HTTP/1.1\r\n" + HOST + b"\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    b"HEAD /head HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST /body HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    b"POST /no-body HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    b"PUT /chunked HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    b"DELETE /kept HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\nX-Request-Id: mine\r\n\r\n",
    b"POST /continued HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    b"GET /chunks HTTP/1.1\r\n" + HOST + b"\r\n",
    b"HEAD /chunks HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n",
]
LAST = [
    b"GET /close HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GET /old HTTP/1.0\r\n\r\n",
    b"GET /closes HTTP/1.1\r\n" + HOST + b"\r\n",
]


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what came."""
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    seen = {key: value for key, value in scope.items() if key not in {"client", "server", "state", "asgi"}}
    told = {"scope": seen, "body": body}
    answer = orjson.dumps(told, default=lambda value: value.decode("latin-1"), option=orjson.OPT_SORT_KEYS)
    headers = [(b"X-App", b"tell\tme"), (b"Content-Length", b"%d" % len(answer))]
    if scope["path"] == "/closes":
        headers.append((b"Connection", b"close"))
    elif scope["path"] == "/chunks":
        await send({"type": "http.response.start", "status": 299, "headers": headers[:1]})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": answer, "more_body": True})
        await send({"type": "http.response.body"})
        return
    elif scope["path"] == "/nothing":
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer[:10], "more_body": True})
    await send({"type": "http.response.body", "body": answer[10:]})


async def answers(protocol: type[asyncio.Protocol], parts: list[bytes], last: bytes) -> bytes:
    """Return all that is answered to a request in parts, and to the last one of the connection."""
    async with connected(tell, protocol) as (reader, writer), asyncio.timeout(10):
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.001)
        writer.write(last)
        return await reader.read()


@pytest.mark.parametrize("request_bytes", REQUESTS)
async def test_answers_are_uvicorns_byte_for_byte(request_bytes: bytes) -> None:
    expected = await answers(HttpToolsProtocol, [request_bytes], LAST[0])
    assert expected.count(b'"scope"') == (1 if b"HEAD" in request_bytes or b"/nothing" in request_bytes else 2)
    assert await answers(our_protocol(), [request_bytes], LAST[0]) == expected
    assert await answers(our_protocol(), [], request_bytes + LAST[0]) == expected
    for place in range(1, len(request_bytes), 5):
        assert await answers(our_protocol(), [request_bytes[:place], request_bytes[place:]], LAST[0]) == expected


@pytest.mark.parametrize("request_bytes", LAST)
async def test_connections_end_as_uvicorns_do(request_bytes: bytes) -> None:
    expected = await answers(HttpToolsProtocol, [REQUESTS[0]], request_bytes)
    assert expected.startswith(b"HTTP/1.1 200 OK\r\n")
    assert await answers(our_protocol(), [REQUESTS[0]], request_bytes) == expected


async def test_all_in_one_write_are_answered_in_order() -> None:
    data = b"".join(REQUESTS)
    expected = await answers(HttpToolsProtocol, [], data + LAST[0])
    assert expected.count(b"HTTP/1.1 2") == len(REQUESTS) + 1
    assert await answers(our_protocol(), [], data + LAST[0]) == expected


START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]}
WRONG: dict[str, list[Message]] = {
    "nothing": [],
    "a body first": [{"type": "http.response.body", "body": b"abc"}],
    "a header that is two": [{**START, "headers": [(b"a", b"b\r\nc: d")]}],
    "a header's name that is none": [{**START, "headers": [(b"a b", b"c")]}],
    "a head alone": [START],
    "two heads": [START, START],
    "too much": [START, {"type": "http.response.body", "body": b"abcd"}],
    "too little": [START, {"type": "http.response.body", "body": b"ab"}],
    "too little in parts": [START, {"type": "http.response.body", "body": b"ab", "more_body": True}],
    "more than all": [START, *[{"type": "http.response.body", "body": b"abc"}] * 2],
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_an_application_that_is_wrong_is_told_of_and_not_sent(
    wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's
        for message in WRONG[wrong]:
            await send(message)

    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        async with connected(app) as (reader, writer), asyncio.timeout(5):
            writer.write(REQUESTS[0])
            answer = await reader.read()
    assert re.search("ASGI (callable|application)", caplog.text)
    started = wrong in {"a head alone", "two heads", "too much", "too little", "too little in parts", "more than all"}
    assert answer.startswith(b"HTTP/1.1 200 " if started else b"HTTP/1.1 500 ")
    sent = {"more than all": b"abc", "too little in parts": b"ab"}.get(wrong, b"")
    assert answer.endswith(b"\r\n\r\n" + (sent if started else b"Internal Server Error"))


async def test_an_application_hears_that_its_client_is_gone() -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's
        await receive()
        await heard.put("waiting")
        both = await asyncio.gather(receive(), receive())
        await heard.put([message["type"] for message in (*both, await receive())])
        await send(START)  # to nobody

    async with connected(app) as (_, writer), asyncio.timeout(5):
        writer.write(REQUESTS[0])
        assert await heard.get() == "waiting"
        writer.close()
        assert await heard.get() == ["http.disconnect"] * 3


async def test_a_large_body_waits_for_the_application() -> None:
    may_go_on = asyncio.Event()
    sizes: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's
        more = True
        while more:
            await may_go_on.wait()
            message = await receive()
            sizes.append(len(message["body"]))
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"%d" % sum(sizes)})

    async with connected(app) as (reader, writer), asyncio.timeout(10):
        writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3000000\r\nConnection: close\r\n\r\n")
        writer.write(b"x" * 3_000_000)
        await asyncio.sleep(0.1)
        may_go_on.set()
        assert (await reader.read()).endswith(b"\r\n\r\n7\r\n3000000\r\n0\r\n\r\n")
    assert max(sizes) < 200_000
