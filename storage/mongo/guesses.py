"""Guesses what is stored, from the last read or write here, so that a write needs no read before it.

A guess is never an answer. A write is guarded by what it was made from, and one that does not hold is made again from
what is read. So a guess that is wrong costs a command, and one that is right saves one.
"""

from __future__ import annotations

from collections import OrderedDict
from sys import getsizeof
from typing import TYPE_CHECKING, Final

import bson

from userline.users.fields import GIVEN, PUBLIC
from userline.users.kinds import Kind
from userline.users.record import UserSnapshot
from userline.users.written_out import make_function

if TYPE_CHECKING:
    from collections.abc import Iterable

    from userline.storage.mongo.documents import StoredUser
    from userline.users.fields import Field
    from userline.users.record import Change

MOST_BYTES: Final = 32 * 1024 * 1024
"""How large all guesses may be together, about."""

_OBJECTS_BYTES: Final = 2_000
_COPIES: Final = 3
"""A snapshot's texts are there once more in what was encoded to be sent, by JSON and by the bus."""

_MOST_STALE: Final = 0.2
_FEWEST_TRIES: Final = 20
_MEMORY: Final = 400
"""After how many tries what was seen before counts half."""


class Guesses:
    """The last known users, the most recently used, up to ``most_bytes``.

    While more than a fifth of the guesses are stale, as where others write the same users and nobody tells, none is
    given; whether they would have been right is still looked at, so that they are given again when they are.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, tuple[StoredUser, int]] = OrderedDict()
        self._tried = 0
        self._stale = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def is_on(self) -> bool:
        """Whether guesses are right often enough."""
        return self._tried < _FEWEST_TRIES or self._stale <= _MOST_STALE * self._tried

    def guess(self, user_id: str) -> StoredUser | None:
        """Return what the user probably is, or None if that is not known."""
        return self._kept[user_id][0] if user_id in self._kept and self.is_on else None

    def judge(self, user_id: str, *, held: bool) -> None:
        """Take note of what became of a guess; one that was wrong is forgotten."""
        self._tried += 1
        if not held:
            self._stale += 1
            self.forget(user_id)
        if self._tried >= _MEMORY:
            self._tried //= 2
            self._stale //= 2

    def compare(self, user_id: str, stored: StoredUser | None) -> None:
        """Take note of whether the guess that was not asked for would have been right."""
        if user_id in self._kept:
            write_ids = stored.write_ids if stored is not None else ""
            self.judge(user_id, held=self._kept[user_id][0].write_ids == write_ids)

    def keep(self, user_id: str, stored: StoredUser | None) -> None:
        """Remember a user as it was read or written."""
        self.forget(user_id)
        if stored is None or not stored.write_ids:
            return
        size = _size(stored)
        if size > self._most_bytes:
            return
        self._kept[user_id] = (stored, size)
        self.bytes += size
        while self.bytes > self._most_bytes:
            _, (_, dropped) = self._kept.popitem(last=False)
            self.bytes -= dropped

    def hear(self, change: Change) -> None:
        """Forget the user if somebody tells of a newer version, of another look at this one, or of its deletion."""
        if change.id not in self._kept:
            return
        kept = self._kept[change.id][0].record.snapshot
        if kept.version < change.version or (
            kept.version == change.version and not (isinstance(change, UserSnapshot) and kept.looks_like(change))
        ):
            self.forget(change.id)

    def forget(self, user_id: str) -> None:
        """Forget the user."""
        _, size = self._kept.pop(user_id, (None, 0))
        self.bytes -= size

    def clear(self) -> None:
        """Forget everybody."""
        self._kept.clear()
        self.bytes = 0


def _size(stored: StoredUser) -> int:
    size: int = _OBJECTS_BYTES + _weight(stored.record)
    return size + len(bson.encode(stored.others)) if stored.others else size


def _weighed(fields: Iterable[Field]) -> str:
    """Return the expression of how large the values of these fields are."""
    values = [
        (field.kind, f"record.{'snapshot.' if field.is_of_snapshot else ''}{field.attribute}") for field in fields
    ]
    return " + ".join(_WEIGHTS.get(kind, "size({0})").format(value) for kind, value in values)


_WEIGHTS: Final = {
    Kind.LIST: "sum(map(size, {0}))",
    Kind.KEYS: "sum(map(size, {0}))",
    Kind.MAP: "sum(map(size, {0})) + sum(map(size, {0}.values()))",
}
_weight: Final = make_function(
    "record",
    f"{_COPIES} * ({_weighed(PUBLIC)}) + {_weighed(field for field in GIVEN if not field.is_public)}",
    size=getsizeof,
)
