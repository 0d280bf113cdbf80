"""Errors as the caller sees them: each with ``extensions.code``, unexpected ones masked and logged whole."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from graphql import GraphQLError

from userline.common.texts import cut
from userline.users.errors import BadUserInput, ErrorCode, UserlineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graphql.language.location import FormattedSourceLocation as FormattedLocation

logger = logging.getLogger("userline.execution")

FormattedError: TypeAlias = "dict[str, Any]"

_LONGEST_MESSAGE = 1000

_PYTHONS_NULL: Final = " not to be None."
"""How graphql-core ends a complaint about a null."""


def format_refusal(error: UserlineError) -> FormattedError:
    """Return the error that tells of a refusal, without a place in a document."""
    extensions: dict[str, Any] = {"code": error.code}
    if error.retry_after is not None:
        extensions["retryAfterSeconds"] = error.retry_after
    if isinstance(error, BadUserInput):
        extensions["field"] = error.field
        if len(error.problems) > 1:
            extensions["problems"] = [
                {"field": problem.field, "message": cut(problem.message, _LONGEST_MESSAGE)}
                for problem in error.problems
            ]
    return {"message": cut(error.message, _LONGEST_MESSAGE), "extensions": extensions}


def format_request_error(error: GraphQLError, code: ErrorCode, field: str | None = None) -> FormattedError:
    """Return an error of a document or its variables, found before anything was executed."""
    told = _told(error.message, code, field)
    if not error.locations:
        return told
    return {
        "message": told["message"],
        "locations": [location.formatted for location in error.locations],
        "extensions": told["extensions"],
    }


def format_field_error(error: GraphQLError, request_id: str) -> FormattedError:
    """Return an error of a field while it was executed.

    What is not a refusal of ours is logged with everything about it, and masked: the caller gets the request id.
    """
    original = _original(error)
    if original is None and error.message.startswith("Argument '"):
        # A variable left out or null where the argument needs a value: found only when the field is executed.
        field = error.message.removeprefix("Argument '").partition("'")[0]
        told = _told(error.message, ErrorCode.BAD_USER_INPUT, field)
    else:
        told = _tell(original or error, request_id)
    formatted = _placed(told, [location.formatted for location in error.locations or ()], error.path)
    _forget_frames(error)
    return formatted


def format_error_at(
    error: BaseException, request_id: str, locations: Sequence[FormattedLocation], path: list[str | int]
) -> FormattedError:
    """Return the error of a field that stands at these places of its document and is at this path of the response."""
    formatted = _placed(_tell(error, request_id), locations, path)
    _forget_frames(error)
    return formatted


def _tell(error: BaseException, request_id: str) -> FormattedError:
    return format_refusal(error) if isinstance(error, UserlineError) else mask(error, request_id)


def _placed(
    told: FormattedError, locations: Sequence[FormattedLocation], path: list[str | int] | None
) -> FormattedError:
    formatted: FormattedError = {"message": told["message"]}
    if locations:
        formatted["locations"] = locations
    if path is not None:
        formatted["path"] = path
    formatted["extensions"] = told["extensions"]
    return formatted


def _forget_frames(error: BaseException) -> None:
    """Drop the frames that an error went through, and with them all that they hold: they refer back to the error."""
    errors: list[BaseException | None] = [error]
    seen = set()
    while errors:
        each = errors.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            errors += (each.__cause__, each.__context__, getattr(each, "original_error", None))


def format_field_errors(errors: Iterable[GraphQLError], request_id: str) -> list[FormattedError]:
    """Return the errors of an execution."""
    return [format_field_error(error, request_id) for error in errors]


def mask(error: BaseException, request_id: str) -> FormattedError:
    """Log an unexpected exception whole, and return the error that says no more than where to find it."""
    logger.error("An operation failed unexpectedly (request id %s).", request_id, exc_info=error)
    return {
        "message": f"An internal error happened. The log of the gateway has the details under request id {request_id}.",
        "extensions": {"code": ErrorCode.INTERNAL_SERVER_ERROR, "requestId": request_id},
    }


def _original(error: GraphQLError) -> BaseException | None:
    """Return what a resolver raised, through every layer of wrapping, or None where graphql-core itself complains."""
    original: BaseException | None = error
    while isinstance(original, GraphQLError):
        original = original.original_error
    return original


def _told(message: str, code: ErrorCode, field: str | None) -> FormattedError:
    extensions = {"code": code} if field is None else {"code": code, "field": field}
    if message.endswith(_PYTHONS_NULL):
        message = message.removesuffix(_PYTHONS_NULL) + " not to be null."
    return {"message": cut(message, _LONGEST_MESSAGE), "extensions": extensions}
