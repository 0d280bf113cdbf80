"""The errors of the client, in one place, each with a ``code``.

::

    UserlineError
    ├── ServerError               the gateway refused; ``code`` is its ``extensions.code``
    │   ├── BadUserInput          BAD_USER_INPUT: fields of an input are wrong, all of them in ``problems``
    │   │   └── NameRequired      NAME_REQUIRED: a user would be created without a name
    │   ├── Unauthenticated       UNAUTHENTICATED: there is no token, or it is not good
    │   ├── Forbidden             FORBIDDEN
    │   ├── UserSyncDisabled      USER_SYNC_DISABLED: user tokens may not write users in this deployment
    │   ├── StoreUnavailable      STORE_UNAVAILABLE: try again
    │   ├── RateLimited           RATE_LIMITED: try again later
    │   ├── OperationTooComplex   OPERATION_TOO_COMPLEX
    │   ├── DocumentNotTrusted    DOCUMENT_NOT_TRUSTED: the gateway does not serve this client's documents
    │   ├── PersistedQueryNotFound, PersistedQueryNotSupported
    │   ├── GraphQLParseFailed, GraphQLValidationFailed
    │   └── InternalServerError   INTERNAL_SERVER_ERROR: unexpected; ``request_id`` leads to the gateway's log
    ├── InvalidInput              INVALID_INPUT: refused here, before anything was sent; also a ValueError
    ├── ConnectionTimeout         CONNECTION_TIMEOUT: no answer in time
    │   └── Disconnected          DISCONNECTED: no answer in time, because there is no connection
    │       └── ConnectionRefused CONNECTION_REFUSED: no answer in time, because the gateway closes every socket
    ├── TooManyWatches            TOO_MANY_WATCHES: more than a session's sockets may carry
    ├── ProtocolError             PROTOCOL_ERROR: client and gateway do not understand each other
    ├── SubscriptionEnded         SUBSCRIPTION_ENDED: unsubscribed before the first snapshot
    └── SessionClosed             SESSION_CLOSED: the session is closed
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

_MAX_PAUSE: Final = 300.0


class UserlineError(Exception):
    """Everything that this client raises. ``code`` names the kind, ``message`` is a sentence."""

    code: str = "UNKNOWN"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ServerError(UserlineError):
    """The gateway refused. ``extensions`` is what it said beside the message."""

    known: ClassVar[dict[str, type[ServerError]]] = {}

    def __init__(self, message: str, extensions: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.extensions: dict[str, Any] = extensions or {}
        code = self.extensions.get("code")
        if isinstance(code, str):
            self.code = code

    @property
    def retry_after(self) -> float | None:
        """In how many seconds the gateway says to try again, if it does."""
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
    """One thing that is wrong with an input: the contract's name of the field (``photoUrl``), and a sentence."""

    field: str
    message: str


class BadUserInput(ServerError):
    """One or more fields are wrong; nothing was written."""

    code = "BAD_USER_INPUT"

    @property
    def field(self) -> str | None:
        """The contract's name of the first bad field, if the error is about one."""
        field = self.extensions.get("field")
        return field if isinstance(field, str) else None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong, in the order of the contract's fields."""
        problems = self.extensions.get("problems")
        if isinstance(problems, list):
            return tuple(Problem(problem["field"], problem["message"]) for problem in problems)
        return () if self.field is None else (Problem(self.field, self.message),)


class NameRequired(BadUserInput):
    """The user does not exist, and there is no name to create it with; nothing was written."""

    code = "NAME_REQUIRED"


class Unauthenticated(ServerError):
    """There is no token, or it is not good."""

    code = "UNAUTHENTICATED"


class Forbidden(ServerError):
    """The token's owner may not do this."""

    code = "FORBIDDEN"


class UserSyncDisabled(ServerError):
    """User tokens may not write users in this deployment."""

    code = "USER_SYNC_DISABLED"


class StoreUnavailable(ServerError):
    """The store did not answer. A write may or may not have been done; all writes are safe to repeat."""

    code = "STORE_UNAVAILABLE"


class RateLimited(ServerError):
    """Too many requests, or too many subscriptions at once; the message names the limit, ``retry_after`` the time."""

    code = "RATE_LIMITED"


class OperationTooComplex(ServerError):
    """An operation past a limit of the gateway."""

    code = "OPERATION_TOO_COMPLEX"


class DocumentNotTrusted(ServerError):
    """The gateway serves trusted documents only, and this client's are none of them."""

    code = "DOCUMENT_NOT_TRUSTED"


class PersistedQueryNotFound(ServerError):
    """The gateway does not know a document by its hash."""

    code = "PERSISTED_QUERY_NOT_FOUND"


class PersistedQueryNotSupported(ServerError):
    """The gateway keeps no documents by their hash."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"


class GraphQLParseFailed(ServerError):
    """The gateway could not parse a document of this client."""

    code = "GRAPHQL_PARSE_FAILED"


class GraphQLValidationFailed(ServerError):
    """A document of this client does not fit the gateway's schema: their versions are too far apart."""

    code = "GRAPHQL_VALIDATION_FAILED"


class InternalServerError(ServerError):
    """Something unexpected happened in the gateway."""

    code = "INTERNAL_SERVER_ERROR"

    @property
    def request_id(self) -> str | None:
        """What leads to the details in the gateway's log."""
        request_id = self.extensions.get("requestId")
        return request_id if isinstance(request_id, str) else None


class InvalidInput(UserlineError, ValueError):
    """An argument is wrong; nothing was sent."""

    code = "INVALID_INPUT"


class ConnectionTimeout(UserlineError):
    """No answer came in time. A write may or may not have been done; all writes are safe to repeat."""

    code = "CONNECTION_TIMEOUT"


class Disconnected(ConnectionTimeout):
    """No answer came in time, and there is no connection either."""

    code = "DISCONNECTED"


class ConnectionRefused(Disconnected):
    """The gateway closes every socket, for a reason that passes; ``close_code`` says which."""

    code = "CONNECTION_REFUSED"

    def __init__(self, message: str, close_code: int) -> None:
        super().__init__(message)
        self.close_code = close_code


class TooManyWatches(UserlineError):
    """More users are watched than the sockets of one session may carry."""

    code = "TOO_MANY_WATCHES"


class ProtocolError(UserlineError):
    """Client and gateway do not understand each other; ``close_code`` is the socket's, if it was closed for that."""

    code = "PROTOCOL_ERROR"

    def __init__(self, message: str, close_code: int | None = None) -> None:
        super().__init__(message)
        self.close_code = close_code


class SubscriptionEnded(UserlineError):
    """The subscription was ended before it had a first snapshot."""

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
