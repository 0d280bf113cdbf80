"""Subscriptions over WebSocket, held by a process of its own for each server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from bench.sample import Sample
from bench.servers import BenchError
from bench.site import make_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.sample import Load
    from bench.servers import Address, Server

_ROOT: Final = Path(__file__).parent.parent


class Watchers:
    """The other end of ``bench.watch_client``."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    async def open(self, count: int, watched: int = 1, first: int = 0, listed: int = 0) -> None:
        """Open so many more sockets with a subscription each, to ``watched`` different users from ``first`` on.

        Or each to a list of ``listed`` users.
        """
        await self.obey("open", count, watched, first, listed)

    async def obey(self, command: str, *arguments: float) -> Any:
        """Return what came of the command, and the CPU time that it cost in seconds. Raises BenchError."""
        return await asyncio.to_thread(self._obey, [command, *arguments])

    def _obey(self, line: list[Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(orjson.dumps(line) + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise BenchError(f"The watching process has ended: {error}") from error
        answer = self._process.stdout.readline()
        if not answer:
            raise BenchError("The watching process has ended.")
        outcome = orjson.loads(answer)
        if "error" in outcome:
            raise BenchError(outcome["error"])
        return outcome


@asynccontextmanager
async def watching(address: Address, writes_to: Address | None = None) -> AsyncIterator[Watchers]:
    """Start a watching process. ``writes_to`` is where users are changed, if that is another gateway."""
    addresses = [str(part) for part in (*address, *(writes_to or address))]
    command = [sys.executable, "-m", "bench.watch_client", *addresses, make_token()]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Watchers(process)
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True, slots=True)
class WatchWork:
    """``sockets`` sockets with one subscription each, to ``watched`` different users, and what is done with them."""

    sockets: int
    watched: int
    what: Literal["fan_out", "spread", "subscribe"]
    listed: int = 0
    """How many users each subscription is to, by ``usersChanged``; 0 = to one, by ``userChanged``."""

    @asynccontextmanager
    async def begin(self, server: Server) -> AsyncIterator[Load]:
        """Open the sockets; each must hear of its user as it is."""
        async with watching(server.address) as watchers:
            await watchers.open(self.sockets, self.watched, listed=self.listed)
            yield WatchLoad(watchers, self.what)


class WatchLoad:
    """What is done with sockets that are open."""

    def __init__(self, watchers: Watchers, what: str) -> None:
        self._watchers = watchers
        self._what = what

    async def run(self, seconds: float) -> Sample:
        """Do it for so long."""
        answer = await self._watchers.obey(self._what, seconds)
        return Sample(**answer["outcome"], busy=answer["busy"])
