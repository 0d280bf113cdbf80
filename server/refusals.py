"""Answers of the connection itself, to requests that no application hears of."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import orjson

from userline.execution.errors import format_refusal
from userline.users.errors import BadUserInput, Problem

STOPPING: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 55\r\n"
    b"retry-after: 1\r\nconnection: close\r\n\r\nThis gateway is being stopped. Connect to another one.\n"
)
"""To a handshake of a gateway that is about to end."""


class Malformed(Exception):
    """What was sent is no request that can be understood; after the answer the connection is closed.

    ``field`` is the part of the request that is wrong.
    """

    def __init__(self, field: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.field = field
        self.status = status


def refusal(status: int, field: str, message: str) -> bytes:
    """Return a whole answer after which the connection is closed: an error in the form of GraphQL's."""
    body = orjson.dumps({"errors": [format_refusal(BadUserInput([Problem(field, message)]))]})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
