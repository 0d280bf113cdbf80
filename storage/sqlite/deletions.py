"""The records of deleted users in a file (``userline.storage.deletions``).

Its tables are made by the first deletion. They are no new format: a userline that does not know them leaves them alone.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from userline.storage.deletions import forgotten_before, hash_of, new_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS deletion_key (key BLOB NOT NULL) STRICT",
    """
    CREATE TABLE IF NOT EXISTS deletions (
        hash BLOB NOT NULL PRIMARY KEY, version INTEGER NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)
_ARE_THERE: Final = "SELECT count(*) FROM sqlite_schema WHERE name IN ('deletion_key', 'deletions')"
_IDS_AT_ONCE: Final = 500

_PATIENCE_MILLISECONDS: Final = 50


def select_deletions(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, int]:
    """Return the versions of the last deletions of those of these ids of which one is known."""
    key = _key(connection)
    if key is None:
        return {}
    by_hash = {hash_of(key, user_id): user_id for user_id in ids}
    hashes = list(by_hash)
    found: dict[str, int] = {}
    for start in range(0, len(hashes), _IDS_AT_ONCE):
        some = hashes[start : start + _IDS_AT_ONCE]
        query = f"SELECT hash, version FROM deletions WHERE hash IN ({', '.join('?' * len(some))})"  # noqa: S608
        found.update((by_hash[hashed], version) for hashed, version in connection.execute(query, some))
    return found


def delete_users(connection: sqlite3.Connection, ids: Collection[str]) -> None:
    """Delete the rows of users."""
    connection.executemany("DELETE FROM users WHERE id = ?", [(user_id,) for user_id in ids])


def note_deletions(connection: sqlite3.Connection, versions: Mapping[str, int], now: int) -> None:
    """Keep the versions of deletions, and forget those of long ago."""
    for statement in _TABLES:
        connection.execute(statement)
    key = _key(connection)
    if key is None:
        key = new_key()
        connection.execute("INSERT INTO deletion_key VALUES (?)", (key,))
    connection.executemany(
        "INSERT INTO deletions VALUES (?, ?, ?) "
        "ON CONFLICT (hash) DO UPDATE SET version = max(version, excluded.version), at = excluded.at",
        [(hash_of(key, user_id), version, now) for user_id, version in versions.items()],
    )
    connection.execute("DELETE FROM deletions WHERE at < ?", (forgotten_before(now),))


def empty_log(connection: sqlite3.Connection) -> None:
    """Fold the write-ahead log into the file and cut it, if nobody reads from it: it has what users were.

    If that is not possible now, the next deletion or the end of the last process does so.
    """
    with suppress(sqlite3.Error):
        (before,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MILLISECONDS}")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {before}")


def _key(connection: sqlite3.Connection) -> bytes | None:
    (tables,) = connection.execute(_ARE_THERE).fetchone()
    row = connection.execute("SELECT key FROM deletion_key").fetchone() if tables == len(_TABLES) else None
    return row[0] if row else None
