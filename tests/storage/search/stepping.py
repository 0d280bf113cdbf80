"""An event loop in which nothing happens but what a seed decides: what goes on next, and how time passes."""

from __future__ import annotations

import asyncio
import random
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

T = TypeVar("T")

SOON_SECONDS = 0.2
"""A timer that is due so soon may fire before what waits at a gate; time-outs of calls may not."""

PATIENCE_SECONDS = 30.0


class Stepper:
    """Holds everybody at gates, and opens one at a time when nothing else can go on."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.steps: list[str] = []
        self.outside = 0
        """How many commands another process is working on."""
        self.is_free = True
        """Whether all gates are open, as while a world is made and taken down."""
        self._waiting: dict[asyncio.Future[None], str] = {}
        self._hastes: dict[str, float] = {}
        self._moments = 0

    def moment(self) -> int:
        """Return a number that is greater than any before."""
        self._moments += 1
        return self._moments

    async def gate(self, label: str) -> None:
        """Wait until it is this one's turn."""
        if self.is_free:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = label
        try:
            await future
        finally:
            self._waiting.pop(future, None)

    async def work_outside(self, work: Awaitable[T]) -> T:
        """Let another process do its work; nothing else goes on meanwhile."""
        self.outside += 1
        try:
            return await work
        finally:
            self.outside -= 1

    def choose(self, seconds: float | None) -> float:
        """Open a gate, or return how many seconds pass until the next timer, which is due in ``seconds``."""
        waiting = [future for future in self._waiting if not future.done()]
        may_pass = seconds is not None and (not waiting or seconds <= SOON_SECONDS)
        if not waiting and seconds is None:
            raise AssertionError("Nothing can go on:\n" + "\n".join(self.steps))
        if may_pass and self.random.randrange(len(waiting) + 1) == 0:
            assert seconds is not None
            return seconds
        (chosen,) = self.random.choices(waiting, [self._haste(self._waiting[future]) for future in waiting])
        self.steps.append(self._waiting.pop(chosen))
        chosen.set_result(None)
        return 0.0

    def _haste(self, label: str) -> float:
        """Return how likely somebody is to be next: some are slow, and much happens meanwhile."""
        who = label.partition(":")[0]
        if who not in self._hastes:
            self._hastes[who] = self.random.choice((1.0, 1.0, 0.05))
        return self._hastes[who]


class _Selector(selectors.DefaultSelector):
    loop: SteppedLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        stepper = self.loop.stepper
        if stepper.outside:
            events = super().select(PATIENCE_SECONDS)
            assert events, "the other process does not answer"
            return events
        events = super().select(0)
        if not events:
            self.loop.seconds += stepper.choose(timeout)
        return events


class SteppedLoop(asyncio.SelectorEventLoop):
    """Time stands still while anything can go on."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self.seconds = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.seconds


def run(stepper: Stepper, main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end, by a loop of its own."""
    loop = SteppedLoop(stepper)
    # Stores shuffle their pauses.
    random.seed(stepper.random.random())
    try:
        return loop.run_until_complete(main)
    finally:
        stepper.is_free = True
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(stepper.work_outside(loop.shutdown_default_executor()))
        loop.close()
