"""Tasks that go on by themselves: kept for as long as they take, and ended with what has begun them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

T = TypeVar("T")


def start(tasks: set[asyncio.Task[Any]], work: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
    """Do the work in a task, which is among ``tasks`` until it is done: the event loop alone would not keep it."""
    task = asyncio.create_task(work, name=name)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def end(tasks: Iterable[asyncio.Future[Any] | None]) -> None:
    """Cancel what is under way, and return when it has ended, however it does. None is what was never begun."""
    begun = [task for task in tasks if task is not None]
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)
