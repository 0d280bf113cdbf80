"""Explanations of errors of PostgreSQL and asyncpg for operators."""

from __future__ import annotations

import re
import ssl
from typing import Final

from asyncpg import exceptions

from userline.changes.explanations import brief, named, shortened
from userline.changes.postgres.parts import TooLargeError
from userline.changes.protocol import Explanation


class StandbyError(Exception):
    """The server is a standby, where LISTEN is not possible."""


class NotPostgresError(Exception):
    """The server at this address does not speak the protocol of PostgreSQL."""


class ClosedError(Exception):
    """The server, or something between, has closed the connection."""


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
    return Explanation(
        "garbage", f"The server at this address does not speak the protocol of PostgreSQL ({named(error)})", _ADDRESS
    )


_ADDRESS: Final = (
    "Correct USERLINE_BUS_URL. Its form is postgres://USER:PASSWORD@HOST:PORT/DATABASE, with the address of a "
    "PostgreSQL server."
)
_LOOK: Final = (
    "Check that PostgreSQL runs and that this machine can reach it. Check the address and the password in "
    "USERLINE_BUS_URL."
)
_TLS: Final = (
    "Correct sslmode and the files that sslrootcert, sslcert and sslkey name in USERLINE_BUS_URL (docs/scaling.md)."
)
_DIRECT: Final = (
    "Set USERLINE_BUS_URL to the address of PostgreSQL itself, or of a pool that keeps sessions (pool_mode=session)."
)

_PRIMARY: Final = (
    "Set USERLINE_BUS_URL to its primary, or name all servers with ?target_session_attrs=primary. The gateway connects "
    "when the standby is promoted."
)
_RIGHTS: Final = (
    "Grant it the right to connect and to notify. It needs no other right: GRANT CONNECT ON DATABASE …, GRANT EXECUTE "
    "ON FUNCTION "
    "pg_notify(text, text)."
)

_KNOWN: Final[tuple[tuple[tuple[type[BaseException], ...], str, str], ...]] = (
    (
        (StandbyError, exceptions.ReadOnlySQLTransactionError, exceptions.TargetServerAttributeNotMatched),
        "This PostgreSQL is a standby, where LISTEN is not possible",
        _PRIMARY,
    ),
    (
        (exceptions.InvalidAuthorizationSpecificationError,),
        "PostgreSQL does not accept this user name and password: {}",
        (
            "Correct them in USERLINE_BUS_URL, or allow this role to log in from this machine (pg_hba.conf, ALTER ROLE "
            "… LOGIN)."
        ),
    ),
    (
        (exceptions.InvalidCatalogNameError,),
        "PostgreSQL has no such database: {}",
        "Create it (CREATE DATABASE; it stays empty), or correct its name in USERLINE_BUS_URL.",
    ),
    (
        (exceptions.InsufficientPrivilegeError,),
        "This role of PostgreSQL does not have the rights that a gateway needs: {}",
        _RIGHTS,
    ),
    (
        (exceptions.TooManyConnectionsError,),
        "PostgreSQL has reached its limit of connections: {}",
        (
            "Raise its max_connections (a gateway needs one connection), or end some connections. The gateway keeps "
            "trying."
        ),
    ),
    (
        (exceptions.ProgramLimitExceededError,),
        "PostgreSQL's queue of notifications is full: {}",
        (
            "A process that listens on this database does not read any more. The log of PostgreSQL names the process. "
            "End it."
        ),
    ),
    (
        (exceptions.CannotConnectNowError,),
        "PostgreSQL is starting or stopping: {}",
        "The gateway connects when PostgreSQL accepts connections.",
    ),
    (
        (exceptions.AdminShutdownError, exceptions.CrashShutdownError),
        "PostgreSQL has ended the connection: {}",
        "The gateway connects again as soon as that is possible.",
    ),
    (
        (ClosedError, exceptions.PostgresConnectionError, exceptions.InterfaceError),
        "The connection to PostgreSQL was closed",
        (
            "The gateway connects again as soon as that is possible. If this happens again and again, set the URL to "
            "the address of PostgreSQL itself, without a pool."
        ),
    ),
    (
        (exceptions.InvalidSQLStatementNameError, exceptions.DuplicatePreparedStatementError),
        "This is a pool that shares connections between clients, where LISTEN is lost: {}",
        _DIRECT,
    ),
    ((NotPostgresError,), "The server at this address does not speak the protocol of PostgreSQL", _ADDRESS),
    ((exceptions.FeatureNotSupportedError,), "This server has no LISTEN and NOTIFY: {}", _ADDRESS),
    (
        (TooLargeError,),
        "A change is larger than 64 MiB",
        (
            "Lower USERLINE_MAX_RECORD_BYTES: other gateways see changes of users of that size only within "
            "USERLINE_REREAD_SECONDS."
        ),
    ),
    ((ssl.SSLError, exceptions.ClientConfigurationError), "TLS with PostgreSQL failed: {}", _TLS),
    ((TimeoutError,), "PostgreSQL does not answer in time", _LOOK),
)
