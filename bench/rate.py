"""How much servers do in a second, in turns (A B A B …), so that what else the machine does meets all of them."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from bench.sample import Turn
from bench.servers import BenchError
from bench.site import OURS

if TYPE_CHECKING:
    from bench.sample import Load, Work
    from bench.servers import Server
    from bench.site import Site, StoreKind

_WARM_UP_SECONDS: Final = 2.0
_PATIENCE: Final = 120.0
_KEPT: Final = {"memory": "memory", "sqlite": "disk", "mongodb": "MongoDB"}


@dataclass(frozen=True, slots=True)
class Contender:
    """A server in a scenario. The rest is for one that does the work in another way, or on another store."""

    server: str
    shown_as: str = ""
    work: Work | None = None
    store: StoreKind | None = None

    @property
    def label(self) -> str:
        return self.shown_as or self.server


@dataclass(frozen=True)
class Rate:
    """A scenario whose figure is a number of things a second.

    ``flags`` are the gateway's; ``delay`` is how many milliseconds MongoDB is away, each way. Where users are changed
    (``writes``), the table says of each contender where a change is when it is answered.
    """

    name: str
    about: str
    unit: str
    contenders: tuple[Contender, ...]
    work: Work
    store: StoreKind = "memory"
    flags: tuple[str, ...] = ()
    delay: float = 0
    writes: bool = False
    less_is_better: ClassVar[bool] = False

    def kind_of(self, contender: Contender) -> StoreKind:
        """Return which store a contender has."""
        return contender.store or self.store

    def kept(self, contender: Contender) -> str:
        """Return where a change is when it is answered, or nothing if there are none."""
        if not self.writes:
            return ""
        kind = self.kind_of(contender)
        return "disk" if kind == "memory" and contender.server in OURS else _KEPT[kind]

    async def measure(
        self, site: Site, contenders: list[Contender], *, seconds: float, rounds: int
    ) -> dict[str, list[Turn]]:
        """Return the turns of each. Raises BenchError if a server does not start, answers badly or not at all."""
        turns: dict[str, list[Turn]] = {contender.label: [] for contender in contenders}
        async with AsyncExitStack() as stack:
            ready: list[tuple[str, Server, Load]] = []
            for contender in contenders:
                kind = self.kind_of(contender)
                starting = site.running(contender.server, kind, self.flags, delay=self.delay)
                server = await stack.enter_async_context(starting)
                load = await stack.enter_async_context((contender.work or self.work).begin(server))
                ready.append((contender.label, server, load))
            for _, server, load in ready:
                await _turn(server, load, min(seconds, _WARM_UP_SECONDS))
            for number in range(rounds):
                print(f"{self.name}: round {number + 1} of {rounds}", file=sys.stderr)
                for label, server, load in ready:
                    turns[label].append(await _turn(server, load, seconds))
        return turns


async def _turn(server: Server, load: Load, seconds: float) -> Turn:
    cpu = server.cpu_seconds()
    try:
        async with asyncio.timeout(seconds + _PATIENCE):
            sample = await load.run(seconds)
    except (OSError, TimeoutError, BenchError) as error:
        raise BenchError(f"{server.name}: {type(error).__name__}: {error}") from error
    cpu_now = server.cpu_seconds()
    return Turn(
        value=sample.count / sample.seconds,
        p50=sample.p50,
        p99=sample.p99,
        cpu=None if cpu is None or cpu_now is None else (cpu_now - cpu) / sample.count * 1e6,
        load=sample.busy / sample.seconds,
        failed=sample.failed / (sample.count + sample.failed),
    )
