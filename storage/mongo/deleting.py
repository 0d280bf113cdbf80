"""How users are deleted: what is known of the deletion first, then the document, if nobody has written it meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.common.backoff import Backoff
from userline.storage.mongo.documents import guard_of, version_of
from userline.storage.mongo.driver import USERS
from userline.storage.protocol import DeleteResult
from userline.users.versions import next_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.storage.mongo.connection import Connection
    from userline.storage.mongo.deletions import Deletions

_FIRST_PAUSE_SECONDS: Final = 0.002
_LONGEST_PAUSE_SECONDS: Final = 0.1


async def delete_user(
    connection: Connection, deletions: Deletions, user_id: str, *, clock: Callable[[], int]
) -> DeleteResult:
    """Delete a user, or whatever stands in its place. Raises StoreUnavailable.

    A gateway that dies in the middle leaves the user as it was, and a version that its next deletion is above.
    """
    deadline = connection.deadline
    backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
    attempted = 0
    while True:
        found = await connection.run(lambda driver: driver.find([user_id]), deadline)
        known = (await deletions.versions([user_id], deadline)).get(user_id, 0)
        if not found:
            # It may be this call's attempt that held: its answer was lost, and the driver's second try found nothing.
            return DeleteResult(deleted=attempted == known > 0, version=known)
        (document,) = found
        guard = guard_of(document)
        attempted = next_version(max(version_of(document), known), clock())
        await deletions.note(user_id, attempted, deadline)
        if await connection.run(lambda driver, guard=guard: driver.delete(USERS, guard), deadline):  # type: ignore[misc]
            return DeleteResult(deleted=True, version=attempted)
        # Somebody else has written or deleted the user since it was read.
        await backoff.wait()
