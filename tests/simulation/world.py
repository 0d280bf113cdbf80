"""One run: a deployment made from a seed, what happens to it, and what must hold meanwhile and at the end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.bus import Cut, SimulatedServer
from tests.simulation.clients import LIVENESS_SECONDS, Client, Shown, simulated_clients
from tests.simulation.clients import PASSING as PASSING_AT_CLIENTS
from tests.simulation.faults import BLINKS, BUS_IS_DOWN, CUTS, DIES_MUTE, ENDS, FAULTS, KINDS, SESSIONS, SOCKETS, heal
from tests.simulation.gateway import Gateway
from tests.simulation.history import History, state_of
from tests.simulation.loop import OWNER, START_SECONDS, simulated_loop
from tests.simulation.mongo import MongoDeployment, SimulatedMongoStore
from tests.simulation.store import Database, SimulatedSQLiteStore
from tests.simulation.watching import Attached, Watching
from tests.simulation.wire import PASSING, READ, SET, AnswerLost, RefusedError, Subscribed, WireClient, state_seen
from userline.settings.settings import Settings, load_settings
from userline.users.errors import NameRequired, StoreUnavailable
from userline.users.viewer import Viewer, ViewerKind
from userline_client import UserlineError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.simulation.loop import SimulatedLoop
    from tests.simulation.store import StoreLine
    from userline.execution.documents import DocumentCache
    from userline.execution.engine import Engine
    from userline.storage.protocol import UserStore

_SERVER: Final = Viewer(ViewerKind.APP)

_REREAD_SECONDS: Final = 12.0
_PRESENCE_SECONDS: Final = 3.0
_CACHE_SECONDS: Final = 5.0

_PROMPT_SECONDS: Final = 1.0
"""How soon everybody knows of a change where nothing is wrong."""
_GAP_SECONDS: Final = 8.0
"""How soon everybody knows of everything when store and bus work again: a gap is found, closed and read."""
_CALL_SECONDS: Final = 25.0
"""How long a call may take, at most, whatever happens: the patience of the store is 10 s."""

_ACTIONS: Final = {
    "set": 8, "set privately": 3, "set nothing": 2, "set a key": 3, "set many": 2, "create": 3, "get": 6,
    "get many": 2, "page": 1, "watch": 6, "unwatch": 3, "enter": 3, "leave": 2, "fault": 5,
    "client gets": 4, "client sets": 4, "client watches": 4, "client unwatches": 2,
}  # fmt: skip


class SimulationError(AssertionError):
    """What a run has found, and how it came to that."""

    def __init__(self, seed: int, problems: list[str], trace: list[str]) -> None:
        super().__init__(seed, problems, trace)
        self.seed = seed
        self.problems = problems
        self.trace = trace

    def __str__(self) -> str:
        found = "\n".join(f"- {problem}" for problem in self.problems)
        return "\n".join(self.trace) + f"\nSeed {self.seed} has found:\n{found}"


@cache
def _settings() -> Settings:
    return load_settings(
        {
            "store_url": "sqlite:////nowhere/users.db",
            "bus_url": "redis://simulated",
            "reread_seconds": _REREAD_SECONDS,
            "presence_seconds": _PRESENCE_SECONDS,
            "cache_seconds": _CACHE_SECONDS,
            "access_log": False,
            "change_stream": False,
            "env": "development",
        }
    )


_known_documents: list[DocumentCache] = []


def _documents(engine: Engine) -> DocumentCache:
    if not _known_documents:
        _known_documents.append(engine.documents)
    return _known_documents[0]


class _Errors(logging.Handler):
    """What the product logs as an error is one: it has met with something that it did not expect."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        owner = OWNER.get(None)
        if isinstance(owner, Gateway) and owner.is_dead:
            return  # that it was ended in the middle of everything is no fault
        if record.exc_info and record.exc_info[1] is not None:
            self._world.fail(f"logged: {record.getMessage()} ({record.exc_info[1]!r})")


class World:
    """One run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.history = History()
        self.problems: list[str] = []
        self.trace: list[str] = []
        self.counts: Counter[str] = Counter()
        """What was done, and what went wrong, by its name."""
        self.settings = _settings()
        self.loop: SimulatedLoop
        self.server = SimulatedServer(self.random)
        chance = self.random
        self._names = [f"g{number}" for number in range(1, chance.choice((1, 2, 2, 2, 3, 3)) + 1)]
        self.user_ids = [f"u{number}" for number in range(1, chance.randint(1, 4) + 1)]
        self._steps = chance.randint(10, 50)
        self._pace = chance.choice((0.002, 0.02, 0.02, 0.2))
        self._is_calm = chance.random() < 0.15
        """Whether nothing goes wrong."""
        self._is_on_mongodb = chance.random() < 0.4
        self._deployment = MongoDeployment(self.history, self.user_ids)
        self._is_busy = chance.random() < 0.2
        self._kinds = [kind for kind in KINDS if chance.random() < 0.5] or [chance.choice(KINDS)]
        self._weights = {
            action: 0 if self._is_calm and action == "fault" else weight * chance.choice((0, 1, 1, 3))
            for action, weight in _ACTIONS.items()
        }
        self._weights["set"] += 1
        self._weights["watch"] += 1
        self._skews = {name: chance.choice((0.0, 0.0, 0.3, -5.0, 60.0)) for name in self._names}
        self._clients_each = chance.choice((0, 0, 1, 2))
        """How many clients each gateway has."""
        self._session_names = [f"session {number}" for number in range(chance.choice((0, 0, 1, 2)))]
        self._sessions: list[Client] = []
        self._shown: list[Shown] = []
        self._clients: dict[str, list[WireClient]] = {name: [] for name in self._names}
        self._gateways: dict[str, Gateway] = {}
        self._watchings: list[Watching] = []
        self._calls: dict[asyncio.Task[None], tuple[str, float]] = {}
        self._entered: list[tuple[Gateway, str]] = []
        self._values = 0
        self._busy_seconds = 0.0
        self._was_killed = False
        self._is_ending = False
        self._dying: list[asyncio.Task[None]] = []
        """Gateways on their way down, or up again."""
        self._database: Database

    # What the gateways are made of.

    def make_store(self, line: StoreLine, clock: Callable[[], int]) -> UserStore:
        """Return a store of one gateway."""
        if self._is_on_mongodb:
            return SimulatedMongoStore(self._deployment, line, self.settings.rules, clock)
        return SimulatedSQLiteStore(self._database, line, self.settings.rules, clock)

    @staticmethod
    def documents(engine: Engine) -> DocumentCache:
        """Return what all gateways know of documents, so that they are compiled once."""
        return _documents(engine)

    def busy_clock(self) -> float:
        """Return how long the loop's thread has computed: more than it has, where gateways have much to do."""
        if self._is_busy:
            self._busy_seconds += self.random.random() * 0.004
        return self._busy_seconds

    @property
    def seconds(self) -> float:
        """How many seconds were simulated."""
        return self.loop.seconds - START_SECONDS

    # What was seen.

    def note(self, text: str) -> None:
        """Take note of what happens."""
        self.trace.append(f"{self.loop.seconds:12.6f} {text}")

    def fail(self, problem: str) -> None:
        """Take note of what must not be."""
        self.note(f"WRONG: {problem}")
        self.problems.append(problem)

    def run(self) -> None:
        """Run it. Raises SimulationError."""
        errors = _Errors(self)
        loggers = [logging.getLogger("userline"), logging.getLogger("userline_client")]
        levels = [logger.level for logger in loggers]
        with simulated_loop(self.seed) as self.loop:
            self._database = Database(self.history, self.user_ids)
            self.loop.set_exception_handler(lambda _, context: self.fail(f"the loop caught {context}"))
            for logger in loggers:
                logger.setLevel(logging.ERROR)
                logger.addHandler(errors)
            try:
                with simulated_clients(self):
                    self.loop.run_until_complete(self._main())
            except AssertionError as error:
                self.fail(f"{type(error).__name__}: {error}")
            finally:
                for logger, level in zip(loggers, levels, strict=True):
                    logger.removeHandler(errors)
                    logger.setLevel(level)
                self._database.close()
        self.problems += self.history.problems
        if self.problems:
            raise SimulationError(self.seed, self.problems, self.trace)

    async def _main(self) -> None:
        for name in self._names:
            await self._start(name)
        self._sessions = [Client(self, name) for name in self._session_names]
        for _ in range(self._steps):
            await self._step()
            if self.problems:
                return
        await self._recover()
        if not self.problems:
            await self._be_calm()
        if not self.problems:
            await self._end()

    # What happens.

    async def _step(self) -> None:
        chance = self.random
        seconds = chance.expovariate(1 / self._pace) if chance.random() < 0.7 else 0.0
        if chance.random() < 0.03:
            seconds += chance.choice((0.5, 2.0, 6.0))
        if seconds:
            await asyncio.sleep(seconds)
            if self._is_calm and seconds >= _PROMPT_SECONDS:
                self._check_fresh("while nothing is wrong")
        (action,) = chance.choices(list(self._weights), list(self._weights.values()))
        gateway = self._gateways[chance.choice(self._names)]
        user_id = chance.choice(self.user_ids)
        if action == "fault":
            await self._go_wrong(gateway)
        elif gateway.is_up:
            self.counts[action] += 1
            getattr(self, f"_{action.replace(' ', '_')}")(gateway, user_id)

    def _set(self, gateway: Gateway, user_id: str) -> None:
        # Sometimes what was there before: it is another version, and looks the same.
        number = self._new_value() if self.random.random() < 0.8 else self.random.randint(1, 3)
        self._write(gateway, user_id, {"name": f"n{number}"})

    def _set_privately(self, gateway: Gateway, user_id: str) -> None:
        self._write(gateway, user_id, {"email": [f"e{self._new_value()}@example.com"]})

    def _set_nothing(self, gateway: Gateway, user_id: str) -> None:
        self._write(gateway, user_id, {})

    def _set_a_key(self, gateway: Gateway, user_id: str) -> None:
        key = self.random.choice("kl")
        value = None if self.random.random() < 0.2 else f"v{self._new_value()}"
        self._write(gateway, user_id, {"custom": {key: value}})

    def _write(self, gateway: Gateway, user_id: str, given: dict[str, Any]) -> None:
        client = self._some_client(gateway)

        async def write() -> None:
            if client is not None and "email" not in given:
                await self._write_by_wire(client, user_id, given)
                return
            since = gateway.least(user_id)
            newest, result = await gateway.users.set(user_id, given, viewer=_SERVER)
            self._was_written(gateway, user_id, since, state_of(newest), state_of(result.after.snapshot))

        self._call(gateway, f"set {user_id} {given}", write())

    async def _write_by_wire(self, client: WireClient, user_id: str, given: dict[str, Any]) -> None:
        since = client.gateway.least(user_id)
        answer = await client.request(SET, {"id": user_id, "input": given})
        after = state_seen(answer["setUser"]["user"])
        self._was_written(client.gateway, user_id, since, after, after)

    def _set_many(self, gateway: Gateway, user_id: str) -> None:  # noqa: ARG002 - several
        user_ids = self.random.sample(self.user_ids, min(2, len(self.user_ids)))
        given = {each: {"name": f"n{self._new_value()}"} for each in user_ids}

        async def write() -> None:
            since = {each: gateway.least(each) for each in user_ids}
            for each, result in (await gateway.users.set_many(given)).items():
                after = state_of(result.after.snapshot)
                self._was_written(gateway, each, since[each], after, after)

        self._call(gateway, f"set {given}", write())

    def _create(self, gateway: Gateway, user_id: str) -> None:
        name = f"n{self._new_value()}"

        async def create() -> None:
            since = gateway.least(user_id)
            newest, _ = await gateway.users.create_if_not_exists(user_id, {"name": name}, viewer=_SERVER)
            self._was_written(gateway, user_id, since, state_of(newest), state_of(newest))

        self._call(gateway, f"create {user_id} {name}", create())

    def _was_written(self, gateway: Gateway, user_id: str, since: int, newest: Any, after: Any) -> None:
        if self.history.place(user_id, after, 0) is None:
            self.fail(f"{gateway.name} acknowledged {after} of {user_id}, which was never stored")
        self._saw(gateway, user_id, since, newest, "a write")

    def _saw(self, gateway: Gateway, user_id: str, since: int, state: Any, what: str) -> None:
        self.note(f"{gateway.name} answers {what} of {user_id}: {state}")
        problem = gateway.floor.take(user_id, state, since)
        if problem is not None:
            self.fail(f"{what} at {gateway.name}: {problem}")

    def _get(self, gateway: Gateway, user_id: str) -> None:
        client = self._some_client(gateway)

        async def get() -> None:
            since = gateway.least(user_id)
            if client is not None:
                answer = await client.request(READ, {"id": user_id})
                self._saw(gateway, user_id, since, state_seen(answer["user"]), "a read by a socket")
                return
            snapshot = await gateway.users.get(user_id)
            self._saw(gateway, user_id, since, state_of(snapshot), "a read")

        self._call(gateway, f"get {user_id}", get())

    def _get_many(self, gateway: Gateway, user_id: str) -> None:  # noqa: ARG002 - all
        async def get() -> None:
            since = {each: gateway.least(each) for each in self.user_ids}
            for each, snapshot in zip(self.user_ids, await gateway.users.get_many(self.user_ids), strict=True):
                self._saw(gateway, each, since[each], state_of(snapshot), "a read of many")

        self._call(gateway, "get all", get())

    def _page(self, gateway: Gateway, user_id: str) -> None:  # noqa: ARG002 - all
        async def get() -> None:
            since = {each: gateway.least(each) for each in self.user_ids}
            found, _ = await gateway.users.page(limit=100)
            for record in found:
                each = record.snapshot.id
                self._saw(gateway, each, since[each], state_of(record.snapshot), "a page")

        self._call(gateway, "page", get())

    def _watch(self, gateway: Gateway, user_id: str) -> None:
        self.note(f"watch {user_id} at {gateway.name}")
        client = self._some_client(gateway)
        if client is not None:
            self._watchings.append(Subscribed(self, client, user_id))
            return
        slowness = self.random.choice((0.0, 0.0, 0.1, 3.0))
        kind = Attached if self.random.random() < 0.5 else Watching
        self._watchings.append(kind(self, gateway, user_id, slowness))

    def _some_client(self, gateway: Gateway) -> WireClient | None:
        """Return a client of a gateway, or None: then it is done without a socket."""
        clients = self._clients[gateway.name]
        return self.random.choice(clients) if clients and self.random.random() < 0.6 else None

    def _unwatch(self, gateway: Gateway, user_id: str) -> None:
        mine = [each for each in self._watchings if each.gateway is gateway and each.user_id == user_id]
        if mine:
            watching = self.random.choice(mine)
            self._watchings.remove(watching)
            self._call(gateway, f"end {watching}", watching.end(), is_own=False)

    def _client_gets(self, _: Gateway, user_id: str) -> None:
        if self._sessions:
            client = self.random.choice(self._sessions)
            self._call(client, f"get {user_id}", client.get(user_id))

    def _client_sets(self, _: Gateway, user_id: str) -> None:
        if self._sessions:
            client = self.random.choice(self._sessions)
            given: dict[str, Any] = {"name": f"n{self._new_value()}"}
            if self.random.random() < 0.3:
                given = {"custom": {self.random.choice("kl"): f"v{self._new_value()}"}}
            self._call(client, f"set {user_id} {given}", client.set(user_id, given))

    def _client_watches(self, _: Gateway, user_id: str) -> None:
        if self._sessions:
            client = self.random.choice(self._sessions)
            self.note(f"{client.name} subscribes to {user_id}")
            self._shown.append(Shown(client, user_id))

    def _client_unwatches(self, _: Gateway, user_id: str) -> None:  # noqa: ARG002 - any
        if self._shown:
            shown = self.random.choice(self._shown)
            self._shown.remove(shown)
            self._call(shown.client, f"end {shown}", shown.end())

    def some_gateway(self) -> Gateway:
        """Return the gateway that a balancer chooses."""
        up = [gateway for gateway in self._gateways.values() if gateway.is_up]
        return self.random.choice(up or list(self._gateways.values()))

    def _enter(self, gateway: Gateway, user_id: str) -> None:
        self.note(f"{user_id} enters {gateway.name}")
        gateway.presence.enter(user_id)
        self._entered.append((gateway, user_id))

    def _leave(self, gateway: Gateway, user_id: str) -> None:
        if (gateway, user_id) in self._entered:
            self.note(f"{user_id} leaves {gateway.name}")
            self._entered.remove((gateway, user_id))
            gateway.presence.leave(user_id)

    def _new_value(self) -> int:
        self._values += 1
        return self._values

    def _call(
        self, gateway: Gateway | Client, what: str, work: Coroutine[Any, Any, None], *, is_own: bool = True
    ) -> None:
        """Have something done at a gateway, beside everything else."""
        self.note(f"{gateway.name}: {what}")

        async def call() -> None:
            try:
                await work
            except StoreUnavailable:
                self.note(f"{gateway.name}: {what} failed")
                self.counts["calls that failed"] += 1
            except AnswerLost:
                self.note(f"{gateway.name}: there is no answer to {what}")
            except RefusedError as refused:
                self.note(f"{gateway.name}: {what} was refused with {refused.code}")
                if refused.code not in PASSING and refused.code != "NAME_REQUIRED":
                    self.fail(f"{gateway.name}: {what} was refused with {refused}")
            except UserlineError as error:
                self.note(f"{gateway.name}: {what} failed with {error.code}")
                if error.code not in PASSING_AT_CLIENTS and error.code != "NAME_REQUIRED":
                    self.fail(f"{gateway.name}: {what} failed with {error!r}")
            except NameRequired:
                self.note(f"{gateway.name}: {what} needs a name")
            except Exception as error:  # noqa: BLE001 - none other is expected
                self.fail(f"{gateway.name}: {what} raised {error!r}")

        task = gateway.do(call()) if is_own else self.loop.create_task(call())
        self._calls[task] = (what, self.loop.time())
        task.add_done_callback(self._calls.pop)

    # What goes wrong.

    async def _go_wrong(self, gateway: Gateway) -> None:
        chance = self.random
        kind = chance.choice(self._kinds)
        seconds = chance.choice((0.05, 0.5, 2.0, 8.0)) * chance.random()
        if not gateway.is_up:
            return
        self.counts["faults"] += 1
        self.counts[kind] += 1
        self.note(f"FAULT {gateway.name}: {kind} for {seconds:.3f} s")
        if kind in FAULTS:
            FAULTS[kind](gateway)
            self.loop.call_later(seconds, heal, gateway, kind)
        elif kind in CUTS:
            if kind == BLINKS:
                gateway.store_line.delay = chance.random()
                self.loop.call_later(2 * seconds, heal, gateway, "store")
                seconds = 0.01
            self.server.cut(gateway.bus_line, CUTS[kind])
            self.loop.call_later(seconds, self._mend, gateway)
        elif kind in SESSIONS:
            for session in self._sessions[:1]:
                session.cut(is_silent=kind == "session is silent")
        elif kind in SOCKETS:
            for client in self._clients[gateway.name][:1]:
                if kind == "client is slow":
                    client.is_slow = True
                    self.loop.call_later(seconds, client.hurry)
                else:
                    client.cut(is_silent=kind == "socket is silent")
        elif kind == BUS_IS_DOWN:
            for each in self._gateways.values():
                self.server.cut(each.bus_line, Cut.RESET)
                self.loop.call_later(seconds, self._mend, each)
        else:
            assert kind in ENDS
            if kind == DIES_MUTE:
                # What it writes until then, nobody hears of.
                self.server.cut(gateway.bus_line, self.random.choice((Cut.SILENT, Cut.RESET)))
                self.loop.call_later(chance.random(), self._take_down_later, gateway)
            else:
                await self._take_down(gateway, kind)
            self.loop.call_later(seconds + 1.0, self._start_later, gateway.name)

    def _mend(self, gateway: Gateway) -> None:
        if not gateway.is_dead:
            self.server.cut(gateway.bus_line, Cut.NO)

    def _take_down_later(self, gateway: Gateway) -> None:
        if gateway.is_up and not self._is_ending:
            self._dying.append(self.loop.create_task(self._take_down(gateway, "kill")))

    async def _take_down(self, gateway: Gateway, kind: str) -> None:
        gateway.is_up = False
        mine = [watching for watching in self._watchings if watching.gateway is gateway]
        self._watchings = [watching for watching in self._watchings if watching.gateway is not gateway]
        self._entered = [entered for entered in self._entered if entered[0] is not gateway]
        clients = self._clients.pop(gateway.name)
        self._clients[gateway.name] = []
        if kind == "kill":
            self._was_killed = True
            await gateway.kill()
        else:
            for watching in mine:
                await watching.end()
            await gateway.stop()
        for client in clients:
            await client.close()

    def _start_later(self, name: str) -> None:
        if not self._is_ending:
            self._dying.append(self.loop.create_task(self._start(name)))

    async def _start(self, name: str) -> None:
        before = self._gateways.get(name)
        if before is not None and not before.is_dead:
            return
        gateway = self._gateways[name] = Gateway(name, self, self._skews[name])
        self.note(f"{name} starts")
        await gateway.start()
        self._clients[name] = [
            WireClient(self, gateway, f"client {number} of {name}") for number in range(self._clients_each)
        ]

    # What must hold at the end.

    async def _recover(self) -> None:
        """End all faults, and see that everybody comes to know everything."""
        self._is_ending = True
        await asyncio.gather(*self._dying)
        self.note("everything works again")
        for name, gateway in list(self._gateways.items()):
            for kind in FAULTS:
                heal(gateway, kind)
            self._mend(gateway)
            await self._start(name)
            for client in self._clients[name]:
                client.hurry()
        patience = _GAP_SECONDS + self._slow_seconds + self._finding_out_seconds
        if not await self._wait_for(self._is_settled, patience):
            self._check_fresh(f"{patience:g} s after everything works again")
            self.problems += self._unsettled()
        for call, (what, began) in self._calls.items():
            if self.loop.time() - began > _CALL_SECONDS:
                self.fail(f"there is no end of {what}: {call}")

    async def _be_calm(self) -> None:
        """See that what happens where nothing is wrong is known at once."""
        await self._wait_for(lambda: not self._calls, _CALL_SECONDS)
        for user_id in self.user_ids:
            for gateway in self._gateways.values():
                for kind in (Attached, Watching):
                    if self.random.random() < 0.5:
                        self._watchings.append(kind(self, gateway, user_id, 0.0))
                self._watchings += [Subscribed(self, client, user_id) for client in self._clients[gateway.name]]
            self._shown += [Shown(client, user_id) for client in self._sessions]
        if not await self._wait_for(self._is_settled, 2 * _PROMPT_SECONDS + self._slow_seconds):
            self._check_fresh("of those who have just begun")
        for _ in range(self.random.randint(1, 4)):
            gateway = self._gateways[self.random.choice(self._names)]
            self._write(gateway, self.random.choice(self.user_ids), {"name": f"n{self._new_value()}"})
            await asyncio.sleep(self.random.choice((0.0, 0.001, 0.1)))
        if not await self._wait_for(self._is_settled, _PROMPT_SECONDS + 3.0 * self._has_slow_readers()):
            self._check_fresh("although nothing was wrong")
        patience = 2 * _PRESENCE_SECONDS + 1
        if not await self._wait_for(lambda: not self._misjudged(), patience):
            for problem in self._misjudged():
                self.fail(problem)

    @property
    def _slow_seconds(self) -> float:
        """How long it may take until a change is known that nobody could tell of: who wrote it died, or gave it up."""
        return _REREAD_SECONDS if self._was_killed or self.counts["store hangs"] else 0.0

    @property
    def _finding_out_seconds(self) -> float:
        """How long it may take until a client knows that its socket is gone."""
        return LIVENESS_SECONDS if self.counts["session is silent"] or self.counts["socket is silent"] else 0.0

    def _has_slow_readers(self) -> bool:
        return any(watching.slowness for watching in self._watchings)

    def _is_settled(self) -> bool:
        wires = [wire for wires in self._clients.values() for wire in wires]
        return (
            self.server.is_sound
            and all(client.is_sound for client in [*wires, *self._sessions])
            and not self._calls
            and not self._unsettled()
            and all(each.problem() is None for each in [*self._watchings, *self._shown])
        )

    def _unsettled(self) -> list[str]:
        return [
            f"{gateway.name} is not coherent"
            for gateway in self._gateways.values()
            if not gateway.is_up or not gateway.runtime.coherent or gateway.runtime.bus.waiting
        ]

    def _check_fresh(self, when: str) -> None:
        for watching in [*self._watchings, *self._shown]:
            problem = watching.problem()
            if problem is not None and not watching.slowness:
                self.fail(f"{problem}, {when}")
        for what, began in self._calls.values():
            if self.loop.time() - began > _CALL_SECONDS:
                self.fail(f"there is no end of {what}")

    def _misjudged(self) -> list[str]:
        """Return who is thought to be connected and is not, or the other way round."""
        connected = {user_id for _, user_id in self._entered}
        return [
            f"{gateway.name} says that {user_id} is {'not ' * (user_id in connected)}connected"
            for gateway in self._gateways.values()
            for user_id in self.user_ids
            if gateway.presence.is_connected(user_id) != (user_id in connected)
        ]

    async def _wait_for(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, and return whether it came to that in time."""
        until = self.loop.time() + seconds
        pause = 0.05
        while not is_so():
            if self.loop.time() >= until:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        return True

    async def _end(self) -> None:
        """See that nothing is left when everybody has gone."""
        await asyncio.gather(*(watching.end() for watching in [*self._watchings, *self._shown]))
        for session in self._sessions:
            await session.close()
        for gateway, user_id in self._entered:
            gateway.presence.leave(user_id)
        await self._wait_for(lambda: not self._calls, _CALL_SECONDS)
        for client in [each for clients in self._clients.values() for each in clients]:
            await client.close()
        # Until the gateways have heard of it, or have found out.
        await self._wait_for(lambda: not any(each.connections for each in self._gateways.values()), 25)
        for gateway in self._gateways.values():
            for problem in leaks(gateway):
                self.fail(f"{gateway.name}: {problem}")
            await gateway.stop()
        # What was thought to be lost on the bus, and faults that would be over by now.
        await asyncio.sleep(20)
        left = [each for each in self.loop.left() if "_main" not in each]
        if left:
            self.fail(f"left behind: {left}")


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
