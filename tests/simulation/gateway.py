"""One gateway: all of its parts as they are, over a simulated store and bus, that can be killed at any moment."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tests.simulation.bus import Cut, Line, SimulatedBackend
from tests.simulation.history import Floor
from tests.simulation.loop import OWNER, Owner, cancel_begun
from tests.simulation.store import StoreLine
from userline.gateway.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.simulation.sockets import Connection
    from tests.simulation.world import World
    from userline.changes.hub import Hub
    from userline.changes.reading import Reading
    from userline.execution.documents import DocumentCache
    from userline.execution.engine import Engine
    from userline.users.record import Change, UserSnapshot

T = TypeVar("T")

_END_SECONDS: Final = 30.0
"""How long a gateway may take to stop, at most."""


_known_documents: list[DocumentCache] = []


def documents(engine: Engine) -> DocumentCache:
    """Return what all gateways know of documents, so that each is compiled once."""
    if not _known_documents:
        _known_documents.append(engine.documents)
    return _known_documents[0]


class Gateway(Owner):
    """A gateway, from one start to its end. Another one with the same name may come after it."""

    def __init__(self, name: str, world: World, skew: float) -> None:
        super().__init__()
        self.name = name
        self.is_up = False
        self.is_dead = False
        self.skew = skew
        """How many seconds its clock is ahead."""
        self.bus_line = Line()
        self.store_line = StoreLine(world.random)
        self.floor = Floor(world.history)
        """What this gateway has shown to anybody."""
        self._world = world
        self._stopping = asyncio.Event()
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, self)
        self._main: asyncio.Task[None] | None = None
        store = world.make_store(self.store_line, self._milliseconds)
        backend = SimulatedBackend(world.server, self.bus_line)
        self.runtime = self._context.run(Runtime, world.settings, store=store, bus=backend, clock=world.loop.time)
        self.runtime.engine.pacer.clock = world.busy_clock
        self.users = self.runtime.users
        self.presence = self.runtime.presence
        self.runtime.engine.documents = documents(self.runtime.engine)
        self.app = self._context.run(self.runtime.make_app)
        self.connections: list[Connection] = []
        """The sockets that it serves."""
        self.repeated: Counter[str] = Counter()
        """How often watchers of a user may be told what they know: for who wrote it, or saw what was in between."""
        self._count_repeats(self.runtime.hub)

    def _count_repeats(self, hub: Hub) -> None:
        take_outcome, hear = hub.take_outcome, hub.hear

        def take(reading: Reading, user_id: str, *given: Any, **named: Any) -> UserSnapshot | None:
            self.repeated[user_id] += reading.is_write
            return take_outcome(reading, user_id, *given, **named)

        def hear_and_count(change: Change, *, is_seen: bool = False) -> None:
            entry = hub._entries.get(change.id)
            self.repeated[change.id] += is_seen and entry is not None and entry.is_quiet
            hear(change, is_seen=is_seen)

        hub.take_outcome, hub.hear = take, hear_and_count  # type: ignore[method-assign]

    @property
    def untold(self) -> int:
        """Of how many users it has changes that it has told nobody of, as far as it knows."""
        return self.runtime.bus.waiting + len(self.users._writes._uncertain_writes)

    def do(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something as a part of this gateway: it ends with it."""
        return self._world.loop.create_task(work, context=self._context.copy())

    def least(self, user_id: str) -> int:
        """Return the place in a user's history that a call that begins now must show at least.

        It is what this gateway has shown, or what there is if it knows that it hears nothing.
        """
        if self.runtime.bus.connected:
            return self.floor.of(user_id)
        return self._world.history.place_now(user_id)

    async def start(self) -> None:
        """Start, and return when it serves or has failed to."""
        self._main = self.do(self._run())
        while not self.is_up and not self._main.done():
            await asyncio.sleep(0.01)
        if self._main.done() and not self.is_dead:
            self._main.result()

    async def stop(self) -> None:
        """Stop as on a signal."""
        assert self._main is not None
        for connection in list(self.connections):
            connection.restart()
        self._stopping.set()
        await asyncio.wait([self._main], timeout=_END_SECONDS)
        if not self._main.done():
            self._world.fail(f"{self.name} did not stop within {_END_SECONDS:g} s")
        await self.kill()

    async def kill(self) -> None:
        """End it as a signal does that nobody can catch: nothing that it does from now on is seen by anybody."""
        self.is_up, self.is_dead = False, True
        self._world.server.cut(self.bus_line, Cut.RESET)
        for connection in list(self.connections):
            connection.cut(is_silent=False)
        self.store_line.sever()
        for _ in range(500):
            left = self.tasks()
            if not left:
                break
            cancel_begun(left)
            await asyncio.wait(left, timeout=0.01)
        else:
            self._world.fail(f"{self.name} has tasks that do not end: {self.tasks()}")
        if self._main is not None and not self._main.cancelled() and self._main.exception() is not None:
            self._world.fail(f"{self.name} ended with {self._main.exception()!r}")

    async def _run(self) -> None:
        async with self.runtime.running():
            self.is_up = True
            try:
                await self._stopping.wait()
            finally:
                self.is_up = False

    def _milliseconds(self) -> int:
        return int((1_700_000_000 + self._world.loop.time() + self.skew) * 1000)
