"""Plays scripts with several clients, and finds the first step after which they are not the same."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import traceback
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clients.conformance import driver as drivers
from clients.conformance.authority import Authority
from clients.conformance.chance.player import Player
from clients.conformance.chance.script import FATAL_CLOSES, TIGHT_LIMITS, TOKEN_CLOSES, script
from clients.conformance.chance.shrink import shrink
from clients.conformance.gateway import scripted_gateway
from clients.conformance.world import Failure, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from clients.conformance.chance.script import Step
    from clients.conformance.driver import Driver

_SECONDS = 600.0
_TAKES_TIME = frozenset({"advance", "sleep", "block", "silence"})
_LONGEST = 400
_TABLES = 2
_SLACK = 2
"""By how many seconds clients may differ in when they do what they do."""
_MOST_SLACK = 11
"""The same after a step that is upsetting."""


_FATAL = frozenset(code for code, _ in (*FATAL_CLOSES, *TOKEN_CLOSES, (403, "")))


def _is_upsetting(step: Step) -> bool:
    """Whether a step makes clients forget how often they have tried to connect, or not, as they like."""
    is_fatal = step.get("code") in _FATAL or step.get("door") in _FATAL
    return is_fatal or step["do"] in {"nonsense", "setToken", "silence", "sleep"} or step.get("limits") in TIGHT_LIMITS


@dataclass(frozen=True, slots=True)
class Fault:
    """What was found: in which script, after which of its steps, and what."""

    script: Sequence[Step]
    number: int
    what: str

    def __str__(self) -> str:
        steps = [json.dumps(step, ensure_ascii=False) for step in self.script[: self.number + 1]]
        if self.number == len(self.script):
            steps.append("and then the gateway is well again")
        return "\n".join([*(f"{number:>4}  {step}" for number, step in enumerate(steps)), self.what])


def differences(seen: dict[str, dict[str, Any]]) -> str:
    """Say in what several clients are not the same."""
    names = list(seen)
    lines = []
    for key in dict.fromkeys(key for each in seen.values() for key in each):
        values = [seen[name].get(key, "nothing") for name in names]
        if any(value != values[0] for value in values):
            lines += [key, *(f"    {name}: {_short(value)}" for name, value in zip(names, values, strict=True))]
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) < _LONGEST else f"{text[:_LONGEST]} …"


async def _compare(players: Sequence[Player]) -> str:
    found = await asyncio.gather(*(player.look() for player in players))
    return differences(dict(zip((player.name for player in players), found, strict=True)))


async def play(steps: Sequence[Step], players: Sequence[Player]) -> Fault | None:
    """Play a script; return what is wrong."""
    number = 0
    is_free = False
    try:
        for number, step in enumerate(steps):
            await asyncio.gather(*(player.do(number, step) for player in players))
            difference = await _compare(players)
            is_free = is_free or _is_upsetting(step)
            slack = _MOST_SLACK if is_free else _SLACK if step["do"] in _TAKES_TIME else 0
            while difference and slack > 0:
                slack -= 1
                await asyncio.gather(*(player.pass_time(1) for player in players))
                difference = await _compare(players)
            if difference:
                return Fault(steps, number, f"The clients differ:\n{difference}")
            for player in players:
                player.agreed()
        number = len(steps)
        await asyncio.gather(*(player.end() for player in players))
        await asyncio.gather(*(player.world.close() for player in players))
    except Exception as error:  # noqa: BLE001 - whatever a script runs into is its fault
        return Fault(steps, number, str(error) if isinstance(error, Failure) else traceback.format_exc(limit=-6))
    return None


class Table:
    """Where clients play together: a process of each, which is started again when it may be in disorder."""

    def __init__(self, commands: Mapping[str, Sequence[str]], environments: Mapping[str, Mapping[str, str]]) -> None:
        self._commands = commands
        self._environments = environments
        self._drivers: dict[str, tuple[Driver, AsyncExitStack]] = {}
        self._directory = tempfile.TemporaryDirectory()
        self._authority = Authority(Path(self._directory.name))
        self.transcripts: dict[str, list[str]] = {}
        """What was said between the runner and each client, in the script that was played last."""

    async def play(self, steps: Sequence[Step]) -> Fault | None:
        """Play a script with all of them; return what is wrong."""
        async with AsyncExitStack() as stack:
            players = []
            for name in self._commands:
                driver = await self._driver(name)
                self.transcripts[name] = []
                driver.transcript = self.transcripts[name].append
                gateway = await stack.enter_async_context(scripted_gateway())
                world = World(driver, gateway, self._authority, "")
                await world.random(1)  # all pauses are as long as they can be
                players.append(Player(name, world))
            try:
                async with asyncio.timeout(_SECONDS):
                    fault = await play(steps, players)
            except TimeoutError:
                fault = Fault(steps, len(steps), "It takes too long.")
        if fault is not None:
            await self.clear()
        return fault

    async def clear(self) -> None:
        """End all processes."""
        while self._drivers:
            await self._drivers.popitem()[1][1].aclose()

    async def _driver(self, name: str) -> Driver:
        if name not in self._drivers:
            stack = AsyncExitStack()
            environment = {**os.environ, **self._environments[name], **self._authority.environment}
            driver = await stack.enter_async_context(drivers.running(self._commands[name], environment))
            self._drivers[name] = (driver, stack)
        return self._drivers[name][0]

    async def close(self) -> None:
        """End everything."""
        await self.clear()
        self._directory.cleanup()


@asynccontextmanager
async def table(
    commands: Mapping[str, Sequence[str]], environments: Mapping[str, Mapping[str, str]]
) -> AsyncIterator[Table]:
    """Make a table, and clear it on the way out."""
    made = Table(commands, environments)
    try:
        yield made
    finally:
        await made.close()


async def find(
    seeds: Iterable[int],
    commands: Mapping[str, Sequence[str]],
    environments: Mapping[str, Mapping[str, str]],
    on_result: Callable[[int, Fault | None], None] = lambda _, __: None,
    *,
    is_to_shrink: bool = False,
) -> dict[int, Fault]:
    """Play the scripts of these seeds, at two tables; return what is wrong, by seed."""
    found: dict[int, Fault] = {}
    queue = iter(seeds)

    async def work() -> None:
        async with table(commands, environments) as made:
            for seed in queue:
                fault = await made.play(script(seed))
                if fault is not None:
                    if is_to_shrink:
                        _, fault = await shrink(made, script(seed), fault)
                    found[seed] = fault
                on_result(seed, fault)

    async with asyncio.TaskGroup() as group:
        for _ in range(_TABLES):
            group.create_task(work())
    return found
