"""When something goes wrong, with whom, and for how long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.bus import Cut
from tests.simulation.faults import (
    BLINKS,
    BUS_FREEZES,
    BUS_IS_DOWN,
    CUTS,
    DIES_MUTE,
    ENDS,
    FAULTS,
    SESSIONS,
    SOCKETS,
    STOPS_MUTE,
    heal,
)

if TYPE_CHECKING:
    from tests.simulation.acts import Acts
    from tests.simulation.gateway import Gateway
    from tests.simulation.world import World


class Trouble:
    """Makes it."""

    def __init__(self, world: World, acts: Acts) -> None:
        self._world = world
        self._acts = acts

    async def make(self, gateway: Gateway) -> None:
        """Let something go wrong with a gateway, for a while."""
        chance = self._world.random
        kind = chance.choice(self._world.kinds)
        seconds = chance.choice((0.05, 0.5, 2.0, 8.0)) * chance.random()
        self._world.counts[kind] += 1
        self._world.note(f"FAULT {gateway.name}: {kind} for {seconds:.3f} s")
        if kind in FAULTS:
            FAULTS[kind](gateway)
            self._world.loop.call_later(seconds, heal, gateway, kind)
        elif kind in CUTS:
            self._cut(gateway, kind, seconds)
        elif kind in SOCKETS:
            self._hurt_a_client(gateway, kind, seconds)
        elif kind in SESSIONS:
            for session in self._world.sessions[:1]:
                session.cut(is_silent=kind == "session is silent")
        elif kind == BUS_FREEZES:
            self._world.server.freeze()
            self._world.loop.call_later(seconds, self._world.server.thaw)
        elif kind == BUS_IS_DOWN:
            for each in self._world.gateways.values():
                self._world.server.cut(each.bus_line, Cut.RESET)
                self._world.loop.call_later(seconds, self.mend, each)
        else:
            assert kind in ENDS
            await self._end(gateway, kind, seconds)

    def mend(self, gateway: Gateway) -> None:
        """Mend a gateway's way to the bus."""
        if not gateway.is_dead:
            self._world.server.cut(gateway.bus_line, Cut.NO)

    def _cut(self, gateway: Gateway, kind: str, seconds: float) -> None:
        if kind == BLINKS:
            self._read_across_a_gap(gateway)
            seconds = 0.05
        self._world.server.cut(gateway.bus_line, CUTS[kind])
        self._world.loop.call_later(seconds, self.mend, gateway)

    def _read_across_a_gap(self, gateway: Gateway) -> None:
        """Have a user read before a gap that is written during it, and answered after it."""
        world, acts = self._world, self._acts
        user_id = world.random.choice(world.user_ids)
        gateway.store_line.delay = 1.0
        world.loop.call_later(2.0, heal, gateway, "store")
        acts.do("watch", gateway, user_id)
        others = [each for each in world.gateways.values() if each.is_up and each is not gateway]
        if others:
            world.loop.call_later(0.02, acts.write_publicly, world.random.choice(others), user_id)

    def _hurt_a_client(self, gateway: Gateway, kind: str, seconds: float) -> None:
        for client in self._world.wires[gateway.name][:1]:
            if kind == "client is slow":
                client.is_slow = True
                self._world.loop.call_later(seconds, client.hurry)
            else:
                client.cut(is_silent=kind == "socket is silent")

    async def _end(self, gateway: Gateway, kind: str, seconds: float) -> None:
        world = self._world
        if kind == DIES_MUTE:
            # What it writes until then, nobody hears of.
            world.server.cut(gateway.bus_line, world.random.choice((Cut.SILENT, Cut.RESET)))
            world.loop.call_later(world.random.random(), self._kill_later, gateway)
        else:
            if kind == STOPS_MUTE:
                await self._write_mutely(gateway, seconds)
            if gateway.is_up:  # it may have died meanwhile, of what happened to it before
                await world.take_down(gateway, is_killed=kind == "kill")
        world.loop.call_later(seconds + 1.0, self._start_later, gateway.name)

    async def _write_mutely(self, gateway: Gateway, seconds: float) -> None:
        """Have a user written of whom the others, who watch, are not told as long as the bus is silent."""
        world = self._world
        user_id = world.random.choice(world.user_ids)
        for each in world.gateways.values():
            if each.is_up and each is not gateway:
                self._acts.do("watch", each, user_id)
        world.server.cut(gateway.bus_line, Cut.SILENT)
        world.loop.call_later(seconds, self.mend, gateway)
        self._acts.write_publicly(gateway, user_id)
        await asyncio.sleep(0.05)

    def _kill_later(self, gateway: Gateway) -> None:
        if gateway.is_up and not self._world.is_ending:
            self._world.dying.append(self._world.loop.create_task(self._world.take_down(gateway, is_killed=True)))

    def _start_later(self, name: str) -> None:
        if not self._world.is_ending:
            self._world.dying.append(self._world.loop.create_task(self._world.start(name)))
