"""What a MongoDB deployment tells of itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from userline.storage.mongo.driver import USERS
from userline.storage.mongo.format import META

if TYPE_CHECKING:
    from userline.storage.mongo.driver import Driver

OLDEST_MONGODB: Final = (6, 0)
"""The oldest version that the store is written for."""

_PROBE: Final = {"_id": "doctor"}


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """What is known of the servers behind a URL."""

    version: str
    replica_set: str | None
    """Its name; None of a single server."""
    is_sharded: bool
    """Whether the gateway talks to routers of a sharded cluster."""
    members: int
    seconds_ahead: float | None
    """How far the server's clock is ahead of this machine's; None if the server does not tell the time."""
    other_indexes: tuple[str, ...]
    """Indexes of the users beside the one of ``_id``, which is the only one that userline uses."""

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
    names = await driver.index_names(USERS)
    return DeploymentFacts(
        version=str(build.get("version", "?")),
        replica_set=hello.get("setName"),
        is_sharded=hello.get("msg") == "isdbgrid",
        members=len(hello.get("hosts", ())),
        seconds_ahead=_seconds_ahead(hello.get("localTime"), asked, answered),
        other_indexes=tuple(sorted(name for name in names if name != "_id_")),
    )


def _seconds_ahead(local_time: Any, asked: float, answered: float) -> float | None:
    """Return how far a clock is ahead: what it showed when it was read, some time between question and answer."""
    if not isinstance(local_time, datetime):
        return None
    shown = local_time.replace(tzinfo=UTC).timestamp()  # the drivers' times are in UTC, and do not say so
    if asked <= shown <= answered:
        return 0.0
    return shown - (asked if shown < asked else answered)
