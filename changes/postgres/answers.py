"""What PostgreSQL's refusals, and asyncpg's, mean to whoever runs it."""

from __future__ import annotations

import re
import ssl
from typing import Final

from asyncpg import exceptions

from userline.changes.explanations import brief, named, shortened
from userline.changes.postgres.parts import TooLargeError
from userline.changes.protocol import Explanation


class StandbyError(Exception):
    """It is a standby, on which nothing can be listened to."""


class NotPostgresError(Exception):
    """What answers there does not speak as PostgreSQL does."""


class ClosedError(Exception):
    """The server, or something on the way, has closed the connection."""


def explain(error: BaseException) -> Explanation:
    """Return what a failure of the bus means. It has no password in it."""
    for kinds, text, advice in _KNOWN:
        if isinstance(error, kinds):
            return Explanation(kinds[0].__name__, text.format(brief(error)), advice)
    if isinstance(error, exceptions.PostgresError) and error.sqlstate is not None:
        return Explanation(str(error.sqlstate), f"PostgreSQL refuses: {brief(error)}", _LOOK)
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return Explanation("no TLS", "PostgreSQL offers no TLS", "Turn it on there (ssl = on), or leave sslmode out.")
    if isinstance(error, OSError):
        # Without its numbers, such as those of ports, it is the same however often it is tried.
        return Explanation(shortened(re.sub(r"\W|\d", "", str(error))), brief(error), _LOOK)
    return Explanation("garbage", f"What answers there does not speak as PostgreSQL does ({named(error)})", _ADDRESS)


_ADDRESS: Final = "Correct USERLINE_BUS_URL: it is postgres://USER:PASSWORD@HOST:PORT/DATABASE of a PostgreSQL."
_LOOK: Final = (
    "Check that PostgreSQL runs, that this machine may reach it, and the address and password in USERLINE_BUS_URL."
)
_TLS: Final = (
    "Correct sslmode and the files that sslrootcert, sslcert and sslkey name in USERLINE_BUS_URL (docs/scaling.md)."
)
_DIRECT: Final = "Let USERLINE_BUS_URL lead to PostgreSQL itself, or to a pool that keeps sessions (pool_mode=session)."

_PRIMARY: Final = (
    "Set USERLINE_BUS_URL to its primary, or name all of them with ?target_session_attrs=primary; it is joined when it "
    "is promoted."
)
_RIGHTS: Final = (
    "Let it connect and notify, it needs no more: GRANT CONNECT ON DATABASE …, GRANT EXECUTE ON FUNCTION "
    "pg_notify(text, text)."
)

_KNOWN: Final[tuple[tuple[tuple[type[BaseException], ...], str, str], ...]] = (
    (
        (StandbyError, exceptions.ReadOnlySQLTransactionError, exceptions.TargetServerAttributeNotMatched),
        "This PostgreSQL is a standby, where nothing can be listened to",
        _PRIMARY,
    ),
    (
        (exceptions.InvalidAuthorizationSpecificationError,),
        "PostgreSQL lets nobody in with this user name and password: {}",
        "Correct them in USERLINE_BUS_URL, or let this role in from here (pg_hba.conf, ALTER ROLE … LOGIN).",
    ),
    (
        (exceptions.InvalidCatalogNameError,),
        "PostgreSQL has no such database: {}",
        "Create it (CREATE DATABASE; it stays empty), or correct its name in USERLINE_BUS_URL.",
    ),
    (
        (exceptions.InsufficientPrivilegeError,),
        "This role of PostgreSQL may not do what a gateway does: {}",
        _RIGHTS,
    ),
    (
        (exceptions.TooManyConnectionsError,),
        "PostgreSQL has as many connections as it takes: {}",
        "Raise its max_connections (a gateway needs one), or end some; it is joined when there is room.",
    ),
    (
        (exceptions.ProgramLimitExceededError,),
        "PostgreSQL's queue of notifications is full: {}",
        "Somebody who listens to this database is stuck; the log of PostgreSQL says which process, which can be ended.",
    ),
    (
        (exceptions.CannotConnectNowError,),
        "PostgreSQL is starting or stopping: {}",
        "It is joined when it takes connections.",
    ),
    (
        (exceptions.AdminShutdownError, exceptions.CrashShutdownError),
        "PostgreSQL has ended the connection: {}",
        "It is joined again as soon as that is possible.",
    ),
    (
        (ClosedError, exceptions.PostgresConnectionError, exceptions.InterfaceError),
        "The connection to PostgreSQL was closed",
        "It is joined again as soon as that is possible. If it does not last, let the URL lead to PostgreSQL itself.",
    ),
    (
        (exceptions.InvalidSQLStatementNameError, exceptions.DuplicatePreparedStatementError),
        "It is a pool whose connections change hands, where LISTEN is lost: {}",
        _DIRECT,
    ),
    ((NotPostgresError,), "What answers there does not speak as PostgreSQL does", _ADDRESS),
    ((exceptions.FeatureNotSupportedError,), "This server has no LISTEN and NOTIFY: {}", _ADDRESS),
    (
        (TooLargeError,),
        "A change is larger than 64 MiB",
        "Lower USERLINE_MAX_RECORD_BYTES: other gateways see users of that size by USERLINE_REREAD_SECONDS alone.",
    ),
    ((ssl.SSLError, exceptions.ClientConfigurationError), "TLS with PostgreSQL does not come about: {}", _TLS),
    ((TimeoutError,), "PostgreSQL does not answer in time", _LOOK),
)
