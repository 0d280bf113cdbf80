"""The questions that the reading thread answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from userline.storage.protocol import MAX_BATCH
from userline.storage.sqlite.deletions import select_deletions
from userline.storage.sqlite.rows import count_users, select_page, select_users, walk_page

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from userline.storage.protocol import Unreadable
    from userline.users.record import UserRecord


@dataclass(frozen=True, slots=True)
class Page:
    """A page: users in order of id."""

    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class Step:
    """The next users of a walk, with entries that are not valid users."""

    after: str


@dataclass(frozen=True, slots=True)
class Count:
    """The number of users."""


@dataclass(frozen=True, slots=True)
class DeletionsOf:
    """The versions of the last deletions of some ids."""

    ids: Sequence[str]


Read: TypeAlias = "Sequence[str] | Page | Step | Count | DeletionsOf"
"""A question; ids are one for the users who have them."""

Found: TypeAlias = "dict[str, UserRecord]"
Answer: TypeAlias = "Found | dict[str, UserRecord | Unreadable] | dict[str, int] | int"


def read(connection: sqlite3.Connection, question: Read) -> Answer:
    """Return the answer."""
    if isinstance(question, Page):
        return select_page(connection, question.after, question.limit)
    if isinstance(question, Step):
        return walk_page(connection, question.after, MAX_BATCH)
    if isinstance(question, Count):
        return count_users(connection)
    if isinstance(question, DeletionsOf):
        return select_deletions(connection, question.ids)
    return select_users(connection, question)
