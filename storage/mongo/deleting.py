"""How users are deleted: what is known of the deletion first, then the document, if nobody has written it meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.common.backoff import Backoff
from userline.storage.mongo.documents import guard_of, version_of
from userline.storage.mongo.driver import USERS
from userline.storage.mongo.write_ids import FIELD, has_seen
from userline.storage.protocol import DeleteResult
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.storage.mongo.connection import Connection
    from userline.storage.mongo.deletions import Deletions
    from userline.storage.mongo.documents import Document
    from userline.users.condition import Condition

_FIRST_PAUSE_SECONDS: Final = 0.002
_LONGEST_PAUSE_SECONDS: Final = 0.1


async def delete_user(
    connection: Connection,
    deletions: Deletions,
    user_id: str,
    condition: Condition | None = None,
    *,
    clock: Callable[[], int],
) -> DeleteResult:
    """Delete a user, or whatever stands in its place. Raises StoreUnavailable, and ConditionFailed.

    A gateway that dies in the middle leaves the user as it was, and a version that its next deletion is above.
    """
    deadline = connection.deadline
    backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
    unsure: Document | None = None
    """What an attempt was about that may have held, although its last try found nothing."""
    version, is_alone = 0, False
    while True:
        found = await connection.run(lambda driver: driver.find([user_id]), deadline)
        if not found:
            known = (await deletions.versions([user_id], deadline)).get(user_id, 0)
            if unsure is not None and not (is_alone and known == version):
                raise StoreUnavailable  # it was that attempt or another gateway's, and nobody can tell
            if unsure is None and condition is not None:
                condition.check(user_id, None)
            return DeleteResult(deleted=unsure is not None, version=known)
        (document,) = found
        if unsure is not None and not _is_left_of(unsure, document):
            raise StoreUnavailable  # who is there may have been created since
        if condition is not None:
            condition.check(user_id, version_of(document))
        guard = guard_of(document)
        version, is_alone = await deletions.note(user_id, version_of(document), clock(), deadline)
        done = await connection.run(lambda driver, guard=guard: driver.delete(USERS, guard), deadline)  # type: ignore[misc]
        if done:
            return DeleteResult(deleted=True, version=version)
        # Somebody else has written or deleted the user since it was read; or an answer was lost.
        unsure = document if done is None else None
        await backoff.wait()


def _is_left_of(before: Document, document: Document) -> bool:
    """Whether a document is surely what writes have left of the one before, and nobody has deleted that."""
    return has_seen(str(document.get(FIELD)), str(before.get(FIELD) or ""))
