"""Refusals as bodies in the form of GraphQL's errors, for HTTP, handshakes and the server: the one place for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.execution.errors import format_refusal
from userline.execution.operation import refuse
from userline.users.errors import BadUserInput, Problem

if TYPE_CHECKING:
    from userline.users.errors import UserlineError

JSON_TYPE: Final = "application/json; charset=utf-8"


def body_of(error: UserlineError) -> bytes:
    """Return the body that tells of a refusal."""
    return refuse([format_refusal(error)])


def body_of_bad_request(field: str, message: str) -> tuple[str, bytes]:
    """Return the media type and the body for a request of which one part is wrong, as the server asks for it."""
    return JSON_TYPE, body_of(BadUserInput([Problem(field, message)]))


class HTTPRefused(Exception):
    """A request that ends before any operation is looked at."""

    def __init__(self, status: int, field: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.answer = body_of_bad_request(field, message)[1]
        self.headers = headers or {}

    @classmethod
    def of(cls, error: UserlineError, status: int, headers: dict[str, str] | None = None) -> HTTPRefused:
        """Return the answer to a request that an error of ours ends."""
        refused = cls(status, "", error.message, headers)
        refused.answer = body_of(error)
        return refused
