"""Turns: every server is loaded for a while, one after the other, again and again."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from statistics import median
from typing import TYPE_CHECKING

import orjson

from bench.http_load import ask
from bench.sample import Turn
from bench.servers import GATEWAY, BenchError, Server, running
from bench.table import Row, Side

if TYPE_CHECKING:
    from pathlib import Path

    from bench.sample import Load
    from bench.scenarios import Scenario

_WARM_UP_SECONDS = 1.0
_PATIENCE = 120.0


async def compare(scenario: Scenario, seeded: Path, directory: Path, *, seconds: float, rounds: int) -> list[Row]:
    """Return a row for each peer. Raises BenchError if a server does not start, answers badly or not at all."""
    turns: dict[str, list[Turn]] = {name: [] for name in (GATEWAY, *scenario.peers)}
    try:
        async with AsyncExitStack() as stack:
            servers = await _start(scenario, seeded, directory, stack)
            await _check_answers(scenario, servers)
            loads = [await stack.enter_async_context(scenario.load(server.address)) for server in servers]
            for server, load in zip(servers, loads, strict=True):
                await _turn(server, load, min(seconds, _WARM_UP_SECONDS))
            for number in range(rounds):
                print(f"{scenario.name}: round {number + 1} of {rounds}", file=sys.stderr)
                for server, load in zip(servers, loads, strict=True):
                    turns[server.name].append(await _turn(server, load, seconds))
    except (OSError, ValueError, TimeoutError) as error:
        raise BenchError(f"{scenario.name} cannot be measured: {type(error).__name__}: {error}") from error
    ours = turns.pop(GATEWAY)
    return [
        Row(
            scenario=scenario.name,
            unit=scenario.unit,
            peer_name=name,
            ours=_side(ours),
            peer=_side(theirs),
            ratio=median(a.sample.rate / b.sample.rate for a, b in zip(ours, theirs, strict=True)),
            load=max(turn.load for turn in (*ours, *theirs)),
        )
        for name, theirs in turns.items()
    ]


async def _start(scenario: Scenario, seeded: Path, directory: Path, stack: AsyncExitStack) -> list[Server]:
    contexts = [running(GATEWAY, seeded, directory, *scenario.flags)]
    contexts += [running(name, seeded, directory) for name in scenario.peers]
    return [await stack.enter_async_context(context) for context in contexts]


async def _check_answers(scenario: Scenario, servers: list[Server]) -> None:
    answers = []
    for server in servers:
        async with asyncio.timeout(_PATIENCE):
            answers.append(orjson.loads(await ask(server.address, scenario.probe)))
    for server, answer in zip(servers, answers, strict=True):
        if answer != answers[0]:
            raise ValueError(f"{server.name} answers {answer}, and {servers[0].name} answers {answers[0]}.")


async def _turn(server: Server, load: Load, seconds: float) -> Turn:
    cpu = server.cpu_seconds()
    own_cpu, started = time.process_time(), time.perf_counter()
    async with asyncio.timeout(seconds + _PATIENCE):
        sample = await load.run(seconds)
    own_share = (time.process_time() - own_cpu) / (time.perf_counter() - started)
    cpu_now = server.cpu_seconds()
    used = None if cpu is None or cpu_now is None else (cpu_now - cpu) / len(sample.latencies) * 1e6
    return Turn(sample, used, own_share)


def _side(turns: list[Turn]) -> Side:
    cpus = [turn.cpu for turn in turns if turn.cpu is not None]
    return Side(
        rate=median(turn.sample.rate for turn in turns),
        p50=median(turn.sample.latency(50) for turn in turns),
        p99=median(turn.sample.latency(99) for turn in turns),
        cpu=median(cpus) if cpus else None,
    )
