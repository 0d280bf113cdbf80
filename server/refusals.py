"""Error responses to requests that do not reach the application."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

RefusalBody: TypeAlias = "Callable[[str, str], tuple[str, bytes]]"
"""Returns the media type and the body that tell of a refusal: given the part of the request that is wrong, and why."""


class Malformed(Exception):
    """The bytes are not a valid request. The connection is closed after the response.

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
