"""HTTP/1.1 as bytes: requests laid by hand, and the responses that come back on one connection."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import httptools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.gateway import RunningGateway


class RawResponse(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class RawConnection:
    """One connection. Interim responses (100) are passed over."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self._responses: list[RawResponse] = []
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, count: int = 1) -> list[RawResponse]:
        """Return the next ``count`` responses; fewer if the gateway closes the connection."""
        while len(self._responses) < count:
            data = self.socket.recv(262_144)
            if not data:
                break
            self._parser.feed_data(data)
        found, self._responses = self._responses[:count], self._responses[count:]
        return found

    def ask(self, request: bytes) -> RawResponse:
        self.send(request)
        return self.read()[0]

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != 100:
            self._responses.append(RawResponse(status, self._headers, self._body))


@contextmanager
def raw_connection(gateway: RunningGateway, *, timeout: float = 20) -> Iterator[RawConnection]:
    """Open a connection, and close it on the way out."""
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout) as made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield RawConnection(made)


def raw_post(body: bytes, *headers: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    """Return a request to ``/graphql``."""
    lines = [
        b"POST /graphql " + version,
        b"Host: 127.0.0.1",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
