"""When everything is gone over: not while it would hold the event loop for nothing, and before it is too much."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from userline.server import collecting
from userline.server.collecting import Collecting

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.alone

MOST_AT_ONCE = 60_000


class Node:
    """What can be garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


@contextmanager
def looked_at() -> Iterator[list[int]]:
    """Note how many objects each collection of the oldest generation goes over."""
    found: list[int] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "start" and info["generation"] == 2:
            found.append(sum(len(gc.get_objects(generation)) for generation in range(3)))

    gc.callbacks.append(note)
    try:
        yield found
    finally:
        gc.callbacks.remove(note)
        gc.unfreeze()


async def test_what_stays_is_gone_over_while_it_is_new_and_a_part_at_a_time() -> None:
    with looked_at() as sizes, Collecting(lambda: 0).running():
        sizes.clear()  # of the one at the start
        kept = [[number] for number in range(1_000_000)]
        assert sizes
        assert max(sizes) < MOST_AT_ONCE
        assert gc.get_freeze_count() > len(kept) - MOST_AT_ONCE


async def test_what_was_there_before_does_not_put_it_off() -> None:
    before = [[number] for number in range(1_000_000)]
    with looked_at() as sizes, Collecting(lambda: 0).running():
        sizes.clear()
        kept = [[number] for number in range(500_000)]
        assert sizes
        assert max(sizes) < MOST_AT_ONCE
    assert len(before) > len(kept)


@pytest.mark.skipif(not gc.get_threshold()[2], reason="this Python goes over what is old piece by piece")
async def test_without_the_plan_everything_is_gone_over_again_and_again() -> None:
    """What the plan is for: if this fails, the interpreter does it by itself."""
    with looked_at() as sizes:
        kept = [[number] for number in range(1_000_000)]
        assert max(sizes) > len(kept) / 2 > MOST_AT_ONCE


async def test_the_interpreter_is_as_it_was_when_it_ends() -> None:
    before = gc.get_threshold(), list(gc.callbacks)
    with Collecting(lambda: 0).running():
        assert gc.isenabled()
    assert (gc.get_threshold(), gc.callbacks) == before
    gc.unfreeze()


class Clock:
    """Stands in for the time, the work of the process and what is in use."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.worked, self.blocks = 1000.0, 50.0, 1_000_000
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "process_time", lambda: self.worked)
        monkeypatch.setattr(sys, "getallocatedblocks", lambda: self.blocks)


@pytest.mark.parametrize(
    ("blocks", "sockets", "worked", "seconds", "is_due"),
    [
        (1_900_000, 0, 0.0, 10, False),
        (2_000_000, 0, 0.0, 10, True),
        (2_000_000, 0, 0.6, 10, False),
        (2_000_000, 0, 0.4, 10, True),
        (3_900_000, 0, 9.0, 10, False),
        (4_000_000, 0, 9.0, 10, True),
        (2_000_000, 0, 3000.0, 3599, False),
        (2_000_000, 0, 3000.0, 3600, True),
        (1_900_000, 0, 3000.0, 3600, False),
        (3_000_000, 5000, 0.0, 10, False),
        (3_900_000, 5000, 0.0, 10, False),
        (4_000_000, 5000, 0.0, 10, True),
        (5_900_000, 5000, 9.0, 10, False),
        (6_000_000, 5000, 9.0, 10, True),
        (500_000, 5000, 0.0, 10, False),
    ],
)
async def test_when_everything_is_gone_over(  # noqa: PLR0917 - a column each
    monkeypatch: pytest.MonkeyPatch, blocks: int, sockets: int, worked: float, seconds: float, is_due: bool
) -> None:
    clock = Clock(monkeypatch)
    open_sockets = 0
    plan = Collecting(lambda: open_sockets)
    plan.collect_all()
    garbage = weakref.ref(Node())
    gc.freeze()
    gc.collect()
    assert garbage() is not None  # it was set aside
    open_sockets = sockets
    clock.blocks, clock.worked, clock.now = blocks, clock.worked + worked, clock.now + seconds
    plan._look()
    gc.unfreeze()
    assert (garbage() is None) is is_due


async def test_a_server_looks_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "_LOOK_SECONDS", 0.01)
    with Collecting(lambda: 0).running():
        garbage = weakref.ref(Node())
        gc.freeze()
        monkeypatch.setattr(collecting, "_GROWN_AND_BUSY", 0)
        monkeypatch.setattr(collecting, "_GROWN", 0)
        for _ in range(200):
            if garbage() is None:
                break
            await asyncio.sleep(0.01)
        assert garbage() is None
    gc.unfreeze()


async def test_sockets_that_have_less_than_they_explain_are_no_reason_when_they_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    open_sockets = 0
    plan = Collecting(lambda: open_sockets)
    collected = 0

    def count(phase: str, info: dict[str, Any]) -> None:
        nonlocal collected
        collected += phase == "start" and info["generation"] == 2

    with plan.running():
        gc.callbacks.append(count)
        open_sockets, clock.blocks = 5000, 2_200_000
        plan.collect_all()
        before = collected
        for left, clock.blocks in ((4000, 2_000_000), (2000, 1_500_000), (0, 1_000_000)):
            open_sockets = left
            clock.now += 10
            plan._look()
        assert collected == before > 0
        gc.callbacks.remove(count)
    gc.unfreeze()
