"""A request that is answered before its body has come: the answer says whether the connection can be used again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.raw_http import raw_connection, raw_post

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gateway import RunningGateway

PAGE = 65_536
MIB = 1_048_576
SIZES = (1, PAGE, MIB - 1, MIB, MIB + 1, MIB + 13, MIB + PAGE, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB)
TARGETS = {"too large, or not JSON": b"/graphql", "not there": b"/nothing", "not allowed": b"/healthz"}
NEXT = raw_post(b'{"query": "{ __typename }"}')


def sized(target: bytes, size: int) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (target, size) + b" " * size


def chunked(target: bytes, size: int) -> bytes:
    head = (
        b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    whole, rest = divmod(size, PAGE)
    chunks = [b"%x\r\n%b\r\n" % (length, b" " * length) for length in [PAGE] * whole + [rest] * bool(rest)]
    return head % target + b"".join(chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize("request_of", [sized, chunked])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_connection_ends_only_if_the_answer_said_so(
    each_gateway: RunningGateway, target: bytes, request_of: Callable[[bytes, int], bytes]
) -> None:
    for size in SIZES:
        with raw_connection(each_gateway) as connection:
            with suppress(ConnectionError):  # the rest of the body meets an end that was said
                connection.send(request_of(target, size))
            answer = connection.read()[0]
            assert 400 <= answer.status < 500, (size, answer)
            if answer.headers.get("connection") == "close":
                assert connection.read() == [], size
            else:
                assert connection.ask(NEXT).body == b'{"data":{"__typename":"Query"}}', size
