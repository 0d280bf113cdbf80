"""Responses, and what keeps an operation from having one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from userline.execution.errors import format_refusal
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from userline.execution.errors import FormattedError

Response: TypeAlias = bytes
"""A GraphQL response as JSON: ``data`` (unless nothing was executed) and ``errors`` (if there are any)."""


class RequestRefused(Exception):
    """The request cannot be executed: a bad document, operation name or variable. Nothing was executed."""

    def __init__(self, errors: list[FormattedError]) -> None:
        super().__init__(errors)
        self.errors = errors

    @property
    def response(self) -> Response:
        """The response."""
        return orjson.dumps({"errors": self.errors})


class SubscriptionFailed(Exception):
    """A subscription cannot start or go on."""

    def __init__(self, errors: list[FormattedError]) -> None:
        super().__init__(errors)
        self.errors = errors


def respond(data: Any, errors: list[FormattedError]) -> Response:
    """Return the response of an operation that was executed."""
    return orjson.dumps({"data": data, "errors": errors} if errors else {"data": data})


def out_of_time(seconds: float) -> Response:
    """Return the response of an operation that took too long."""
    refusal = StoreUnavailable(
        f"The operation took longer than {seconds:g} s, which is the limit. A write may yet be done; all of them are "
        "safe to repeat."
    )
    return respond(None, [format_refusal(refusal)])
