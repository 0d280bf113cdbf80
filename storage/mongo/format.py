"""The mark of a userline database: one document with the format in which users are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.storage.mongo.documents import DocumentError, decode_user
from userline.storage.mongo.driver import USERS
from userline.storage.protocol import StoreFormatError, StoreMissing

if TYPE_CHECKING:
    from userline.storage.mongo.driver import Driver

FORMAT: Final = 1
"""The format that this version reads and writes."""

META: Final = "userline_meta"
_FORMAT_ID: Final = "format"


async def check_format(driver: Driver, database: str, *, create: bool = True) -> None:
    """Return if the database is in our format, marking it if it is empty; that a write works is known then.

    Raises StoreFormatError if it is newer or not ours, and leaves it as it is. Without ``create`` nothing is written:
    raises StoreMissing if it is empty.
    """
    meta = await driver.find_one(META, {"_id": _FORMAT_ID})
    if meta is None:
        has_users = await _check_not_taken(driver, database)
        if not create:
            if has_users:
                return
            raise StoreMissing(
                f"There is no database {database} of userline, and so there are no users. Correct the URL of the user "
                "store, which names the database."
            )
        if await driver.insert(META, {"_id": _FORMAT_ID, "format": FORMAT}):
            return
        meta = await driver.find_one(META, {"_id": _FORMAT_ID}) or {}
    version = meta.get("format")
    if not isinstance(version, int | float):
        raise StoreFormatError(
            f"The collection {META} of the database {database} was not written by userline. Name another database in "
            "the URL of the user store."
        )
    if version > FORMAT:
        raise StoreFormatError(
            f"The database {database} was written by a newer userline: it has format {version:g}, and this version "
            f"knows formats up to {FORMAT}. Use that newer userline, or name another database."
        )


async def _check_not_taken(driver: Driver, database: str) -> bool:
    """Return whether there are users."""
    document = await driver.find_one(USERS, {})
    if document is None:
        return False
    try:
        decode_user(document)
        is_ours = "version" in document  # any program's users have a name
    except DocumentError:
        is_ours = False
    if not is_ours:
        raise StoreFormatError(
            f"The collection {USERS} of the database {database} has documents of another program, and is not changed. "
            "Name another database in the URL of the user store."
        )
    return True
