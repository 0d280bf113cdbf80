"""Checks that a collection made by somebody else can hold users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import OperationFailure

from userline.storage.mongo.driver import USERS
from userline.storage.protocol import StoreFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline.storage.mongo.driver import Driver

_WHAT_TO_DO: Final = (
    "Make another collection of that name without it and copy the users there, or name another database in the URL of "
    "the user store."
)

# An option of the collection, and what it does to users.
_UNFIT: Final = {
    "viewOn": "is a view of another collection, which cannot be written",
    "timeseries": "is a time series, whose documents cannot be replaced",
    "capped": "is capped: it deletes its oldest documents automatically",
    "expireAfterSeconds": "deletes documents automatically after some time (expireAfterSeconds)",
}


async def check_collection(driver: Driver, database: str) -> None:
    """Return if users can be kept in the collection, or if it is not there yet. Raises StoreFormatError.

    Where the user in the URL may not ask, or a server cannot say, nothing is known and nothing is refused.
    """
    try:
        options = await driver.collection_options(USERS)
    except OperationFailure:
        return
    unfit = what_is_unfit(options)
    if unfit is not None:
        raise StoreFormatError(f"The collection {USERS} of the database {database} {unfit}. {_WHAT_TO_DO}")


def what_is_unfit(options: Mapping[str, Any]) -> str | None:
    """Return what of a collection's options users do not go with, or None."""
    collation = options.get("collation")
    if collation and collation.get("locale") != "simple":
        return "has a collation, by which different ids may be equal"
    return next((text for name, text in _UNFIT.items() if options.get(name)), None)
