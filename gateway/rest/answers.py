"""Answers of the REST API, refusals among them: ``{"errorCode": …, "reasons": […]}``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response

from userline.common.texts import cut
from userline.execution.errors import mask
from userline.gateway.refusals import STATUS, retry_after_of
from userline.users.errors import BadUserInput, BatchRefused, ErrorCode, UserlineError
from userline.users.rules import MAX_ID_CHARACTERS

if TYPE_CHECKING:
    from userline.gateway.body import BodyRefused

MOST_REASONS: Final = 100
"""How many reasons one error has at most, for each user."""

_LONGEST_REASON: Final = 1000


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return ``value`` as JSON that nobody keeps."""
    try:
        body = orjson.dumps(value)
    except orjson.JSONEncodeError:  # a refusal that shows what was sent, with half of a surrogate pair in it
        body = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    return Response(
        body,
        status,
        {
            "cache-control": "no-store",
            "content-type": "application/json; charset=utf-8",
            "x-content-type-options": "nosniff",
            **(headers or {}),
        },
    )


def not_modified(tag: str) -> Response:
    """Return that the client has the newest state of a user."""
    return Response(None, 304, {"cache-control": "no-store", "etag": tag})


def refuse(status: int, code: str, reason: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error with one reason."""
    return answer({"errorCode": code, "reasons": [reason]}, status, headers)


def refuse_body(refused: BodyRefused) -> Response:
    """Return the error that says why a body was not read."""
    return refuse(refused.status, ErrorCode.BAD_USER_INPUT, str(refused), refused.headers)


def refuse_error(error: UserlineError, headers: dict[str, str] | None = None) -> Response:
    """Return the error that tells of a refusal; that of a batch also says what is wrong with each user."""
    value = _told(error)
    if error.retry_after is not None:
        value["retryAfterSeconds"] = error.retry_after
    if isinstance(error, BatchRefused):
        value["users"] = {cut(user_id, MAX_ID_CHARACTERS): _told(one) for user_id, one in error.errors.items()}
    return answer(value, STATUS[error.code], retry_after_of(error) | (headers or {}))


def fail(error: Exception, request_id: str) -> Response:
    """Log an unexpected exception whole, and return the error that says no more than where to find it."""
    return refuse(500, ErrorCode.INTERNAL_SERVER_ERROR, mask(error, request_id)["message"])


def _told(error: UserlineError) -> dict[str, Any]:
    reasons = [problem.message for problem in error.problems] if isinstance(error, BadUserInput) else [error.message]
    shown = [cut(reason, _LONGEST_REASON) for reason in reasons]
    if len(shown) > MOST_REASONS:
        shown[MOST_REASONS - 1 :] = [f"There are {len(reasons) - MOST_REASONS + 1} more reasons."]
    return {"errorCode": error.code, "reasons": shown}
