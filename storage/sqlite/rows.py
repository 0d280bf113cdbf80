"""Users as rows: one read of many, one write of many.

Python's sqlite3 gives up the interpreter lock for each row it steps to, and getting it back from a busy event loop
takes up to ``sys.getswitchinterval()``, 5 ms. Read row by row, 1,000 users took 1.7 s beside a busy loop, and 12 ms as
here, where SQLite joins all of them into one value and the statement takes one step. Writes are grouped for the same
reason.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import orjson

from userline.storage.protocol import Unreadable
from userline.users.record import UserRecord, UserSnapshot

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

_PLAIN: Final = (
    "id", "version", "name", "locale", "photo_url", "role", "welcome_message", "created_at", "updated_at"
)  # fmt: skip
_JSON: Final = ("custom", "email", "phone", "push_tokens")
_COLUMNS: Final = (*_PLAIN, *_JSON)

_PLAIN_ARRAY: Final = f"json_array({', '.join(f'users.{name}' for name in _PLAIN)})"
# Text that is JSON already goes in as it is.
_USER: Final = " || ',' || ".join([_PLAIN_ARRAY, *(f"users.{name}" for name in _JSON)])
# A blob saves the way through a Python string. CROSS JOIN keeps the ids in the outer loop, whatever the planner thinks.
_SELECT: Final = f"""
    SELECT CAST('[' || group_concat('[' || {_USER} || ']') || ']' AS BLOB)
    FROM json_each(?) AS wanted CROSS JOIN users ON users.id = wanted.value
"""  # noqa: S608 - constants alone

# The subquery has the alias that the columns above are named by. Its order is kept in practice and not promised.
_SELECT_PAGE: Final = f"""
    SELECT CAST('[' || group_concat('[' || {_USER} || ']') || ']' AS BLOB)
    FROM (SELECT * FROM users WHERE id > ? ORDER BY id LIMIT ?) AS users
"""  # noqa: S608 - constants alone

_SELECT_IDS: Final = "SELECT id FROM users WHERE id > ? ORDER BY id LIMIT ?"

_ROWS_AT_ONCE: Final = (256, 32, 4, 1)
_ROW: Final = f"({', '.join('?' * len(_COLUMNS))})"
_UPSERTS: Final = {
    # Values are bound one by one: in a JSON parameter, SQLite would end a string at its first NUL.
    count: f"INSERT OR REPLACE INTO users ({', '.join(_COLUMNS)}) VALUES {', '.join([_ROW] * count)}"  # noqa: S608
    for count in _ROWS_AT_ONCE
}


def select_users(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, UserRecord]:
    """Return those of the users who exist, by id, as they are at one moment."""
    (joined,) = connection.execute(_SELECT, (orjson.dumps(list(dict.fromkeys(ids))).decode(),)).fetchone()
    return {record.snapshot.id: record for record in _records(joined)}


def select_page(connection: sqlite3.Connection, after: str, limit: int) -> dict[str, UserRecord]:
    """Return the first ``limit`` users whose ids come after ``after``, by id, in order of id."""
    (joined,) = connection.execute(_SELECT_PAGE, (after, limit)).fetchone()
    found = {record.snapshot.id: record for record in _records(joined)}
    return {user_id: found[user_id] for user_id in sorted(found)}


def walk_page(connection: sqlite3.Connection, after: str, limit: int) -> dict[str, UserRecord | Unreadable]:
    """Return what ``select_page`` does, with something in the place of each row that cannot be read as a user."""
    try:
        return {**select_page(connection, after, limit)}
    except (ValueError, TypeError):  # of one row or more, so each is looked at
        ids = [user_id for (user_id,) in connection.execute(_SELECT_IDS, (after, limit))]
        return {user_id: _readable(connection, user_id) for user_id in ids}


def _readable(connection: sqlite3.Connection, user_id: str) -> UserRecord | Unreadable:
    try:
        return select_users(connection, [user_id])[user_id]
    except (ValueError, TypeError, KeyError):
        return Unreadable(user_id, f"The row {user_id!r} is not a user: custom, email, phone or push_tokens is wrong.")


def count_users(connection: sqlite3.Connection) -> int:
    """Return how many users there are."""
    (count,) = connection.execute("SELECT count(*) FROM users").fetchone()
    return int(count)


def upsert_users(connection: sqlite3.Connection, records: Sequence[UserRecord]) -> None:
    """Write whole records over what is there. No two may be of one user."""
    start = 0
    for count in _ROWS_AT_ONCE:
        while len(records) - start >= count:
            values = [value for record in records[start : start + count] for value in _row(record)]
            connection.execute(_UPSERTS[count], values)
            start += count


def _records(joined: bytes | None) -> Iterable[UserRecord]:
    return map(_record, orjson.loads(joined) if joined is not None else [])


def _record(row: list[Any]) -> UserRecord:
    plain, custom, email, phone, push_tokens = row
    user_id, version, name, locale, photo_url, role, welcome_message, created_at, updated_at = plain
    return UserRecord(
        snapshot=UserSnapshot(
            id=user_id,
            version=version,
            name=name,
            custom=MappingProxyType(custom),
            locale=locale,
            photo_url=photo_url,
            role=role,
            welcome_message=welcome_message,
        ),
        email=tuple(email),
        phone=tuple(phone),
        push_tokens=frozenset(push_tokens),
        created_at=created_at,
        updated_at=updated_at,
    )


def _row(record: UserRecord) -> tuple[str | int | None, ...]:
    snapshot = record.snapshot
    return (
        snapshot.id,
        snapshot.version,
        snapshot.name,
        snapshot.locale,
        snapshot.photo_url,
        snapshot.role,
        snapshot.welcome_message,
        record.created_at,
        record.updated_at,
        orjson.dumps(dict(snapshot.custom)).decode(),
        orjson.dumps(record.email).decode(),
        orjson.dumps(record.phone).decode(),
        orjson.dumps(sorted(record.push_tokens)).decode(),
    )
