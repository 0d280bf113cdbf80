"""What may happen to a deployment while its users are edited all the time."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.chaos.deleting import delete_through_trouble
from tests.chaos.deployment import GATEWAYS, Deployment, deployed
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.watching import ONLINE, Watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

RESUMED_WITHIN: Final = 2.0
"""How soon after the bus's return a change made through each gateway must have reached the watchers of all."""

_USERS: Final = 20
_KILLS: Final = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many seconds it took.

    ``resumed``: from the return of the bus until every watcher had changes that were made after it through every
    gateway; None where the bus was never away. ``converged``: until every watcher had the last of everything, counted
    from that return or from the last edit, whichever took longer.
    """

    resumed: float | None
    converged: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """``within`` is how soon everything must have converged. With a ``detour``, it is the end of a gateway.

    With a ``replica``, Redis has one; a ``neighbour`` is another deployment on the same bus.
    """

    play: Callable[[Deployment], Awaitable[Outcome]]
    within: float = 5.0
    reread_seconds: float = 20.0
    detour: bool = False
    replica: bool = False
    neighbour: bool = False
    store: str = "sqlite"
    """The store that it is played on if nobody says which."""

    @property
    def is_plain(self) -> bool:
        """Whether it can be played on any deployment, and leaves it as it was."""
        return not (self.detour or self.replica or self.neighbour)

    def deployed(self, directory: Path, store: str, bus: str = "redis") -> AbstractAsyncContextManager[Deployment]:
        """Start what it is played on."""
        return deployed(
            directory,
            store,
            reread_seconds=self.reread_seconds,
            bus=bus,
            detour=self.detour,
            replica=self.replica,
            neighbour=self.neighbour,
        )


async def _healthy(deployment: Deployment) -> Outcome:
    users = await deployment.watch(_USERS)
    await deployment.edit(users, deployment.edits)
    return Outcome(None, await deployment.converge(time.monotonic()))


async def _resume(deployment: Deployment, editing: asyncio.Future[Any]) -> Outcome:
    """Take the time from the bus's return, which is now, while the edits go on."""
    returned = time.monotonic()
    resumed, caught_up = await asyncio.gather(deployment.pulse(), deployment.converge(returned))
    await editing
    converged = max(caught_up, await deployment.converge(time.monotonic()))
    await deployment.until_ready()
    return Outcome(resumed, converged)


async def _bus_dead(deployment: Deployment, seconds: float) -> Outcome:
    users = await deployment.watch(_USERS)
    editing = asyncio.create_task(deployment.edit(users, deployment.edits, within=seconds + 1))
    await asyncio.sleep(0.3)
    deployment.bus.kill()
    died = time.monotonic()
    await deployment.until_ready(ready=False)
    await asyncio.sleep(died + seconds - time.monotonic())
    deployment.bus.start()
    return await _resume(deployment, editing)


async def _clients_killed(deployment: Deployment) -> Outcome:
    users = await deployment.watch(_USERS)
    editing = asyncio.create_task(deployment.edit(users, deployment.edits, within=4))
    for _ in range(_KILLS):
        await asyncio.to_thread(deployment.bus.kill_listeners)
        await asyncio.sleep(0.05)
    return await _resume(deployment, editing)


async def _bus_frozen(deployment: Deployment) -> Outcome:
    users = await deployment.watch(_USERS)
    deployment.bus.freeze()
    try:
        # Writes wait for no bus: all are done while the bus is frozen.
        editing = asyncio.create_task(deployment.edit(users, deployment.edits))
        await asyncio.wait_for(editing, 60)
        await deployment.until_ready(ready=False)
    finally:
        deployment.bus.thaw()
    return await _resume(deployment, editing)


async def _gateway_dies_untold(deployment: Deployment) -> Outcome:
    """The last gateway is killed when its writes are acknowledged and none of them is published."""
    assert deployment.detour is not None
    users = await deployment.watch(_USERS, on=GATEWAYS - 1)
    await deployment.edit(users, deployment.edits - 1)
    await deployment.converge(time.monotonic())
    deployment.detour.hold()
    await deployment.edit(users, 1, through=GATEWAYS - 1)
    written = time.monotonic()
    deployment.gateways[-1].kill()
    await deployment.detour.close()
    return Outcome(None, await deployment.converge(written))


async def _users_deleted(deployment: Deployment) -> Outcome:
    return Outcome(None, await delete_through_trouble(deployment))


async def _two_deployments(deployment: Deployment) -> Outcome:
    """Users of the same ids are edited in both at once, while the bus dies and comes back: nothing crosses."""
    assert deployment.neighbour is not None
    both = (deployment, deployment.neighbour)
    users, the_same = [await one.watch(_USERS) for one in both]
    assert users == the_same
    async with _guests(deployment, "ann"), _guests(deployment.neighbour, "bob"):
        onlookers = [
            await Watching.start(one.gateways[-1].websocket_url, ["ann", "bob"], token=one.token_of(None), query=ONLINE)
            for one in both
        ]
        editing = asyncio.gather(*(one.edit(users, one.edits, within=4) for one in both))
        await asyncio.sleep(0.3)
        deployment.bus.kill()
        await asyncio.gather(*(one.until_ready(ready=False) for one in both))
        await asyncio.sleep(1)
        deployment.bus.start()
        outcomes = await asyncio.gather(*(_resume(one, editing) for one in both))
        for onlooker, here, there in zip(onlookers, ("ann", "bob"), ("bob", "ann"), strict=True):
            await until(lambda o=onlooker, user=here: o.last(user) is True)  # type: ignore[misc]
            assert onlooker.seen[there] == [False], f"{there}: {onlooker.seen[there]}"
            await onlooker.stop()
    for one in both:
        for gateway in one.gateways:
            for dropped in ("foreign", "nonsense"):
                assert await asyncio.to_thread(gateway.metric, f"userline_bus_{dropped}_total") == 0
    return Outcome(max(outcome.resumed or 0 for outcome in outcomes), max(outcome.converged for outcome in outcomes))


@asynccontextmanager
async def _guests(deployment: Deployment, user_id: str) -> AsyncIterator[None]:
    """Have a user connected at the first gateway."""
    url, token = deployment.gateways[0].websocket_url, deployment.token_of(user_id)
    guest = await Watching.start(url, [user_id], token=token)
    try:
        yield
    finally:
        await guest.stop()


async def _replica_swapped(deployment: Deployment) -> Outcome:
    """The master becomes a replica and a master again; then the replica takes its place, and at last its address.

    There is no Sentinel that would end the connections: the gateways have to notice by themselves.
    """
    assert deployment.replica is not None
    assert deployment.detour is not None
    assert isinstance(deployment.bus, RedisServer)
    master, replica = deployment.bus, deployment.replica
    users = await deployment.watch(_USERS)
    editing = asyncio.create_task(deployment.edit(users, deployment.edits, within=7.5))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(master.follow, replica)
    await deployment.until_ready(ready=False)
    await asyncio.to_thread(master.promote)
    back = await deployment.pulse()
    await deployment.until_ready()
    steps: list[Callable[[], None]] = [partial(master.follow, replica), replica.promote]
    random.shuffle(steps)
    for step in steps:
        await asyncio.to_thread(step)
    await deployment.until_ready(ready=False)
    await asyncio.sleep(0.5)
    deployment.detour.lead_to(replica.port)
    deployment.bus, deployment.replica = replica, master
    outcome = await _resume(deployment, editing)
    for gateway in deployment.gateways:
        assert "This Redis is a replica" in await asyncio.to_thread(getattr, gateway, "log")
    return Outcome(max(back, outcome.resumed or 0), outcome.converged)


SCENARIOS: Final[dict[str, Scenario]] = {
    "nothing happens": Scenario(_healthy),
    "bus dead for 1 s": Scenario(partial(_bus_dead, seconds=1)),
    "bus dead for 10 s": Scenario(partial(_bus_dead, seconds=10)),
    "bus dead for 60 s": Scenario(partial(_bus_dead, seconds=60)),
    "bus kills its listeners 50 times": Scenario(_clients_killed),
    "bus frozen": Scenario(_bus_frozen),
    "gateway killed before it told": Scenario(_gateway_dies_untold, within=5.0, reread_seconds=5.0, detour=True),
    "users deleted through all of it": Scenario(
        _users_deleted, within=8.0, reread_seconds=60.0, detour=True, store="nx-27017/pymongo"
    ),
    "two deployments on one bus": Scenario(_two_deployments, neighbour=True),
    "redis and its replica swapped": Scenario(_replica_swapped, replica=True),
}
