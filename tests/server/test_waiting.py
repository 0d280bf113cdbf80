"""What a socket waits for behaves as what asyncio has for it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userline.server.waiting import Gate, Mailbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    AnyQueue: TypeAlias = Mailbox[int] | asyncio.Queue[int]
    AnyEvent: TypeAlias = Gate | asyncio.Event

STEPS = st.lists(st.sampled_from(["put", "get", "cancel", "turn"]), max_size=30)
GATE_STEPS = st.lists(st.sampled_from(["set", "clear", "wait", "cancel", "turn"]), max_size=30)


async def read_by(queue: AnyQueue, steps: Sequence[str]) -> list[object]:
    """Play steps with one reader at a time, and return all that was to be seen."""
    seen: list[object] = []
    reader: asyncio.Task[int] | None = None
    for number, step in enumerate(steps):
        if step == "put":
            queue.put_nowait(number)
        elif step == "get" and (reader is None or reader.done()):
            reader = asyncio.create_task(queue.get())
        elif step == "cancel" and reader is not None:
            reader.cancel()
            seen.append((await asyncio.gather(reader, return_exceptions=True))[0].__class__)
        else:
            for _ in range(3):
                await asyncio.sleep(0)
        if reader is not None and reader.done() and not reader.cancelled():
            seen.append(reader.result())
        seen.append(queue.empty())
    if reader is not None:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    while not queue.empty():
        seen.append(await queue.get())
    return seen


async def pass_by(gate: AnyEvent, steps: Sequence[str]) -> list[object]:
    """Play steps with any number who wait, and return who got through after each."""
    seen: list[object] = []
    waiting: list[asyncio.Task[object]] = []
    gate.set()
    for step in steps:
        if step == "set":
            gate.set()
        elif step == "clear":
            gate.clear()
        elif step == "wait":
            waiting.append(asyncio.create_task(as_object(gate)))
        elif step == "cancel" and waiting:
            waiting[0].cancel()
        else:
            for _ in range(3):
                await asyncio.sleep(0)
        seen.append((gate.is_set(), [task.done() for task in waiting]))
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return seen


async def as_object(gate: AnyEvent) -> object:
    return await gate.wait()


@given(STEPS)
def test_a_mailbox_is_a_queue_of_one_reader(steps: list[str]) -> None:
    async def run() -> None:
        assert await read_by(Mailbox[int](), steps) == await read_by(asyncio.Queue[int](), steps)

    asyncio.run(run())


@given(GATE_STEPS)
def test_a_gate_is_an_event(steps: list[str]) -> None:
    async def run() -> None:
        assert await pass_by(Gate(), steps) == await pass_by(asyncio.Event(), steps)

    asyncio.run(run())


async def test_a_second_reader_is_told_so_and_the_first_goes_on() -> None:
    mailbox = Mailbox[int]()
    first = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="Somebody else waits"):
        await mailbox.get()
    mailbox.put_nowait(1)
    assert await first == 1


def test_they_are_small() -> None:
    mailbox = Mailbox[int]()
    assert sys.getsizeof(mailbox) + sys.getsizeof(mailbox._items) + sys.getsizeof(Gate()) < 200
