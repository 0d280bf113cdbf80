"""What may happen to a deployment while its users are edited a thousand times."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.chaos.deployment import GATEWAYS, Deployment, deployed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

RESUMED_WITHIN: Final = 2.0
"""How soon after Redis's return a change made through each gateway must have reached the watchers of all."""

_USERS: Final = 20
_EDITS: Final = 50
_KILLS: Final = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many seconds it took.

    ``resumed``: from Redis's return until every watcher had changes that were made after it through every gateway; None
    where Redis was never away. ``converged``: until every watcher had the last of everything, counted from Redis's
    return or from the last edit, whichever took longer.
    """

    resumed: float | None
    converged: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """``within`` is how soon everything must have converged. With a ``detour``, it is the end of a gateway."""

    play: Callable[[Deployment], Awaitable[Outcome]]
    within: float = 5.0
    reread_seconds: float = 20.0
    detour: bool = False

    def deployed(self, directory: Path, store: str) -> AbstractAsyncContextManager[Deployment]:
        """Start what it is played on."""
        return deployed(directory, store, reread_seconds=self.reread_seconds, detour=self.detour)


async def _healthy(deployment: Deployment) -> Outcome:
    users = await deployment.watch(_USERS)
    await deployment.edit(users, _EDITS)
    return Outcome(None, await deployment.converge(time.monotonic()))


async def _resume(deployment: Deployment, editing: asyncio.Task[None]) -> Outcome:
    """Take the time from Redis's return, which is now, while the edits go on."""
    returned = time.monotonic()
    resumed, caught_up = await asyncio.gather(deployment.pulse(), deployment.converge(returned))
    await editing
    converged = max(caught_up, await deployment.converge(time.monotonic()))
    await deployment.until_ready()
    return Outcome(resumed, converged)


async def _redis_dead(deployment: Deployment, seconds: float) -> Outcome:
    users = await deployment.watch(_USERS)
    editing = asyncio.create_task(deployment.edit(users, _EDITS, pause=(seconds + 1) / _EDITS))
    await asyncio.sleep(0.3)
    deployment.redis.kill()
    died = time.monotonic()
    await deployment.until_ready(ready=False)
    await asyncio.sleep(died + seconds - time.monotonic())
    deployment.redis.start()
    return await _resume(deployment, editing)


async def _clients_killed(deployment: Deployment) -> Outcome:
    users = await deployment.watch(_USERS)
    editing = asyncio.create_task(deployment.edit(users, _EDITS, pause=0.08))
    for _ in range(_KILLS):
        await asyncio.to_thread(deployment.redis.command, "CLIENT", "KILL", "TYPE", "pubsub")
        await asyncio.sleep(0.05)
    return await _resume(deployment, editing)


async def _redis_frozen(deployment: Deployment) -> Outcome:
    users = await deployment.watch(_USERS)
    deployment.redis.freeze()
    try:
        # Writes wait for no bus: all are done while Redis is frozen.
        editing = asyncio.create_task(deployment.edit(users, _EDITS))
        await asyncio.wait_for(editing, 60)
        await deployment.until_ready(ready=False)
    finally:
        deployment.redis.thaw()
    return await _resume(deployment, editing)


async def _gateway_dies_untold(deployment: Deployment) -> Outcome:
    """The last gateway is killed when its writes are acknowledged and none of them is published."""
    assert deployment.detour is not None
    users = await deployment.watch(_USERS, on=GATEWAYS - 1)
    await deployment.edit(users, _EDITS - 1)
    await deployment.converge(time.monotonic())
    deployment.detour.hold()
    await deployment.edit(users, 1, through=GATEWAYS - 1)
    written = time.monotonic()
    deployment.gateways[-1].kill()
    await deployment.detour.close()
    return Outcome(None, await deployment.converge(written))


SCENARIOS: Final[dict[str, Scenario]] = {
    "nothing happens": Scenario(_healthy),
    "redis dead for 1 s": Scenario(partial(_redis_dead, seconds=1)),
    "redis dead for 10 s": Scenario(partial(_redis_dead, seconds=10)),
    "redis dead for 60 s": Scenario(partial(_redis_dead, seconds=60)),
    "redis kills its listeners 50 times": Scenario(_clients_killed),
    "redis frozen": Scenario(_redis_frozen),
    "gateway killed before it told": Scenario(_gateway_dies_untold, within=5.0, reread_seconds=5.0, detour=True),
}
