"""What servers take for themselves. Each is started anew for each figure, in turns."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import orjson

from bench import users
from bench.http_load import connect, post
from bench.sample import Turn
from bench.servers import BenchError
from bench.site import make_token
from bench.watch_work import watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.rate import Contender
    from bench.servers import Server
    from bench.site import Site, StoreKind

_QUIET_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Cost:
    """A scenario whose figure is a price."""

    name: str
    about: str
    unit: str
    contenders: tuple[Contender, ...]
    price: Callable[[Server], Awaitable[float]]
    less_is_better: ClassVar[bool] = True

    def kind_of(self, contender: Contender) -> StoreKind:  # noqa: ARG002 - as scenarios of the other kind have it
        """Return which store a contender has."""
        return "memory"

    def kept(self, contender: Contender) -> str:  # noqa: ARG002
        """Nothing is changed."""
        return ""

    async def measure(
        self,
        site: Site,
        contenders: list[Contender],
        *,
        seconds: float,  # noqa: ARG002 - a price takes as long as it takes
        rounds: int,
    ) -> dict[str, list[Turn]]:
        """Return the prices of each. Raises BenchError if a server does not start, or answers badly."""
        turns: dict[str, list[Turn]] = {contender.label: [] for contender in contenders}
        for number in range(rounds):
            print(f"{self.name}: round {number + 1} of {rounds}", file=sys.stderr)
            for contender in contenders:
                async with site.running(contender.server, "memory") as server:
                    turns[contender.label].append(Turn(await self.price(server)))
        return turns


async def start_up_time(server: Server) -> float:
    """Return how many milliseconds the process has taken to the first answer."""
    await _first_answer(server)
    return (time.perf_counter() - server.started) * 1e3


async def start_up_memory(server: Server) -> float:
    """Return the MiB that the process has after the first answer."""
    await _first_answer(server)
    return server.resident_bytes() / 2**20


async def subscriber_memory(sockets: int, server: Server, *, as_list: bool = False) -> float:
    """Return the KiB that each of so many sockets with a subscription adds to a server that has had none.

    ``as_list`` subscribes to a list of users with one in it.
    """
    await _first_answer(server)
    async with watching(server.address) as watchers:
        before = server.resident_bytes()
        await watchers.open(sockets, listed=1 if as_list else 0)
        await asyncio.sleep(_QUIET_SECONDS)
        return (server.resident_bytes() - before) / sockets / 1024


async def _first_answer(server: Server) -> None:
    operation = users.read(0)
    connection = await connect(server.address)
    try:
        answer = orjson.loads(await connection.ask(post(operation.body, make_token())))
    finally:
        connection.close()
    if answer != operation.answer:
        raise BenchError(f"{server.name} answers {answer}, not {operation.answer}.")
