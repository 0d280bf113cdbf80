"""Responses, and the errors that stop an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from userline.execution.errors import format_refusal
from userline.users.errors import OperationTooComplex, StoreUnavailable

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
        return refuse(self.errors)


class VariablesRefused(RequestRefused):
    """The variables do not fit the document, which could be executed with others."""


class SubscriptionFailed(Exception):
    """A subscription cannot begin or go on."""

    def __init__(self, errors: list[FormattedError]) -> None:
        super().__init__(errors)
        self.errors = errors


class AnswerTooLarge(OperationTooComplex):
    """The response would be larger than the limit. It is raised before the response is made."""

    def __init__(self, most: int, *, writes: bool = False) -> None:
        done = " Writes of this operation may have been done. All writes are safe to repeat." if writes else ""
        super().__init__(
            f"The answer would be larger than {most} bytes, which is the limit for an answer and for a whole batch "
            f"(USERLINE_MAX_ANSWER_BYTES). Request fewer users or fields at a time.{done}"
        )

    @property
    def response(self) -> Response:
        """The response."""
        return respond(None, [format_refusal(self)])


class AnswerBudget:
    """How many bytes a response may still have, also within the budget of a batch."""

    __slots__ = ("_taken", "_within", "most")

    def __init__(self, most: int, within: AnswerBudget | None = None) -> None:
        self.most = most
        self._within = within
        self._taken = 0

    @property
    def left(self) -> int:
        """How many bytes there is room for."""
        left = self.most - self._taken
        return left if self._within is None else min(left, self._within.left)

    def charge(self, number: int, *, writes: bool = False) -> None:
        """Count what has been made of the answer. Raises AnswerTooLarge; then all is given back."""
        self._count(number)
        if self.left < 0:
            self._count(-self._taken)
            raise AnswerTooLarge(self.most, writes=writes)

    def _count(self, number: int) -> None:
        self._taken += number
        if self._within is not None:
            self._within._count(number)  # noqa: SLF001 - its own kind


def refuse(errors: list[FormattedError]) -> Response:
    """Return the response to what was not executed."""
    return orjson.dumps({"errors": errors})


def respond(data: Any, errors: list[FormattedError]) -> Response:
    """Return the response of an operation that was executed."""
    return orjson.dumps({"data": data, "errors": errors} if errors else {"data": data})


def out_of_time(seconds: float) -> Response:
    """Return the response of an operation that took too long."""
    refusal = StoreUnavailable(
        f"The operation took longer than {seconds:g} s, which is the limit. A write of this operation may still be "
        "done. All writes are safe to repeat."
    )
    return respond(None, [format_refusal(refusal)])
