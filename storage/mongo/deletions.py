"""What a database keeps of users who were deleted (``userline.storage.deletions``).

A collection of its own has a document for each, and its key stands beside the format. Both are made by the first
deletion: before it, nothing is known of any, and nothing more is needed of the database.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from bson.int64 import Int64

from userline.storage.deletions import forgotten_before, hash_of, new_key
from userline.storage.mongo.format import META
from userline.users.versions import LARGEST_VERSION, next_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from userline.storage.mongo.connection import Connection
    from userline.storage.mongo.driver import Driver

DELETIONS: Final = "userline_deletions"
_KEY_ID: Final = "deletions"
_FORGETS_EVERY_SECONDS: Final = 3600.0

_logger = logging.getLogger("userline.storage")


class Deletions:
    """The deletions that one store knows. ``connection`` returns the connection, ``clock`` Unix milliseconds."""

    def __init__(self, connection: Callable[[], Connection], clock: Callable[[], int]) -> None:
        self._connection = connection
        self._clock = clock
        self._known_key: bytes | None = None
        self._forgets_at = 0.0

    async def versions(self, ids: Sequence[str], deadline: float) -> dict[str, int]:
        """Return the versions of the last deletions of those of these ids of which one is known."""
        connection = self._connection()
        key = self._known_key or await connection.run(self._find_key, deadline)
        if key is None or not ids:
            return {}
        by_hash = {hash_of(key, user_id).hex(): user_id for user_id in ids}
        found = await connection.run(lambda driver: driver.find_in(DELETIONS, list(by_hash)), deadline)
        return {by_hash[document["_id"]]: int(document["version"]) for document in found}

    async def note(self, user_id: str, above: int, now: int, deadline: float) -> tuple[int, bool]:
        """Keep a version for the deletion of a user who has the version ``above``, before it is done.

        Return the version, which no other deletion has, and whether no other one was kept since the user was written:
        then, as long as it is the last one, nobody else is deleting the user as it is.
        """
        connection = self._connection()
        key = await connection.run(self._make_key, deadline)
        hashed = hash_of(key, user_id).hex()
        version = next_version(above, now)
        known = await self._keep(hashed, version, now, deadline)
        is_first = known <= above
        while known >= version and version < LARGEST_VERSION:
            version = next_version(known, now)
            known = await self._keep(hashed, version, now, deadline)
        if time.monotonic() >= self._forgets_at:
            self._forgets_at = time.monotonic() + _FORGETS_EVERY_SECONDS
            old = {"at": {"$lt": Int64(forgotten_before(now))}}
            await connection.run(lambda driver: driver.delete_many(DELETIONS, old), deadline)
        return version, is_first

    async def _keep(self, hashed: str, version: int, now: int, deadline: float) -> int:
        """Keep the version unless a higher one is kept; return which one was."""
        update = {"$max": {"version": Int64(version)}, "$set": {"at": Int64(now)}}
        before = await self._connection().run(lambda driver: driver.upsert(DELETIONS, hashed, update), deadline)
        return int(before["version"]) if before is not None else 0

    async def _find_key(self, driver: Driver) -> bytes | None:
        found = await driver.find_one(META, {"_id": _KEY_ID})
        if found is not None:
            self._known_key = bytes.fromhex(found["key"])
        return self._known_key

    async def _make_key(self, driver: Driver) -> bytes:
        """Return the key. Of several gateways that make one at the same time, the first has made it for all."""
        key = self._known_key or await self._find_key(driver)
        if key is None:
            await driver.insert(META, {"_id": _KEY_ID, "key": new_key().hex()})
            key = await self._find_key(driver)
        assert key is not None  # noqa: S101 - nobody takes it away
        return key


def came_between(deleted: int, version: int) -> bool:
    """Return whether a user was inserted with a ``version`` that is not above its last deletion's.

    Between the look for a deletion and the insertion, others have created the user then and deleted it again, or are
    about to delete it now.
    """
    if deleted < version:
        return False
    _logger.debug("A user was created during its deletion. Its version is raised above the version of the deletion.")
    return True
