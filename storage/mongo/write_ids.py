"""Write ids in a document: they tell a user from a deleted one of the same id, and whether a write was done.

Versions alone do not tell. Two gateways may write the same version over what they read, and one who is created again
may have the version of the one who was deleted, where a clock was set back. So each write leaves an id of its own in
the document, before those of the other gateways, of which it keeps each one's last. A gateway writes a user once at a
time, so its own last id is all it ever looks for. They are one string, with spaces between them, the newest first: a
scalar is what every server compares fast, and as MongoDB does.
"""

from __future__ import annotations

import secrets
from itertools import count
from typing import Final

FIELD: Final = "writeIds"

MOST: Final = 6
"""How many gateways may write one user in the time of one command until none can tell that its write held."""


class WriteIds:
    """Makes the ids of one store's writes."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6) + "-"
        self._count = count(1)

    def follow(self, before: str) -> str:
        """Return what a document has after a write of this store, which had ``before`` ("": nothing)."""
        new = f"{self._prefix}{next(self._count)}"
        if not before:
            return new
        others = [each for each in before.split() if not each.startswith(self._prefix)]
        return " ".join([new, *others][:MOST])


def has_seen(write_ids: str, written: str) -> bool:
    """Return whether a document that has ``write_ids`` has seen the write that left ``written`` in it."""
    return written.partition(" ")[0] in write_ids.split()
