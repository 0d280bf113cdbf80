"""Answers of the connection itself, to requests that no application hears of."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

STOPPING: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 55\r\n"
    b"retry-after: 1\r\nconnection: close\r\n\r\nThis gateway is being stopped. Connect to another one.\n"
)
"""To a handshake of a gateway that is about to end."""


RefusalBody: TypeAlias = "Callable[[str, str], tuple[str, bytes]]"
"""Returns the media type and the body that tell of a refusal: given the part of the request that is wrong, and why."""


class Malformed(Exception):
    """What was sent is no request that can be understood; after the answer the connection is closed.

    ``field`` is the part of the request that is wrong.
    """

    def __init__(self, field: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.field = field
        self.status = status


def plain_body(field: str, message: str) -> tuple[str, bytes]:
    """Return the body of a refusal in words."""
    return "text/plain; charset=utf-8", f"{field}: {message}\n".encode()


def refusal(status: int, media_type: str, body: bytes, more_lines: bytes = b"") -> bytes:
    """Return a whole answer after which the connection is closed. ``more_lines`` are whole lines of its head."""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {media_type}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n"
    )
    return b"%b%b\r\n%b" % (head.encode(), more_lines, body)
