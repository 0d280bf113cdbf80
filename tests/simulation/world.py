"""One run: a deployment made from a seed, what happens to it, and what must hold meanwhile and at the end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from tests.simulation import clients, wire
from tests.simulation.acts import ACTS, Acts
from tests.simulation.bus import SimulatedServer
from tests.simulation.checks import PROMPT_SECONDS, Checks
from tests.simulation.clients import Client, Shown, simulated_clients
from tests.simulation.faults import some_kinds
from tests.simulation.gateway import Gateway
from tests.simulation.history import History
from tests.simulation.loop import START_SECONDS, simulated_loop
from tests.simulation.mongo import MongoDeployment, SimulatedMongoStore
from tests.simulation.run import SimulationError, settings, told_of_errors
from tests.simulation.store import Database, SimulatedSQLiteStore
from tests.simulation.trouble import Trouble
from tests.simulation.wire import AnswerLost, RefusedError, WireClient
from userline.users.errors import NameRequired, StoreUnavailable
from userline_client import UserlineError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from tests.simulation.loop import SimulatedLoop
    from tests.simulation.store import StoreLine
    from tests.simulation.watching import Watching
    from userline.storage.protocol import UserStore

_NAME_REQUIRED: Final = "NAME_REQUIRED"
_FAULTS: Final = 5
"""How often something goes wrong, beside what is done."""


class World:
    """One run. With ``kinds``, nothing but these goes wrong, and often."""

    def __init__(self, seed: int, kinds: Sequence[str] | None = None) -> None:
        self.seed = seed
        self.random = chance = random.Random(seed)
        self.history = History()
        self.problems: list[str] = []
        self.trace: list[str] = []
        self.counts: Counter[str] = Counter()
        """What was done, and what went wrong, by its name."""
        self.loop: SimulatedLoop
        self.server = SimulatedServer(chance)
        self.settings = settings()
        self.names = [f"g{number}" for number in range(1, chance.choice((1, 2, 2, 2, 3, 3)) + 1)]
        self.user_ids = [f"u{number}" for number in range(1, chance.randint(1, 4) + 1)]
        self.kinds = kinds or some_kinds(chance, seed)
        """What may go wrong."""
        self.gateways: dict[str, Gateway] = {}
        self.wires: dict[str, list[WireClient]] = {name: [] for name in self.names}
        """The clients of each gateway that hide nothing."""
        self.sessions: list[Client] = []
        self.watchings: list[Watching] = []
        self.shown: list[Shown] = []
        self.calls: dict[asyncio.Task[None], tuple[str, float]] = {}
        """What is under way, and since when."""
        self.entered: list[tuple[Gateway, str]] = []
        """Where users are connected."""
        self.has_lost_changes = False
        """Whether a gateway has ended with changes that it has told nobody of."""
        self.is_ending = False
        self.dying: list[asyncio.Task[None]] = []
        """Gateways on their way down, or up again."""
        self._steps = chance.randint(10, 50)
        self._pace = chance.choice((0.002, 0.02, 0.02, 0.2))
        self._is_calm = kinds is None and chance.random() < 0.15
        """Whether nothing goes wrong."""
        self._is_on_mongodb = chance.random() < 0.4
        self._is_busy = chance.random() < 0.2
        self._busy_seconds = 0.0
        self._weights = {act: often * chance.choice((0, 1, 1, 3)) for act, often in ACTS.items()}
        self._weights["set"] += 1
        self._weights["watch"] += 1
        self._weights["fault"] = 0 if self._is_calm else _FAULTS * (chance.choice((0, 1, 1, 3)) if kinds is None else 3)
        self._skews = {name: chance.choice((0.0, 0.0, 0.3, -5.0, 60.0)) for name in self.names}
        self._wires_each = chance.choice((0, 0, 1, 2))
        self._sessions = chance.choice((0, 0, 1, 2))
        self._database: Database
        self._deployment = MongoDeployment(self.history, self.user_ids)
        self._acts = Acts(self)
        self._trouble = Trouble(self, self._acts)
        self._checks = Checks(self, self._acts, self._trouble)

    def make_store(self, line: StoreLine, clock: Callable[[], int]) -> UserStore:
        """Return a store of one gateway."""
        if self._is_on_mongodb:
            return SimulatedMongoStore(self._deployment, line, self.settings.rules, clock)
        return SimulatedSQLiteStore(self._database, line, self.settings.rules, clock)

    def busy_clock(self) -> float:
        """Return how long the loop's thread has computed: more than it has, where gateways have much to do."""
        if self._is_busy:
            self._busy_seconds += self.random.random() * 0.004
        return self._busy_seconds

    @property
    def seconds(self) -> float:
        """How many seconds were simulated."""
        return self.loop.seconds - START_SECONDS

    @property
    def watchers(self) -> list[Watching | Shown]:
        """Everybody who watches."""
        return [*self.watchings, *self.shown]

    @property
    def clients(self) -> list[WireClient | Client]:
        """Everybody who has sockets."""
        return [*(wire for wires in self.wires.values() for wire in wires), *self.sessions]

    def note(self, text: str) -> None:
        """Take note of what happens."""
        self.trace.append(f"{self.loop.seconds:12.6f} {text}")

    def fail(self, problem: str) -> None:
        """Take note of what must not be."""
        self.note(f"WRONG: {problem}")
        self.problems.append(problem)

    def run(self) -> None:
        """Run it. Raises SimulationError."""
        with simulated_loop(self.seed) as self.loop, told_of_errors(self.fail):
            self._database = Database(self.history, self.user_ids)
            self.loop.set_exception_handler(lambda _, context: self.fail(f"the loop caught {context}"))
            try:
                with simulated_clients(self):
                    self.loop.run_until_complete(self._main())
            except AssertionError as error:
                self.fail(f"{type(error).__name__}: {error}")
            finally:
                self._database.close()
        self.problems += self.history.problems
        if self.problems:
            raise SimulationError(self.seed, self.problems, self.trace)

    async def _main(self) -> None:
        for name in self.names:
            await self.start(name)
        self.sessions = [Client(self, f"session {number}") for number in range(self._sessions)]
        for _ in range(self._steps):
            await self._step()
            if self.problems:
                return
        for check in (self._checks.recover, self._checks.be_calm, self._checks.end):
            await check()
            if self.problems:
                return

    async def _step(self) -> None:
        chance = self.random
        seconds = chance.expovariate(1 / self._pace) if chance.random() < 0.7 else 0.0
        if chance.random() < 0.03:
            seconds += chance.choice((0.5, 2.0, 6.0))
        if seconds:
            await asyncio.sleep(seconds)
            if self._is_calm and seconds >= PROMPT_SECONDS:
                self._checks.check_fresh("while nothing is wrong")
        (act,) = chance.choices(list(self._weights), list(self._weights.values()))
        gateway = self.gateways[chance.choice(self.names)]
        user_id = chance.choice(self.user_ids)
        if not gateway.is_up:
            return
        self.counts[act] += 1
        if act == "fault":
            await self._trouble.make(gateway)
        else:
            self._acts.do(act, gateway, user_id)

    def some_gateway(self) -> Gateway:
        """Return the gateway that a balancer chooses."""
        up = [gateway for gateway in self.gateways.values() if gateway.is_up]
        return self.random.choice(up or list(self.gateways.values()))

    def call(
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
                if refused.code not in wire.PASSING and refused.code != _NAME_REQUIRED:
                    self.fail(f"{gateway.name}: {what} was refused with {refused}")
            except UserlineError as error:
                self.note(f"{gateway.name}: {what} failed with {error.code}")
                if error.code not in clients.PASSING and error.code != _NAME_REQUIRED:
                    self.fail(f"{gateway.name}: {what} failed with {error!r}")
            except NameRequired:
                self.note(f"{gateway.name}: {what} needs a name")
            except Exception as error:  # noqa: BLE001 - none other is expected
                self.fail(f"{gateway.name}: {what} raised {error!r}")

        task = gateway.do(call()) if is_own else self.loop.create_task(call())
        self.calls[task] = (what, self.loop.time())
        task.add_done_callback(self.calls.pop)

    # Gateways come and go.

    async def take_down(self, gateway: Gateway, *, is_killed: bool) -> None:
        """Kill a gateway, or stop it, and all that clients have with it."""
        gateway.is_up = False
        mine = [watching for watching in self.watchings if watching.gateway is gateway]
        self.watchings = [watching for watching in self.watchings if watching.gateway is not gateway]
        self.entered = [entered for entered in self.entered if entered[0] is not gateway]
        wires, self.wires[gateway.name] = self.wires[gateway.name], []
        if is_killed:
            self.has_lost_changes = True
            await gateway.kill()
        else:
            for watching in mine:
                await watching.end()
            began = self.loop.time()
            await gateway.stop()
            if gateway.untold:
                text = f"{gateway.name} has ended with changes of {gateway.untold} users that nobody was told of"
                if self.loop.time() - began < self.settings.shutdown_seconds:
                    self.fail(f"{text}, before its time was over")
                self.note(text)
                self.has_lost_changes = True
        for client in wires:
            await client.close()

    async def start(self, name: str) -> None:
        """Start a gateway, unless it runs."""
        before = self.gateways.get(name)
        if before is not None and not before.is_dead:
            return
        gateway = self.gateways[name] = Gateway(name, self, self._skews[name])
        self.note(f"{name} starts")
        await gateway.start()
        self.wires[name] = [
            WireClient(self, gateway, f"client {number} of {name}") for number in range(self._wires_each)
        ]
