"""The errors: their codes, their texts, and what they know."""

from __future__ import annotations

import math
import re

import orjson
import pytest

from userline.execution.errors import format_refusal
from userline.gateway.refusals import HTTPRefused
from userline.gateway.rest.answers import refuse_error
from userline.gateway.websocket.protocol import CloseCode, Closed
from userline.users.errors import (
    BadUserInput,
    BatchRefused,
    ErrorCode,
    Forbidden,
    NameRequired,
    OperationTooComplex,
    Problem,
    RateLimited,
    StoreUnavailable,
    Unauthenticated,
    UserlineError,
    UserSyncDisabled,
)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            BadUserInput([Problem("name", "name must not be empty.")]),
            "BAD_USER_INPUT",
            "name must not be empty.",
        ),
        (NameRequired("a"), "NAME_REQUIRED", 'name is required, because there is no user "a" yet.'),
        (
            BatchRefused({"a": NameRequired("a")}),
            "BAD_USER_INPUT",
            '"a" is refused, so no user of the batch was written.',
        ),
        (
            BatchRefused(dict.fromkeys("ab", NameRequired("a"))),
            "BAD_USER_INPUT",
            '"a" and "b" are refused, so no user of the batch was written.',
        ),
        (Unauthenticated("Who are you?"), "UNAUTHENTICATED", "Who are you?"),
        (Forbidden("Not yours."), "FORBIDDEN", "Not yours."),
        (UserSyncDisabled("Off."), "USER_SYNC_DISABLED", "Off."),
        (
            StoreUnavailable(),
            "STORE_UNAVAILABLE",
            "The user store is not available right now. Try again in a moment.",
        ),
        (RateLimited("Slow down."), "RATE_LIMITED", "Slow down."),
        (OperationTooComplex("Too deep."), "OPERATION_TOO_COMPLEX", "Too deep."),
    ],
)
def test_each_error_has_its_code_and_its_text(error: UserlineError, code: str, text: str) -> None:
    assert error.code == code
    assert str(error) == error.message == text
    assert isinstance(error, UserlineError)


def test_the_codes_are_those_of_the_contract() -> None:
    assert [str(code) for code in ErrorCode] == [
        "BAD_USER_INPUT",
        "NAME_REQUIRED",
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "USER_SYNC_DISABLED",
        "STORE_UNAVAILABLE",
        "RATE_LIMITED",
        "OPERATION_TOO_COMPLEX",
        "DOCUMENT_NOT_TRUSTED",
        "PERSISTED_QUERY_NOT_FOUND",
        "PERSISTED_QUERY_NOT_SUPPORTED",
        "INTERNAL_SERVER_ERROR",
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
    ]


def test_bad_input_has_every_problem_and_the_first_field() -> None:
    problems = [Problem("locale", "locale is wrong."), Problem("email", "email is wrong.")]
    error = BadUserInput(iter(problems))
    assert error.problems == tuple(problems)
    assert error.field == "locale"
    assert str(error) == "locale is wrong. email is wrong."


def test_bad_input_without_a_problem_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="at least one problem"):
        BadUserInput([])


def test_a_batch_without_an_error_is_not_refused() -> None:
    with pytest.raises(ValueError, match="at least one error"):
        BatchRefused({})


def test_a_missing_name_is_bad_input_of_the_name() -> None:
    error = NameRequired("a")
    assert isinstance(error, BadUserInput)
    assert error.field == "name"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (StoreUnavailable(), 1),
        (StoreUnavailable("The keys are away."), 1),
        (RateLimited("Slow down."), 1),
        (RateLimited("Slow down.", 0.3), 0.3),
        (RateLimited("Slow down.", 12.5), 12.5),
        (BadUserInput([Problem("name", "name must not be empty.")]), None),
        (BatchRefused({"a": NameRequired("a")}), None),
        (Unauthenticated("Who are you?"), None),
        (Forbidden("Not yours."), None),
        (UserSyncDisabled("Off."), None),
        (OperationTooComplex("Too deep."), None),
    ],
)
def test_what_passes_says_when_at_every_door(error: UserlineError, seconds: float | None) -> None:
    told = format_refusal(error)["extensions"]
    rest = refuse_error(error)
    header = rest.headers.get("retry-after")
    assert HTTPRefused.of(error, 400).headers == ({} if header is None else {"retry-after": header})
    if seconds is None:
        assert error.retry_after is None
        assert header is None
        assert "retryAfterSeconds" not in told
        assert "retryAfterSeconds" not in orjson.loads(rest.body)
        return
    assert told["retryAfterSeconds"] == orjson.loads(rest.body)["retryAfterSeconds"] == seconds
    assert header == str(math.ceil(seconds))
    reasons = [Closed.for_now(CloseCode.TRY_AGAIN_LATER, error).reason for _ in range(20)]
    hints = [float(reason.rpartition("; retry after ")[2].removesuffix(" s")) for reason in reasons]
    assert all(seconds - 0.05 <= hint <= 1.5 * seconds + 0.05 for hint in hints)
    assert len(set(hints)) > 1, "not all come back at once"


@pytest.mark.parametrize("message", ["x" * 300, "🙂" * 100, "é" * 61, "", "a." * 60])
def test_a_close_says_when_to_come_back_however_long_its_reason_is(message: str) -> None:
    reason = Closed.for_now(CloseCode.RATE_LIMITED, RateLimited(message, 1000)).reason
    assert len(reason.encode()) <= 123
    assert re.search(r"; retry after 1\d\d\d\.\d s$", reason)
