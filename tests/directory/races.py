"""A gateway to which things happen by chance: reads under way while their user is created and deleted, and so on.

Its store goes on step by step, in an order by chance. What is answered is compared with what was in it when.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from tests.directory.stepped import USER, SteppedStore
from userline.changes.held import MISS
from userline.changes.hub import Hub
from userline.directory.refresher import Refresher
from userline.directory.users import Users
from userline.users.errors import StoreUnavailable
from userline.users.record import Deletion, UserSnapshot
from userline.users.rules import Rules
from userline.users.viewer import Viewer, ViewerKind
from userline_client.state import UserState

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from userline.changes.bus import Bus
    from userline.changes.messages import Told
    from userline.users.record import Change

_SERVER: Final = Viewer(ViewerKind.APP)


class LateBus:
    """What is published waits until somebody is told of it, in whatever order."""

    def __init__(self) -> None:
        self.waiting: list[Change] = []

    def publish(self, change: Told) -> None:
        assert isinstance(change, UserSnapshot | Deletion), "each write has an answer"
        self.waiting.append(change)


class Seen:
    """A watcher of the hub, and the place in all states of what it has seen last."""

    def __init__(self, play: Play) -> None:
        self.is_new = True
        self.latest: UserSnapshot | None = None
        self._place = 0
        self._again = 0
        self._play = play

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        states = self._play.store.states
        if snapshot == self.latest and not self.is_new:
            # Who has written the user may have been answered with what was in between.
            self._again += 1
            assert snapshot is None, "told twice"
            assert self._again <= self._play.writes, "told twice of nobody"
        assert snapshot in states[self._place :], f"went back to {snapshot}"
        self._place = states.index(snapshot, self._place)
        self.is_new, self.latest = False, snapshot
        return False


class Client:
    """Watches and writes the user: what it has is the newest of what events and answers say, which come in order."""

    is_new = True

    def __init__(self, play: Play) -> None:
        self.state = UserState()
        self.unread: deque[tuple[object, Any]] = deque()
        self._play = play
        self._operation = 0
        self._is_first = True
        self._watch()

    @property
    def shown(self) -> UserSnapshot | None:
        return cast("UserSnapshot | None", self.state.snapshot)

    def offer(self, snapshot: UserSnapshot | None) -> bool:
        self.is_new = False
        if self.unread and self.unread[-1][0] == self._operation and self._play.chance.random() < 0.5:
            self.unread.pop()  # a slow reader gets the newest alone
        self.unread.append((self._operation, snapshot))
        return False

    def tell(self, what: str, value: Any) -> None:
        """Tell it of the end of something that it has asked for."""
        self.unread.append((what, value))

    def read(self, number: int) -> None:
        """Let it read so much of what it was told."""
        for _ in range(min(number, len(self.unread))):
            if self._take(*self.unread.popleft()):
                self._play.users.detach(USER, self)
                self._watch()

    def _watch(self) -> None:
        self._operation += 1
        self.is_new = self._is_first = True
        loading = self._play.users.attach(USER, self)

        async def begin() -> None:
            if loading is not None:
                await loading

        self._play.do(begin())

    def _take(self, what: object, value: Any) -> bool:
        """Return whether it asks anew."""
        if what == "answer":
            snapshot, nones = value
            return self.state.take_answer(_as_seen(snapshot), nones)
        if what == "deletion":
            return self.state.take_deletion(value)
        if what == "end of a deletion":
            self.state.delete_ended()
        elif what == self._operation:
            is_first, self._is_first = self._is_first, False
            return self.state.hear(value and _as_seen(value), is_first=is_first)
        return False


def _as_seen(snapshot: UserSnapshot) -> Any:
    return SimpleNamespace(version=snapshot.version, snapshot=snapshot)


class Play:
    """A gateway, and what happens to it by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.store = SteppedStore()
        self.bus = LateBus()
        self.seconds = 0.0
        self.is_in_touch = True
        self.hub = Hub(ttl=10, clock=lambda: self.seconds)
        self.users = Users(store=self.store, hub=self.hub, bus=cast("Bus", self.bus), rules=Rules())
        self.refresher = Refresher(self.store, self.hub, period=1e6)
        self.hub.on_doubt = self.refresher.hasten
        self.watchers: list[Seen] = []
        self.clients: list[Client] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.counts: Counter[str] = Counter()
        self.writes = 0
        """How many writes were begun here."""
        self._names = 0

    async def run(self, acts: int) -> None:
        """Let so much happen, and come to an end."""
        self.refresher.start()
        try:
            for _ in range(acts):
                for _ in range(self.chance.choice((0, 1, 1, 2, 4))):
                    await self._step()
                act = self.chance.choice(ACTS)
                self.counts[act] += 1
                await getattr(self, act)()
                if self.chance.random() < 0.5:
                    await turns()
            await self._end()
        finally:
            await self.refresher.stop()

    async def load(self) -> None:
        """Read the user from the store."""
        self.do(self._saw(self.users.load(USER)))

    async def get(self) -> None:
        """Read the user, from memory if it is held."""
        if not self.is_in_touch:
            self.do(self._saw(self.users.get(USER)))

    async def get_many(self) -> None:
        """Read it among others."""

        async def get() -> UserSnapshot | None:
            found = (await self.users.get_many(["bob", USER]))[1]
            assert not isinstance(found, Exception)
            return found

        if not self.is_in_touch:
            self.do(self._saw(get()))

    async def get_whole(self) -> None:
        """Read it as a back end does."""

        async def get() -> UserSnapshot | None:
            (record,) = await self.users.records([USER])
            return record.snapshot if record else None

        self.do(self._saw(get()))

    async def get_page(self) -> None:
        """Read a page of users."""

        async def get() -> UserSnapshot | None:
            records, _ = await self.users.page(limit=10, viewer=_SERVER)
            return next((record.snapshot for record in records if record.snapshot.id == USER), None)

        self.do(self._saw(get()))

    async def create(self) -> None:
        """Create it unless it exists."""
        self._write(self.users.create_if_not_exists(USER, {"name": self._name()}, viewer=_SERVER))

    async def set(self) -> None:
        """Write it."""
        self._write(self.users.set(USER, {"name": self._name()}, viewer=_SERVER))

    async def delete(self) -> None:
        """Delete it."""
        client = self.chance.choice([*self.clients, None])
        taken = client.state.delete_started() if client else 0

        async def delete() -> None:
            try:
                await self.users.delete(USER, viewer=_SERVER)
                if client:
                    client.tell("deletion", taken)
            finally:
                if client:
                    client.tell("end of a deletion", None)

        self.do(delete())

    async def write_elsewhere(self) -> None:
        """Have it written or deleted by another gateway."""
        name = self._name() if self.chance.random() < 0.5 else None
        self.bus.waiting += await self.store.write_elsewhere(name)

    async def hear(self) -> None:
        """Be told of a change, late or twice; or not, without a bus."""
        if self.bus.waiting:
            change = self.chance.choice(self.bus.waiting)
            if self.chance.random() < 0.8:
                self.bus.waiting.remove(change)
            if self.is_in_touch:
                self.hub.hear(change, is_seen=True)

    async def lose_or_regain_touch(self) -> None:
        """Lose the bus, or have it back."""
        self.is_in_touch = not self.is_in_touch
        if self.is_in_touch:
            self.hub.regain_touch()
            self.refresher.settle()
        else:
            self.hub.lose_touch()
            self.refresher.unsettle()

    async def wait(self) -> None:
        """Let what is held become old."""
        self.seconds += 20

    async def watch(self) -> None:
        """Watch it for good."""
        self.watchers.append(watcher := Seen(self))
        loading = self.users.attach(USER, watcher)

        async def begin() -> None:
            if loading is not None:
                await loading
            assert not watcher.is_new

        self.do(begin())

    async def connect(self) -> None:
        """Have one more client that watches it, and writes it from now on."""
        if len(self.clients) < 3:
            self.clients.append(Client(self))

    async def read(self) -> None:
        """Let a client read what it was told."""
        for client in self.chance.sample(self.clients, min(len(self.clients), 1)):
            client.read(self.chance.randint(1, 3))

    async def watch_many(self) -> None:
        """Watch it and another one, up to the first event."""

        async def begin() -> None:
            events = self.users.watch_many(["bob", USER])
            first = await anext(events)
            await events.aclose()
            assert list(first) == ["bob", USER]

        self.do(begin())

    async def _saw(self, answer: Any) -> None:
        """See an answer, which must be a state that there was since the question."""
        place = len(self.store.states) - 1
        snapshot = await answer
        assert snapshot in self.store.states[place:], f"{snapshot} was gone before it was asked for"

    def _write(self, writing: Any) -> None:
        self.writes += 1
        client = self.chance.choice([*self.clients, None])
        nones = client.state.write_started() if client else 0

        async def write() -> UserSnapshot:
            snapshot = cast("UserSnapshot", (await writing)[0])
            if client:
                client.tell("answer", (snapshot, nones))
            return snapshot

        self.do(self._saw(write()))

    def do(self, work: Coroutine[None, None, object]) -> None:
        """Do something beside everything else."""

        async def do() -> None:
            try:
                await work
            except StoreUnavailable:
                self.counts["failed"] += 1

        self.tasks.append(asyncio.create_task(do()))

    def _name(self) -> str:
        self._names += 1
        return f"Name {self._names}"

    async def _step(self) -> None:
        if self.store.steps:
            self.store.step(self.chance.randrange(len(self.store.steps)))
        await turns()

    async def _end(self) -> None:
        """Have everything answered and told, and see that all know what there is."""
        await self._answer_everything()
        for change in self.bus.waiting:
            self.hub.hear(change, is_seen=True)
        if self.is_in_touch:
            await self.lose_or_regain_touch()
        await self.lose_or_regain_touch()
        await self._answer_everything()
        for client in self.clients:
            while client.unread:
                client.read(1)
                await self._answer_everything()
            assert client.shown == self.store.states[-1], "a client is left behind"
        for watcher in self.watchers:
            assert watcher.latest == self.store.states[-1]
        assert self.hub.peek(USER) in (MISS, self.store.states[-1])

    async def _answer_everything(self) -> None:
        await turns()
        while self.store.steps or not all(task.done() for task in self.tasks):
            await self._step()
        await asyncio.gather(*self.tasks)


ACTS: Final = (
    *("load", "load", "get", "get_many", "get_whole", "get_page", "create", "create", "set", "delete", "delete"),
    *("write_elsewhere", "write_elsewhere", "write_elsewhere", "hear", "hear", "hear", "lose_or_regain_touch"),
    *("wait", "watch", "watch_many", "connect", "read", "read"),
)


async def turns() -> None:
    for _ in range(6):
        await asyncio.sleep(0)
