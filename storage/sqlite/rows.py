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
from userline.storage.sqlite.database import ADDED_COLUMNS, FIRST_COLUMNS
from userline.users.fields import FIELDS
from userline.users.kinds import Kind
from userline.users.record import UserRecord, UserSnapshot
from userline.users.written_out import make_function, written_call

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from userline.users.fields import Field

_TO_TEXT: Final[dict[Kind, str]] = {
    Kind.LIST: "dumps({}).decode()",
    Kind.MAP: "dumps(dict({})).decode()",
    Kind.KEYS: "dumps(sorted({})).decode()",
}
"""The expressions of the JSON text that stands in a column. Values of the other kinds stand there as they are."""

_FROM_JSON: Final[dict[Kind, Callable[[Any], Any]]] = {
    Kind.LIST: tuple,
    Kind.MAP: MappingProxyType,
    Kind.KEYS: frozenset,
}


def column_of(field: Field) -> str:
    """Return the column of a field, with its table. Raises LookupError if it has none, which is at import."""
    if field.attribute in ADDED_COLUMNS:
        return f"added.{field.attribute}"
    if field.attribute not in FIRST_COLUMNS:
        raise LookupError(
            f"The field {field.name} has no column. Add {field.attribute!r} with the type 'TEXT' to ADDED_COLUMNS in "
            "storage/sqlite/database.py."
        )
    return f"users.{field.attribute}"


_ADDED: Final = [field for field in FIELDS if field.attribute in ADDED_COLUMNS]
# What is read of a user are the plain columns in one array, and then those that are JSON.
_PLAIN: Final = [field for field in FIELDS if field.kind not in _TO_TEXT]
_JSON: Final = [field for field in FIELDS if field.kind in _TO_TEXT]

_PLAIN_ARRAY: Final = f"json_array({', '.join(map(column_of, _PLAIN))})"
# Text that is JSON already goes in as it is.
_USER: Final = " || ',' || ".join(
    [
        _PLAIN_ARRAY,
        *(f"coalesce({column_of(field)}, 'null')" if field in _ADDED else column_of(field) for field in _JSON),
    ]
)
_WITH_ADDED: Final = "LEFT JOIN added ON added.id = users.id" if _ADDED else ""
# A blob saves the way through a Python string. CROSS JOIN keeps the ids in the outer loop, whatever the planner thinks.
_SELECT: Final = f"""
    SELECT CAST('[' || group_concat('[' || {_USER} || ']') || ']' AS BLOB)
    FROM json_each(?) AS wanted CROSS JOIN users ON users.id = wanted.value {_WITH_ADDED}
"""  # noqa: S608 - constants alone

# The subquery has the alias that the columns above are named by. Its order is kept in practice and not promised.
_SELECT_PAGE: Final = f"""
    SELECT CAST('[' || group_concat('[' || {_USER} || ']') || ']' AS BLOB)
    FROM (SELECT * FROM users WHERE id > ? ORDER BY id LIMIT ?) AS users {_WITH_ADDED}
"""  # noqa: S608 - constants alone

_SELECT_IDS: Final = "SELECT id FROM users WHERE id > ? ORDER BY id LIMIT ?"

_ROWS_AT_ONCE: Final = (256, 32, 4, 1)


class _Table:
    """Writes some fields of records into one table, many rows with one statement.

    What is in columns that it does not know stays there: a newer userline has fields of that name.
    """

    def __init__(self, name: str, fields: Sequence[Field]) -> None:
        columns = [field.attribute for field in fields]
        row = f"({', '.join('?' * len(columns))})"
        update = ", ".join(f"{column} = excluded.{column}" for column in columns if column != "id")
        self._statements = {
            # Values are bound one by one: in a JSON parameter, SQLite would end a string at its first NUL.
            count: f"INSERT INTO {name} ({', '.join(columns)}) VALUES {', '.join([row] * count)} "  # noqa: S608
            f"ON CONFLICT (id) DO UPDATE SET {update}"
            for count in _ROWS_AT_ONCE
        }
        self._row: Callable[[UserRecord], tuple[Any, ...]] = make_function(
            "record", f"({', '.join(map(_value_of, fields))},)", dumps=orjson.dumps
        )

    def upsert(self, connection: sqlite3.Connection, records: Sequence[UserRecord]) -> None:
        """Write the records over what is there. No two may be of one user."""
        start = 0
        for count in _ROWS_AT_ONCE:
            while len(records) - start >= count:
                values: list[Any] = []
                for record in records[start : start + count]:
                    values += self._row(record)
                connection.execute(self._statements[count], values)
                start += count


def _value_of(field: Field) -> str:
    """Return the expression of what stands in the column of a field."""
    value = f"record.{'snapshot.' if field.is_of_snapshot else ''}{field.attribute}"
    return _TO_TEXT[field.kind].format(value) if field.kind in _TO_TEXT else value


_USERS: Final = _Table("users", [field for field in FIELDS if field not in _ADDED])
_ADDED_FIELDS: Final = (
    _Table("added", [field for field in FIELDS if field.kind is Kind.ID or field in _ADDED]) if _ADDED else None
)


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
        one = " or ".join(_names(_JSON).rsplit(", ", 1))
        return Unreadable(user_id, f"The row {user_id!r} is not a user: {one} is wrong.")


def count_users(connection: sqlite3.Connection) -> int:
    """Return how many users there are."""
    (count,) = connection.execute("SELECT count(*) FROM users").fetchone()
    return int(count)


def upsert_users(connection: sqlite3.Connection, records: Sequence[UserRecord]) -> None:
    """Write whole records over what is there. No two may be of one user."""
    _USERS.upsert(connection, records)
    if _ADDED_FIELDS is not None:
        _ADDED_FIELDS.upsert(connection, records)


def _records(joined: bytes | None) -> Iterable[UserRecord]:
    return map(_record, orjson.loads(joined) if joined is not None else [])


def _read(field: Field) -> tuple[str, str]:
    """Return the attribute of a field, and the expression that makes its value of what was read."""
    read = f"{field.kind.name}({field.attribute})" if field.kind in _TO_TEXT else field.attribute
    if field in _ADDED and field.default is not None:
        read = f"default_{field.attribute} if {field.attribute} is None else {read}"
    return field.attribute, read


def _names(fields: Iterable[Field]) -> str:
    return ", ".join(field.attribute for field in fields)


_SNAPSHOT: Final = written_call("UserSnapshot", [_read(field) for field in FIELDS if field.is_of_snapshot])
_to_record: Final = make_function(
    f"{_names(_PLAIN)}, {_names(_JSON)}",
    written_call(
        "UserRecord", [("snapshot", _SNAPSHOT), *(_read(field) for field in FIELDS if not field.is_of_snapshot)]
    ),
    UserRecord=UserRecord,
    UserSnapshot=UserSnapshot,
    **{kind.name: read for kind, read in _FROM_JSON.items()},
    **{f"default_{field.attribute}": field.default for field in _ADDED},
)


def _record(row: list[Any]) -> UserRecord:
    plain, *others = row
    record: UserRecord = _to_record(*plain, *others)
    return record
