"""Those who watch users at a gateway, and what they have seen."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from tests.simulation.history import Floor, state_of
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from tests.simulation.gateway import Gateway
    from tests.simulation.history import State
    from tests.simulation.world import World
    from userline.users.record import UserSnapshot

_AGAIN_SECONDS: Final = 0.2
"""When somebody whose watch could not begin tries again."""


class Watching:
    """Watches one user at one gateway, until the gateway is gone or it is ended."""

    def __init__(self, world: World, gateway: Gateway, user_id: str, slowness: float) -> None:
        self.world = world
        self.gateway = gateway
        self.user_id = user_id
        self.seen: State | None = None
        """What was seen last."""
        self.has_begun = False
        """Whether anything was seen."""
        self._repeats = 0
        self._is_again = False
        """Whether something was seen since it began to watch, this time."""
        self.slowness = slowness
        """How many seconds it may take to look at a snapshot."""
        self._floor = Floor(world.history)
        self._task = gateway.do(self._run())

    @property
    def is_over(self) -> bool:
        """Whether nobody watches any more."""
        return self._task.done()

    async def end(self) -> None:
        """Watch no more."""
        self._task.cancel()
        await asyncio.wait([self._task])

    def problem(self) -> str | None:
        """Return what is wrong with what was seen last, if there is no more to come."""
        if not self.has_begun:
            return f"{self} was never told anything"
        if not self.world.history.is_now(self.user_id, self.seen):
            return f"{self} saw {self.seen} last, and there is {self.world.history.now(self.user_id)}"
        return None

    def take(self, snapshot: UserSnapshot | None) -> None:
        """See a snapshot."""
        self.see(state_of(snapshot))

    def see(self, state: State | None) -> None:
        """See a state."""
        self.world.note(f"{self} sees {state}")
        if self._is_again and state == self.seen and self.may_not_repeat(state):
            self._repeats += 1
            if self._repeats > self.gateway.repeated[self.user_id]:
                self.world.fail(f"{self} was told of {state} twice")
        self.has_begun = self._is_again = True
        self.seen = state
        problem = self._floor.take(self.user_id, state)
        if problem is not None:
            self.world.fail(f"{self}: {problem}")
        self.gateway.floor.raise_to(self.user_id, self._floor.of(self.user_id))

    async def _run(self) -> None:
        try:
            while True:
                # What this gateway has shown by now is the least that is shown.
                self._floor.raise_to(self.user_id, self.gateway.floor.of(self.user_id))
                self._is_again = False
                try:
                    await self.watch()
                except StoreUnavailable:
                    self.world.note(f"{self} could not begin")
                await asyncio.sleep(_AGAIN_SECONDS)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - none other is expected
            self.world.fail(f"{self} raised {error!r}")

    def may_not_repeat(self, state: State | None) -> bool:
        """Whether nothing can have been in between that was passed over, if this was seen before."""
        return state is not None and state.version is not None

    async def watch(self) -> None:
        """Watch as a subscription does that has a task."""
        async with aclosing(self.gateway.users.watch(self.user_id)) as snapshots:
            async for snapshot in snapshots:
                self.take(snapshot)
                if self.slowness:
                    await asyncio.sleep(self.world.random.random() * self.slowness)

    def __str__(self) -> str:
        return f"{type(self).__name__.lower()} of {self.user_id} at {self.gateway.name}"


class Attached(Watching):
    """Watches as the slots of a socket do: it is told in the turn in which it happens."""

    is_new = True

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        """Take a snapshot from the hub."""
        self.is_new = False
        self.take(snapshot)
        return False

    def may_not_repeat(self, _: State | None) -> bool:
        """Nothing is passed over."""
        return True

    async def watch(self) -> None:
        """Be told until the end."""
        self.is_new = True
        loading = self.gateway.users.attach(self.user_id, self)
        try:
            if loading is not None:
                await loading
            await asyncio.Event().wait()
        finally:
            self.gateway.users.detach(self.user_id, self)
