"""What is kept of deleted users: enough that none is restored by mistake, and nothing that identifies a person.

Of each, a hash of the id with a key that each store has of its own, the version of the deletion, and its time. Without
the key nobody can tell of whom it is; whoever has the whole store can find out about an id that they know or guess.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

KEPT_DAYS: Final = 400
"""For how long. Older exports and backups than that should be gone, too: they have the users themselves in them."""

_DAY: Final = 86_400_000


def new_key() -> bytes:
    """Return a key for a new store."""
    return secrets.token_bytes(32)


def hash_of(key: bytes, user_id: str) -> bytes:
    """Return what stands for the id."""
    return hashlib.blake2b(user_id.encode(), digest_size=16, key=key).digest()


def forgotten_before(now: int) -> int:
    """Return the time before which deletions are forgotten, both in Unix milliseconds."""
    return now - KEPT_DAYS * _DAY
