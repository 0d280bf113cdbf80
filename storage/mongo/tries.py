"""How often a driver has sent a deletion, which it does not say.

The answer to a second try says nothing of the first one where a server has forgotten the transaction's number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from userline.storage.mongo.documents import Document


async def delete_one(collection: Any, query: Document) -> bool | None:
    """Delete one document that matches, and return whether there was one; None if an earlier try may have found it.

    ``collection`` is one of either driver.
    """
    own = collection.with_options()
    # Motor's collections hand everything to one of PyMongo's. Each try of PyMongo's begins with this method of it; if
    # that were to change, no try is seen, and nothing is said that is not known.
    sends: Any = vars(own).get("delegate", own)
    send, tries = sends._delete, 0  # noqa: SLF001 - nothing else tells, and listeners cost every command

    def count(*arguments: Any, **options: Any) -> Any:
        nonlocal tries
        tries += 1
        return send(*arguments, **options)

    sends._delete = count  # noqa: SLF001
    if (await own.delete_one(query)).deleted_count:
        return True
    return False if tries == 1 else None
