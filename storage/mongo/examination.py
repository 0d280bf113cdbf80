"""Facts about a MongoDB deployment, for ``userline doctor``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import OperationFailure

from userline.storage.mongo.driver import USERS
from userline.storage.mongo.format import META

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline.storage.mongo.driver import Driver

OLDEST_MONGODB: Final = (6, 0)
"""The oldest version that the store is written for."""

_PROBE: Final = {"_id": "doctor"}


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """Facts about the servers behind a URL."""

    version: str
    replica_set: str | None
    """Its name; None of a single server."""
    is_sharded: bool
    """Whether the gateway talks to routers of a sharded cluster."""
    members: int
    seconds_ahead: float | None
    """How far the server's clock is ahead of this machine's; None if the server does not tell the time."""
    other_indexes: tuple[str, ...]
    """Indexes of the users that userline does not need: it reads by ``_id``, and may be sharded by it."""
    unique_indexes: tuple[str, ...] = ()
    """Those that refuse users who have something in common."""
    expiring_indexes: tuple[str, ...] = ()
    """Those by which MongoDB deletes users."""
    has_validator: bool = False
    """Whether a validator may refuse users."""

    @property
    def is_old(self) -> bool:
        """Whether the servers are older than what the store is written for."""
        parts = self.version.split(".")
        return tuple(int(part) if part.isdecimal() else 0 for part in parts[:2]) < OLDEST_MONGODB


async def examine_deployment(driver: Driver, *, probe: bool) -> DeploymentFacts:
    """Ask the servers, and with ``probe`` write a document beside the users and delete it again.

    Raises what the driver raises.
    """
    asked = time.time()
    hello = await driver.command("hello")
    answered = time.time()
    build = await driver.command("buildInfo")
    if probe:
        await driver.insert(META, dict(_PROBE))
        await driver.delete(META, dict(_PROBE))
    indexes = await driver.indexes(USERS)
    others = {name: index for name, index in indexes.items() if not _is_of_ids(index)}
    return DeploymentFacts(
        version=str(build.get("version", "?")),
        replica_set=hello.get("setName"),
        is_sharded=hello.get("msg") == "isdbgrid",
        members=len(hello.get("hosts", ())),
        seconds_ahead=_seconds_ahead(hello.get("localTime"), asked, answered),
        other_indexes=tuple(
            sorted(name for name in others if not _expires(others[name]) and not _refuses(others[name]))
        ),
        unique_indexes=tuple(sorted(name for name in others if _refuses(others[name]))),
        expiring_indexes=tuple(sorted(name for name, index in indexes.items() if _expires(index))),
        has_validator=await _has_validator(driver),
    )


def _is_of_ids(index: Mapping[str, Any]) -> bool:
    """Whether an index begins with ``_id``: the one that every collection has, or the one of a hashed shard key."""
    keys = list(index.get("key") or ())
    return bool(keys) and keys[0][0] == "_id"


def _expires(index: Mapping[str, Any]) -> bool:
    return "expireAfterSeconds" in index


def _refuses(index: Mapping[str, Any]) -> bool:
    return bool(index.get("unique"))


async def _has_validator(driver: Driver) -> bool:
    try:
        options = await driver.collection_options(USERS)
    except OperationFailure:  # one that may not ask, or a server that cannot say
        return False
    return bool(options.get("validator")) and options.get("validationAction") != "warn"


def _seconds_ahead(local_time: Any, asked: float, answered: float) -> float | None:
    """Return how far a clock is ahead: what it showed when it was read, some time between question and answer."""
    if not isinstance(local_time, datetime):
        return None
    shown = local_time.replace(tzinfo=UTC).timestamp()  # the drivers' times are in UTC, and do not say so
    if asked <= shown <= answered:
        return 0.0
    return shown - (asked if shown < asked else answered)
