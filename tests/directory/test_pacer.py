"""Turns: bounded, in a fair order, and none lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from userline.directory.fair_queue import FairQueue, Waiter
from userline.directory.pacer import EXECUTING_SECONDS, MOST_LITTLE, PREPARING_SECONDS, SOURCE, Pacer

WORK_SECONDS = 0.004


def work(seconds: float) -> None:
    """Hold the loop's thread for a time that it computes."""
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass


@pytest.mark.parametrize("greedy", [1, 8, 40])
@pytest.mark.parametrize("same_user", [True, False], ids=["one user", "users"])
@pytest.mark.parametrize("seconds", [PREPARING_SECONDS, EXECUTING_SECONDS])
async def test_a_small_request_waits_for_one_turn_of_each_other(greedy: int, same_user: bool, seconds: float) -> None:
    pacer = Pacer()
    done: list[str] = []

    async def ask(who: str, connection: str) -> None:
        SOURCE.set((who, connection))
        await pacer.turn(seconds)
        work(WORK_SECONDS if connection != "small" else 0)
        done.append(connection)

    crowd = [
        asyncio.create_task(ask("one" if same_user else f"user {source}", f"socket {source}"))
        for source in range(greedy)
        for _ in range(400 // greedy)
    ]
    await asyncio.sleep(0.02)
    assert pacer.waiting > 200
    before = len(done)
    await asyncio.wait_for(asyncio.create_task(ask("one" if same_user else "bystander", "small")), 30)
    turns = done.index("small") - before
    # Those who were woken before it asked, and then one of each.
    assert turns <= greedy + 8, f"{turns} turns of others, who are {greedy}"
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert pacer.waiting == 0


async def test_everybody_gets_as_many_turns() -> None:
    pacer = Pacer()
    done: list[int] = []

    async def ask(source: int) -> None:
        await pacer.turn(PREPARING_SECONDS, ("", source))
        work(0.001)
        done.append(source)

    asked = {1: 500, 2: 20, 3: 20, 4: 5}
    await asyncio.gather(*(ask(source) for source, times in asked.items() for _ in range(times)))
    assert Counter(done) == asked
    among = Counter(islice(done, 20, 70))
    assert among[2] >= 10
    assert among[3] >= 10
    assert pacer.waiting == 0


async def test_who_waits_is_not_overtaken_and_not_starved() -> None:
    pacer = Pacer()
    order: list[str] = []

    async def ask(name: str) -> None:
        await pacer.turn(PREPARING_SECONDS, ("", name))
        work(0.006)
        order.append(name)

    async def little() -> None:
        """Take what there is of every turn, as the fast lane may."""
        while True:
            pacer.little += 1
            if pacer.little <= MOST_LITTLE or pacer.has_time(EXECUTING_SECONDS):
                work(0.002)
            await asyncio.sleep(0)

    taking = asyncio.create_task(little())
    await asyncio.wait_for(asyncio.gather(*(ask(str(number)) for number in range(40))), 30)
    taking.cancel()
    assert len(order) == 40


async def test_what_one_turn_does_is_bounded() -> None:
    pacer = Pacer()
    longest = 0.0
    last = time.thread_time()

    async def beat() -> None:
        nonlocal longest, last
        while True:
            last = time.thread_time()
            await asyncio.sleep(0.0001)
            longest = max(longest, time.thread_time() - last)

    async def ask(number: int) -> None:
        await pacer.turn(EXECUTING_SECONDS, ("", number % 5))
        work(0.001 if number % 7 else 0.01)

    beating = asyncio.create_task(beat())
    await asyncio.gather(*(ask(number) for number in range(300)))
    beating.cancel()
    assert longest < EXECUTING_SECONDS + 0.01 + 0.025, f"{longest * 1000:.0f} ms"


async def test_waits_are_told_and_who_gives_up_waits_no_longer() -> None:
    pacer = Pacer()
    waits: list[float] = []
    pacer.on_wait = waits.append

    async def ask() -> None:
        await pacer.turn(PREPARING_SECONDS)
        work(0.02)

    await ask()
    assert not waits, "there was time at once"
    asking = [asyncio.create_task(ask()) for _ in range(6)]
    await asyncio.sleep(0)
    for task in asking[2:4]:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert len(waits) >= 5
    assert max(waits) > 0.015
    assert pacer.waiting == 0
    await asyncio.wait_for(pacer.turn(PREPARING_SECONDS), 5)


_sources = st.tuples(st.integers(0, 4), st.integers(0, 3))


@settings(max_examples=300, deadline=None)
@given(st.lists(_sources, max_size=60), st.integers(1, 40))
def test_no_two_turns_of_one_connection_are_between_those_of_others(
    sources: list[tuple[int, int]], at_once: int
) -> None:
    queue = FairQueue()
    for source in sources:
        queue.add(Waiter(source))
    assert len(queue) == len(sources)
    served: list[Waiter] = []
    while queue:
        first = queue.first(at_once)
        assert len(first) == min(at_once, len(queue)) == len(set(first))
        for waiter in first[: 1 + len(served) % 3]:
            queue.remove(waiter)
            served.append(waiter)
    assert sorted(waiter.source for waiter in served) == sorted(sources)
    # As long as somebody waits, nobody else has two turns more than it.
    for who in {source[0] for source in sources}:
        mine = [index for index, waiter in enumerate(served) if waiter.source[0] == who]
        for before, after in zip([-1, *mine], mine, strict=False):
            between = Counter(waiter.source[0] for waiter in served[before + 1 : after])
            assert all(count <= 2 for count in between.values()), (who, between)
