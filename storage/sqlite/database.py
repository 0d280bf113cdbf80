"""The database file: opening, the mark that it is ours, and migrations."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from userline.storage.protocol import StoreFormatError, StoreMissing
from userline.storage.sqlite.file import create_file
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLICATION_ID: Final = 0x75736C6E
"""What marks a SQLite file as userline's (``PRAGMA application_id``): "usln" in ASCII."""

FIRST_COLUMNS: Final[dict[str, str]] = {
    "id": "TEXT NOT NULL PRIMARY KEY",
    "version": "INTEGER NOT NULL",
    "name": "TEXT NOT NULL",
    "locale": "TEXT",
    "photo_url": "TEXT",
    "role": "TEXT NOT NULL",
    "welcome_message": "TEXT",
    "custom": "TEXT NOT NULL",
    "email": "TEXT NOT NULL",
    "phone": "TEXT NOT NULL",
    "push_tokens": "TEXT NOT NULL",
    "created_at": "INTEGER NOT NULL",
    "updated_at": "INTEGER NOT NULL",
}
"""The columns of format 1. They stay as they are: what is added since is in ``ADDED_COLUMNS``."""

MIGRATIONS: Final = (
    # A rowid table on purpose: WITHOUT ROWID keeps whole rows in the inner nodes of its tree, which pays for rows of
    # less than a twentieth of a page (https://www.sqlite.org/withoutrowid.html), and a user is larger.
    f"CREATE TABLE users ({', '.join(map(' '.join, FIRST_COLUMNS.items()))}) STRICT",
)
"""The statement that brings a file from format ``n`` to ``n + 1`` stands at ``n``; an empty file has format 0.

A format is what a userline must know to use the file at all: one that knows only older ones refuses it. So a field that
is added is no new format. It is in ``ADDED_COLUMNS``.
"""

FORMAT: Final = len(MIGRATIONS)
"""The format that this version reads and writes (``PRAGMA user_version``)."""

ADDED_COLUMNS: Final[dict[str, str]] = {}
"""The columns of fields that were added since format 1, with their types: TEXT. NULL stands for the default.

They are in a table of their own, ``added``, and are made where they are not there yet. A userline that does not know
one of them leaves it as it is, whether its writes replace the rows of ``users``, as the first versions did, or not.
"""

_ADDED_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS added (id TEXT NOT NULL PRIMARY KEY) STRICT",
    # Also where a userline deletes that does not know of the table. What replaces a row does not come here.
    """
    CREATE TRIGGER IF NOT EXISTS added_ends_with_user AFTER DELETE ON users
    BEGIN DELETE FROM added WHERE id = old.id; END
    """,
)

OLDEST_SQLITE: Final = (3, 38, 0)
"""The first SQLite that has both STRICT tables and, always, the JSON functions."""

BUSY_SECONDS: Final = 5.0
"""How long a statement waits for a lock that another process holds."""

# One statement sees one state, even while another process makes the same file its own.
_MARKS: Final = """
    SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
    FROM pragma_application_id, pragma_user_version
"""

_CACHE_KIB: Final = 32 * 1024

_WRITABLE = "Check that the user who runs userline may write the file and its directory, or name another file."
_DAMAGED = "Restore the file from a backup, or name another file."
_HINTS: Final = {
    sqlite3.SQLITE_BUSY: "Another program keeps the file locked. Stop that program, then start again.",
    sqlite3.SQLITE_CANTOPEN: _WRITABLE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_FULL: "Free some disk space, then start again.",
    sqlite3.SQLITE_NOTADB: "Name another file: this one was written by another program.",
    sqlite3.SQLITE_PERM: _WRITABLE,
    sqlite3.SQLITE_READONLY: _WRITABLE,
}
_FORMAT_CODES: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def open_writer(path: Path) -> sqlite3.Connection:
    """Return a connection that writes users, with the file created or upgraded as needed.

    Raises StoreUnavailable if the file cannot be read and written here, and StoreFormatError if what is in it is newer
    or not ours; both say the path and what to do. A file that is refused is left as it was.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(str(part) for part in OLDEST_SQLITE)
        raise StoreUnavailable(
            f"This Python has SQLite {sqlite3.sqlite_version}, and the user store needs {wanted} or newer. "
            "Use a Python that was built with a newer SQLite."
        )
    if not path.parent.is_dir():
        raise StoreUnavailable(
            f"{path} cannot be used for users: there is no directory {path.parent}. "
            "Create the directory, or name another file."
        )
    try:
        is_new = create_file(path)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be used for users: {error.strerror}. {_WRITABLE}") from error
    with _opened(path) as connection:
        _check_format(connection, path)
        _use_write_ahead_log(connection, path, is_new=is_new)
        _migrate(connection, path)
    return connection


def open_existing(path: Path) -> sqlite3.Connection:
    """Return a connection as ``open_writer`` does, and create nothing: raises StoreMissing if no users are kept there.

    A file of the current format is not written, which a full disk does not allow.
    """
    with _opened_existing(path) as (connection, version):
        _use_write_ahead_log(connection, path)
        if version < FORMAT or _missing_columns(connection):
            _migrate(connection, path)
    return connection


def open_as_it_is(path: Path) -> sqlite3.Connection:
    """Return a connection that reads a file of any format up to this one, and changes nothing.

    Raises as ``open_existing`` does.
    """
    with _opened_existing(path) as (connection, _):
        connection.execute("PRAGMA query_only = ON")
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads, to a file that ``open_writer`` has made ready. Raises as it does."""
    with _opened(path) as connection:
        connection.execute("PRAGMA query_only = ON")
        _check_format(connection, path)
    return connection


@contextmanager
def _opened_existing(path: Path) -> Iterator[tuple[sqlite3.Connection, int]]:
    """Yield a new connection and the format of the file. Raises StoreMissing if no users are kept there."""
    if not path.exists():
        raise StoreMissing(f"There is no file {path}, and so there are no users. Correct the URL of the user store.")
    with _opened(path) as connection:
        version = _check_format(connection, path)
        if not version:
            raise StoreMissing(f"{path} is an empty file, without users in it. Correct the URL of the user store.")
        yield connection, version


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a new connection to a file that is there; if anything is raised, close it.

    What SQLite raises is said in words of ours.
    """
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            # An acknowledged write must survive a power cut: in WAL mode, NORMAL would sync at checkpoints alone.
            connection.execute("PRAGMA synchronous = FULL")
            # macOS's fsync leaves data in the drive's cache; elsewhere this does nothing.
            connection.execute("PRAGMA fullfsync = ON")
            # What users were is overwritten where it stood, as soon as they are not so any more.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            yield connection
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        code = primary_code(error)
        message = f"{path} cannot be used for users: {error}. {_HINTS.get(code, '')}".rstrip()
        raise (StoreFormatError if code in _FORMAT_CODES else StoreUnavailable)(message) from error


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's code for the kind of an error, without what it adds for the details."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def _check_format(connection: sqlite3.Connection, path: Path) -> int:
    """Return the format of the file, 0 if it is empty. Raises StoreFormatError if it is newer or not ours."""
    application_id, version, tables = connection.execute(_MARKS).fetchone()
    if application_id != APPLICATION_ID and (application_id or version or tables):
        raise StoreFormatError(
            f"{path} is the SQLite database of another program, and is not changed. Name another file."
        )
    if version > FORMAT:
        raise StoreFormatError(
            f"{path} was written by a newer userline: it has format {version}, and this version knows formats up to "
            f"{FORMAT}. Use that newer userline, or name another file."
        )
    return int(version)


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    """Return which of the added columns are not there yet. (A table that is not there has none.)"""
    if not ADDED_COLUMNS:
        return []
    there = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('added')")}
    return [name for name in ADDED_COLUMNS if name not in there]


def _use_write_ahead_log(connection: sqlite3.Connection, path: Path, *, is_new: bool = False) -> None:
    """Turn on WAL, which the file then keeps."""
    give_up = time.monotonic() + BUSY_SECONDS
    mode = None
    while mode is None:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            # Changing the mode does not wait for locks as other statements do, and gateways may start together.
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    if mode != "wal":
        if is_new and not path.stat().st_size:
            path.unlink()  # no other process can have it in use, because none gets further than this one
        raise StoreUnavailable(
            f"{path} cannot be used for users: its file system cannot keep a write-ahead log. "
            "Name a file on a local disk."
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the current format, in one transaction; another process may be doing the same."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in MIGRATIONS[_check_format(connection, path) :]:
        connection.execute(statement)
    missing = _missing_columns(connection)
    if missing:
        for statement in _ADDED_TABLE:
            connection.execute(statement)
        for name in missing:
            connection.execute(f"ALTER TABLE added ADD COLUMN {name} {ADDED_COLUMNS[name]}")
    # Written even where nothing is new: SQLite opens a file that cannot be written without a word.
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")
