"""What must hold when everything works again, where nothing is wrong, and when everybody has gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tests.simulation.clients import LIVENESS_SECONDS, Shown
from tests.simulation.faults import FAULTS, SLOW_STORES, heal
from tests.simulation.run import PRESENCE_SECONDS, REREAD_SECONDS
from tests.simulation.watching import Attached, Watching
from tests.simulation.wire import Subscribed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.acts import Acts
    from tests.simulation.gateway import Gateway
    from tests.simulation.trouble import Trouble
    from tests.simulation.world import World

PROMPT_SECONDS: Final = 1.0
"""How soon everybody knows of a change where nothing is wrong."""

_GAP_SECONDS: Final = 8.0
"""How soon everybody knows of everything when store and bus work again: a gap is found, closed and read."""

_CALL_SECONDS: Final = 25.0
"""How long a call may take, at most, whatever happens: the patience of the store is 10 s."""


_LEAK_SECONDS: Final = 6.0
"""How soon nothing is held any more. A write that had no answer is looked at once more after 5 s."""


class Checks:
    """Looks at a deployment when it is known what there should be."""

    def __init__(self, world: World, acts: Acts, trouble: Trouble) -> None:
        self._world = world
        self._acts = acts
        self._trouble = trouble

    async def recover(self) -> None:
        """End all faults, and see that everybody comes to know everything."""
        self._world.is_ending = True
        await asyncio.gather(*self._world.dying)
        self._world.note("everything works again")
        self._world.server.thaw()
        for name, gateway in list(self._world.gateways.items()):
            for kind in FAULTS:
                heal(gateway, kind)
            self._trouble.mend(gateway)
            await self._world.start(name)
            for client in self._world.wires[name]:
                client.hurry()
        patience = _GAP_SECONDS + self._slow_seconds + self._finding_out_seconds
        if not await self._wait_for(self._is_settled, patience):
            self._complain(f"{patience:g} s after everything works again")

    async def be_calm(self) -> None:
        """See that what happens where nothing is wrong is known at once."""
        await self._wait_for(lambda: not self._world.calls, _CALL_SECONDS)
        for user_id in self._world.user_ids:
            for gateway in self._world.gateways.values():
                for kind in (Attached, Watching):
                    if self._world.random.random() < 0.5:
                        self._world.watchings.append(kind(self._world, gateway, user_id, 0.0))
                self._world.watchings += [
                    Subscribed(self._world, client, user_id) for client in self._world.wires[gateway.name]
                ]
            self._world.shown += [Shown(client, user_id) for client in self._world.sessions]
        if not await self._wait_for(self._is_settled, 2 * PROMPT_SECONDS + self._slow_seconds):
            self._complain("a while after some have begun to watch")
        for _ in range(self._world.random.randint(1, 4)):
            gateway = self._world.gateways[self._world.random.choice(self._world.names)]
            self._acts.write_publicly(gateway, self._world.random.choice(self._world.user_ids))
            await asyncio.sleep(self._world.random.choice((0.0, 0.001, 0.1)))
        if not await self._wait_for(self._is_settled, PROMPT_SECONDS + 3.0 * self._has_slow_readers()):
            self._complain("although nothing was wrong")
        patience = 2 * PRESENCE_SECONDS + 1
        if not await self._wait_for(lambda: not self._misjudged(), patience):
            for problem in self._misjudged():
                self._world.fail(problem)

    @property
    def _slow_seconds(self) -> float:
        """How long it may take until a change is known that nobody could tell of: who wrote it died, or gave it up.

        What was given up is looked at twice; a store that was slow may do it after the first look.
        """
        counts = self._world.counts
        is_late = self._world.has_lost_changes or any(counts[each] for each in SLOW_STORES)
        return REREAD_SECONDS if is_late else 0.0

    @property
    def _finding_out_seconds(self) -> float:
        """How long it may take until a client knows that its socket is gone."""
        return (
            LIVENESS_SECONDS
            if self._world.counts["session is silent"] or self._world.counts["socket is silent"]
            else 0.0
        )

    def _has_slow_readers(self) -> bool:
        return any(watching.slowness for watching in self._world.watchings)

    def _is_settled(self) -> bool:
        return (
            self._world.server.is_sound
            and self._world.server.is_empty
            and all(client.is_sound for client in self._world.clients)
            and not self._world.calls
            and not any(gateway.store_line.under_way for gateway in self._world.gateways.values())
            and not self._unsettled()
            and not any(self._problems())
        )

    def _problems(self) -> Iterator[tuple[Watching | Shown, str]]:
        """Yield who has not seen what there is last, and what is wrong with that."""
        for watching in self._world.watchers:
            problem = watching.problem()
            if problem is not None and not self._world.history.is_low(watching.user_id):
                yield watching, problem

    def _unsettled(self) -> list[str]:
        return [
            f"{gateway.name} is not coherent"
            for gateway in self._world.gateways.values()
            if not gateway.is_up or not gateway.runtime.coherent or gateway.runtime.bus.waiting
        ] + self._world.history.low()

    def check_fresh(self, when: str) -> None:
        """See that everybody has been told of what there is, and that no call has no end."""
        for watching, problem in self._problems():
            if not watching.slowness:
                self._world.fail(f"{problem}, {when}")
        for what, began in self._world.calls.values():
            if self._world.loop.time() - began > _CALL_SECONDS:
                self._world.fail(f"there is no end of {what}")

    def _complain(self, when: str) -> None:
        """Say what there is still to wait for."""
        self.check_fresh(when)
        for problem in self._unsettled() + [f"there is no end of {what}" for what, _ in self._world.calls.values()]:
            self._world.fail(f"{problem}, {when}")
        if not self._world.problems:
            self._world.fail(f"not everybody knows that a connection is gone, {when}")

    def _misjudged(self) -> list[str]:
        """Return who is thought to be connected and is not, or the other way round."""
        connected = {user_id for _, user_id in self._world.entered}
        return [
            f"{gateway.name} says that {user_id} is {'not ' * (user_id in connected)}connected"
            for gateway in self._world.gateways.values()
            for user_id in self._world.user_ids
            if gateway.presence.is_connected(user_id) != (user_id in connected)
        ]

    async def _wait_for(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, and return whether it came to that in time."""
        until = self._world.loop.time() + seconds
        pause = 0.05
        while not is_so():
            if self._world.loop.time() >= until:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        return True

    async def end(self) -> None:
        """See that nothing is left when everybody has gone."""
        await asyncio.gather(*(watching.end() for watching in self._world.watchers))
        for session in self._world.sessions:
            await session.close()
        for gateway, user_id in self._world.entered:
            gateway.presence.leave(user_id)
        await self._wait_for(lambda: not self._world.calls, _CALL_SECONDS)
        for client in [each for clients in self._world.wires.values() for each in clients]:
            await client.close()
        # Until the gateways have heard of it, or have found out.
        await self._wait_for(lambda: not any(each.connections for each in self._world.gateways.values()), 25)
        for gateway in self._world.gateways.values():
            if not await self._wait_for(lambda gateway=gateway: not leaks(gateway), _LEAK_SECONDS):  # type: ignore[misc]
                for problem in leaks(gateway):
                    self._world.fail(f"{gateway.name}: {problem}")
            await gateway.stop()
        # What was thought to be lost on the bus, and faults that would be over by now.
        await asyncio.sleep(20)
        left = [each for each in self._world.loop.left() if "_main" not in each]
        if left:
            self._world.fail(f"left behind: {left}")


def leaks(gateway: Gateway) -> list[str]:
    """Return what a gateway holds although nobody wants anything of it."""
    hub, batcher = gateway.runtime.hub, gateway.users.batcher
    held = {
        "watchers": hub.watcher_count,
        "watched users": hub.watched_users,
        "pins": sum(entry.pins for entry in hub._entries.values()),
        "watchers of entries": sum(len(entry.watchers) for entry in hub._entries.values()),
        "entries beside those that may go": len(hub) - len(hub._idle),
        "lookups": len(batcher._pending) + len(batcher._reads),
        "writes": len(gateway.users._writes._under_way),
        "turns": gateway.runtime.engine.pacer.waiting,
        "watchers of presence": len(gateway.presence._watchers),
        "users who have entered": len(gateway.presence._operations),
        "calls of the store": len(gateway.store_line.waiting),
        "changes to be published": gateway.runtime.bus.waiting,
        "sockets": gateway.runtime.connections.sockets + len(gateway.connections),
        "slots to be emptied": len(gateway.runtime.deliveries._marked),
    }
    return [f"{number} {what} left" for what, number in held.items() if number]
