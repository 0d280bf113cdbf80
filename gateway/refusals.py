"""Error responses in GraphQL's form, for HTTP, handshakes and the server."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from userline.execution.errors import format_refusal
from userline.execution.operation import refuse
from userline.users.errors import BadUserInput, ErrorCode, Problem, RestErrorCode

if TYPE_CHECKING:
    from userline.users.errors import UserlineError

JSON_TYPE: Final = "application/json; charset=utf-8"

STATUS: Final[dict[str, int]] = {
    ErrorCode.BAD_USER_INPUT: 400,
    ErrorCode.NAME_REQUIRED: 400,
    ErrorCode.OPERATION_TOO_COMPLEX: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.USER_SYNC_DISABLED: 403,
    RestErrorCode.PRECONDITION_FAILED: 412,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.STORE_UNAVAILABLE: 503,
}
"""What HTTP says of a refusal, by its code."""


def body_of(error: UserlineError) -> bytes:
    """Return the body that tells of a refusal."""
    return refuse([format_refusal(error)])


def body_of_bad_request(field: str, message: str) -> tuple[str, bytes]:
    """Return the media type and the body for a request of which one part is wrong, as the server asks for it."""
    return JSON_TYPE, body_of(BadUserInput([Problem(field, message)]))


def retry_after_of(error: UserlineError) -> dict[str, str]:
    """Return the header that says when to come back, in whole seconds, if waiting helps."""
    return {} if error.retry_after is None else {"retry-after": str(math.ceil(error.retry_after))}


class HTTPRefused(Exception):
    """A request that is refused before its operation is read."""

    def __init__(self, status: int, field: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.answer = body_of_bad_request(field, message)[1]
        self.headers = headers or {}

    @classmethod
    def of(cls, error: UserlineError, status: int | None = None, headers: dict[str, str] | None = None) -> HTTPRefused:
        """Return the answer to a request that an error of ours ends. It says when to come back, if waiting helps.

        ``status`` is another one than that of its code.
        """
        refused = cls(status or STATUS[error.code], "", error.message, retry_after_of(error) | (headers or {}))
        refused.answer = body_of(error)
        return refused
