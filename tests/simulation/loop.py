"""An event loop whose time passes only when nobody has anything to do: it jumps to the next timer. It does no I/O."""

from __future__ import annotations

import asyncio
import contextvars
import random
from contextlib import contextmanager
from heapq import heappop
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Coroutine, Iterable, Iterator

T = TypeVar("T")

START_SECONDS: Final = 1000.0
"""What the loop's clock shows at first. It is not 0, which a fault may take for "never"."""


class StuckError(AssertionError):
    """Somebody waits for what will never be: there is not even a timer."""


class Owner:
    """Whose tasks are known, in the order in which they began, so that they can be ended together."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def add(self, task: asyncio.Task[Any]) -> None:
        """Take note of a task that begins."""
        self._tasks.append(task)
        if len(self._tasks) % 64 == 0:
            self._tasks = self.tasks()

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that have not ended."""
        return [task for task in self._tasks if not task.done()]


OWNER: Final[contextvars.ContextVar[Owner]] = contextvars.ContextVar("simulation_owner")
"""For whom the loop works. Tasks have the owner of who began them."""


def cancel_begun(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, but for those that are still to take their first step.

    What they were given to await would be a coroutine that was never awaited.
    """
    for task in tasks:
        if getcoroutinestate(cast("Coroutine[Any, Any, Any]", task.get_coro())) != CORO_CREATED:
            task.cancel()


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order in which they are due, as any event loop does, and never waits."""

    _ready: deque[Any]
    _scheduled: list[Any]

    def __init__(self) -> None:
        super().__init__()
        self.seconds = START_SECONDS
        self.nobody = Owner()
        """The owner of what was begun for nobody in particular."""
        self.set_task_factory(self._make_task)  # type: ignore[arg-type] # its protocol has a name for no argument

    def time(self) -> float:
        """Return the simulated time, in seconds."""
        return self.seconds

    def _run_once(self) -> None:
        """Run what is ready; if nothing is, let the time pass until the next timer is due."""
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                raise StuckError("Nothing is due, and nothing can go on.")
            self.seconds = max(self.seconds, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self.seconds:
            timer = heappop(scheduled)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _write_to_self(self) -> None:
        """Nobody has to be woken: there is one thread."""

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, T],
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        task = asyncio.Task(work, loop=loop, context=context)
        owner = OWNER.get(self.nobody) if context is None else context.get(OWNER, self.nobody)
        owner.add(task)
        return task

    def abandon(self) -> None:
        """End whatever is left, and do not look at how it ends."""
        self.set_exception_handler(lambda _, __: None)
        for _ in range(100):
            tasks = [task for task in asyncio.all_tasks(self) if not task.done()]
            if not tasks:
                return
            cancel_begun(tasks)
            self.run_until_complete(asyncio.wait(tasks, timeout=0.01))

    def left(self) -> list[str]:
        """Return what is still to happen: tasks, and timers that nobody has cancelled."""
        tasks = [repr(task) for task in asyncio.all_tasks(self)]
        timers = [repr(timer) for timer in self._scheduled if not timer.cancelled()]
        return sorted(tasks) + sorted(timers)


@contextmanager
def simulated_loop(seed: int) -> Iterator[SimulatedLoop]:
    """Yield a loop, with what is random in the program begun from the seed."""
    state = random.getstate()
    random.seed(seed)
    loop = SimulatedLoop()
    try:
        yield loop
    finally:
        loop.abandon()
        random.setstate(state)
        loop.close()
