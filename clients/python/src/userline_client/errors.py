"""The errors of the client. Each class has a ``code``.

::

    UserlineError
    ├── ServerError               an error that the gateway sent; ``code`` is its ``extensions.code``
    │   ├── BadUserInput          BAD_USER_INPUT: fields of an input are wrong, all of them in ``problems``
    │   │   └── NameRequired      NAME_REQUIRED: a user would be created without a name
    │   ├── Unauthenticated       UNAUTHENTICATED: there is no token, or it is not valid
    │   ├── Forbidden             FORBIDDEN
    │   ├── UserSyncDisabled      USER_SYNC_DISABLED: user tokens may not write users in this deployment
    │   ├── StoreUnavailable      STORE_UNAVAILABLE: try again
    │   ├── RateLimited           RATE_LIMITED: try again later
    │   ├── OperationTooComplex   OPERATION_TOO_COMPLEX
    │   ├── DocumentNotTrusted    DOCUMENT_NOT_TRUSTED: the gateway does not serve this client's documents
    │   ├── PersistedQueryNotFound, PersistedQueryNotSupported
    │   ├── GraphQLParseFailed, GraphQLValidationFailed
    │   └── InternalServerError   INTERNAL_SERVER_ERROR: unexpected; ``request_id`` finds it in the gateway's log
    ├── InvalidInput              INVALID_INPUT: refused by the client, nothing was sent; also a ValueError
    ├── ConnectionTimeout         CONNECTION_TIMEOUT: no answer in time
    │   └── Disconnected          DISCONNECTED: no answer in time, because there is no connection
    │       └── ConnectionRefused CONNECTION_REFUSED: no answer in time, because the gateway closes every socket
    ├── TooManyWatches            TOO_MANY_WATCHES: more users are watched than the session's sockets allow
    ├── ProtocolError             PROTOCOL_ERROR: the gateway sent something that the client does not understand
    ├── SubscriptionEnded         SUBSCRIPTION_ENDED: unsubscribed before the first snapshot
    └── SessionClosed             SESSION_CLOSED: the session is closed
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

_MAX_PAUSE: Final = 300.0


class UserlineError(Exception):
    """The base class of all errors of this client. ``code`` is the kind of error, ``message`` is a sentence."""

    code: str = "UNKNOWN"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ServerError(UserlineError):
    """An error that the gateway sent. ``code`` is ``extensions["code"]``."""

    known: ClassVar[dict[str, type[ServerError]]] = {}

    def __init__(self, message: str, extensions: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.extensions: dict[str, Any] = extensions or {}
        code = self.extensions.get("code")
        if isinstance(code, str):
            self.code = code

    @property
    def retry_after(self) -> float | None:
        """After how many seconds to try again, as the gateway says; at most 300. ``None`` if it does not say it."""
        seconds = self.extensions.get("retryAfterSeconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
            return None
        return float(min(seconds, _MAX_PAUSE))

    def __init_subclass__(cls) -> None:
        """Note which class stands for which code."""
        super().__init_subclass__()
        cls.known[cls.code] = cls


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input."""

    field: str
    """The gateway's name of the field, such as ``photoUrl``."""
    message: str
    """A sentence that says what is wrong."""


class BadUserInput(ServerError):
    """One or more fields are not valid. Nothing was written."""

    code = "BAD_USER_INPUT"

    @property
    def field(self) -> str | None:
        """The gateway's name of the first field that is wrong. ``None`` if the error is not about a field."""
        field = self.extensions.get("field")
        return field if isinstance(field, str) else None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that is wrong, in the order of the fields in the API."""
        problems = self.extensions.get("problems")
        if isinstance(problems, list):
            return tuple(Problem(problem["field"], problem["message"]) for problem in problems)
        return () if self.field is None else (Problem(self.field, self.message),)


class NameRequired(BadUserInput):
    """The user does not exist, and the input has no name to create it with. Nothing was written."""

    code = "NAME_REQUIRED"


class Unauthenticated(ServerError):
    """There is no token, or it is not valid."""

    code = "UNAUTHENTICATED"


class Forbidden(ServerError):
    """The token does not allow this."""

    code = "FORBIDDEN"


class UserSyncDisabled(ServerError):
    """User tokens may not write users at this gateway."""

    code = "USER_SYNC_DISABLED"


class StoreUnavailable(ServerError):
    """The gateway's store did not answer. A write may or may not have been done. All writes are safe to repeat."""

    code = "STORE_UNAVAILABLE"


class RateLimited(ServerError):
    """Too many requests, or too many subscriptions at once. ``message`` names the limit, ``retry_after`` the pause."""

    code = "RATE_LIMITED"


class OperationTooComplex(ServerError):
    """An operation exceeds a limit of the gateway, which ``message`` names."""

    code = "OPERATION_TOO_COMPLEX"


class DocumentNotTrusted(ServerError):
    """The gateway serves only trusted documents, and the documents of this client are not among them."""

    code = "DOCUMENT_NOT_TRUSTED"


class PersistedQueryNotFound(ServerError):
    """The gateway does not know the hash of a document. (This client sends no hashes.)"""

    code = "PERSISTED_QUERY_NOT_FOUND"


class PersistedQueryNotSupported(ServerError):
    """The gateway does not keep documents by their hash. (This client sends no hashes.)"""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"


class GraphQLParseFailed(ServerError):
    """The gateway could not parse a document of this client."""

    code = "GRAPHQL_PARSE_FAILED"


class GraphQLValidationFailed(ServerError):
    """A document of this client does not fit the gateway's schema: their versions are not compatible."""

    code = "GRAPHQL_VALIDATION_FAILED"


class InternalServerError(ServerError):
    """An unexpected error in the gateway."""

    code = "INTERNAL_SERVER_ERROR"

    @property
    def request_id(self) -> str | None:
        """The request id under which the gateway's log has the details."""
        request_id = self.extensions.get("requestId")
        return request_id if isinstance(request_id, str) else None


class InvalidInput(UserlineError, ValueError):
    """An argument is not valid. Nothing was sent."""

    code = "INVALID_INPUT"


class ConnectionTimeout(UserlineError):
    """No answer came within ``timeout``. A write may or may not have been done. All writes are safe to repeat."""

    code = "CONNECTION_TIMEOUT"


class Disconnected(ConnectionTimeout):
    """No answer came within ``timeout``, and there is no connection."""

    code = "DISCONNECTED"


class ConnectionRefused(Disconnected):
    """No answer came within ``timeout``, because the gateway closes every socket, for a temporary reason.

    ``close_code`` is the WebSocket close code (PROTOCOL.md has all of them).
    """

    code = "CONNECTION_REFUSED"

    def __init__(self, message: str, close_code: int) -> None:
        super().__init__(message)
        self.close_code = close_code


class TooManyWatches(UserlineError):
    """More users are watched than the sockets of one session allow."""

    code = "TOO_MANY_WATCHES"


class ProtocolError(UserlineError):
    """The gateway sent something that this client does not understand, or there is no gateway at the URL.

    ``close_code`` is the WebSocket close code, or ``None`` if the socket was not closed for it.
    """

    code = "PROTOCOL_ERROR"

    def __init__(self, message: str, close_code: int | None = None) -> None:
        super().__init__(message)
        self.close_code = close_code


class SubscriptionEnded(UserlineError):
    """The subscription was ended before its first snapshot."""

    code = "SUBSCRIPTION_ENDED"


class SessionClosed(UserlineError):
    """The session is closed."""

    code = "SESSION_CLOSED"

    def __init__(self, message: str = "The session is closed.") -> None:
        super().__init__(message)


def error_from(errors: Any) -> UserlineError:
    """Return the first of a list of GraphQL errors, as the class of its code."""
    match errors:
        case [{"message": str(message), **rest}, *_]:
            extensions = rest.get("extensions")
            if not isinstance(extensions, dict):
                extensions = {}
            return ServerError.known.get(str(extensions.get("code")), ServerError)(message, extensions)
    return ProtocolError("The gateway sent an error that is not valid.")
