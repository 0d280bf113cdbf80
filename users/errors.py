"""The errors of userline, in one place, each with its stable code.

::

    UserlineError                a refusal that the caller may read
    ├── BadUserInput             BAD_USER_INPUT: one or more fields of an input are wrong
    │   └── NameRequired         NAME_REQUIRED: a user would be created without a name
    ├── BatchRefused             BAD_USER_INPUT: some users of a batch are wrong
    ├── ConditionFailed          PRECONDITION_FAILED: the user is not as the request says that it must be
    ├── Unauthenticated          UNAUTHENTICATED: who is asking is not known
    ├── Forbidden                FORBIDDEN: who is asking may not do this
    ├── UserSyncDisabled         USER_SYNC_DISABLED: clients may not write users in this deployment
    ├── StoreUnavailable         STORE_UNAVAILABLE: the store did not answer
    ├── RateLimited              RATE_LIMITED: too many requests
    ├── OperationTooComplex      OPERATION_TOO_COMPLEX: an operation past a limit of the gateway
    ├── DocumentNotTrusted       DOCUMENT_NOT_TRUSTED: a document other than the ones that this gateway serves
    ├── PersistedQueryNotFound   PERSISTED_QUERY_NOT_FOUND: only a document's hash came, and it is not known
    └── PersistedQueryNotSupported  PERSISTED_QUERY_NOT_SUPPORTED: this gateway does not keep documents by their hash

Everything else that is raised while an operation runs is unexpected: the caller sees ``INTERNAL_SERVER_ERROR`` and a
request id, the log sees all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from userline.users.quoting import quoted, quoted_few

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ErrorCode(StrEnum):
    """The values of ``extensions.code`` of an error."""

    BAD_USER_INPUT = "BAD_USER_INPUT"
    NAME_REQUIRED = "NAME_REQUIRED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    USER_SYNC_DISABLED = "USER_SYNC_DISABLED"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    RATE_LIMITED = "RATE_LIMITED"
    OPERATION_TOO_COMPLEX = "OPERATION_TOO_COMPLEX"
    DOCUMENT_NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"


class RestErrorCode(StrEnum):
    """The codes that only the REST API has."""

    NOT_FOUND = "NOT_FOUND"
    PRECONDITION_FAILED = "PRECONDITION_FAILED"


class UserlineError(Exception):
    """The base class of errors whose message is meant for the caller."""

    code: ClassVar[ErrorCode | RestErrorCode]
    retry_after: float | None = None
    """After how many seconds the same may be allowed, more than 0; None if waiting does not help."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input.

    ``field`` is the contract's name of the field (``photoUrl``), ``message`` a sentence that starts with that name.
    """

    field: str
    message: str


class BadUserInput(UserlineError):
    """One or more fields of an input are not valid; nothing was written.

    ``problems`` has every one of them, in the order of the contract's fields; ``field`` is the first one's.
    """

    code = ErrorCode.BAD_USER_INPUT

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        if not self.problems:
            raise ValueError("BadUserInput needs at least one problem.")
        super().__init__(" ".join(problem.message for problem in self.problems))

    @property
    def field(self) -> str:
        """The contract's name of the first bad field."""
        return self.problems[0].field


class NameRequired(BadUserInput):
    """The user does not exist and the input has no name to create it with; nothing was written."""

    code = ErrorCode.NAME_REQUIRED

    def __init__(self, user_id: str) -> None:
        super().__init__([Problem("name", f"name is required, because there is no user {quoted(user_id)} yet.")])


class BatchRefused(UserlineError):
    """Some users of a batch were refused, so nothing was written.

    ``errors`` says why, by user id, in the order of the batch.
    """

    code = ErrorCode.BAD_USER_INPUT

    def __init__(self, errors: Mapping[str, BadUserInput]) -> None:
        self.errors = dict(errors)
        if not self.errors:
            raise ValueError("BatchRefused needs at least one error.")
        are = "is" if len(self.errors) == 1 else "are"
        super().__init__(f"{quoted_few(self.errors)} {are} refused, so no user of the batch was written.")


class ConditionFailed(UserlineError):
    """The user is not at a version that the request allows; nothing was written."""

    code = RestErrorCode.PRECONDITION_FAILED


class Unauthenticated(UserlineError):
    """There is no valid token."""

    code = ErrorCode.UNAUTHENTICATED


class Forbidden(UserlineError):
    """The viewer is not allowed to do this."""

    code = ErrorCode.FORBIDDEN


class UserSyncDisabled(UserlineError):
    """User tokens may not write users in this deployment."""

    code = ErrorCode.USER_SYNC_DISABLED


class StoreUnavailable(UserlineError):
    """The store did not answer. A write may or may not have been done; all writes are safe to repeat."""

    code = ErrorCode.STORE_UNAVAILABLE
    retry_after = 1.0

    def __init__(self, message: str = "The user store is not available right now. Try again in a moment.") -> None:
        super().__init__(message)


class RateLimited(UserlineError):
    """Too many requests, operations or sockets; it may be allowed after ``retry_after`` seconds."""

    code = ErrorCode.RATE_LIMITED

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OperationTooComplex(UserlineError):
    """An operation exceeds one of the gateway's limits, which the message names."""

    code = ErrorCode.OPERATION_TOO_COMPLEX


class DocumentNotTrusted(UserlineError):
    """The document is not one of the trusted documents of this gateway."""

    code = ErrorCode.DOCUMENT_NOT_TRUSTED

    def __init__(self) -> None:
        super().__init__("This gateway serves only trusted documents, and this document is not one of them.")


class PersistedQueryNotFound(UserlineError):
    """Only the hash of a document came, and it is not known. Clients go by the message: they send the document too."""

    code = ErrorCode.PERSISTED_QUERY_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


class PersistedQueryNotSupported(UserlineError):
    """This gateway does not keep documents by their hash. Clients go by the message, and send no more hashes."""

    code = ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")
