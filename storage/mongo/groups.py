"""Groups commands for single users and sends them together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from userline.common.futures import settle
from userline.storage.batch_scheduler import BatchScheduler, own_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")

_HOPELESS_SECONDS: Final = 0.01
"""What has less time left is not sent any more. A driver ends a command that is not answered a little early, and who
waited for it as long as it did would be sent next, for nothing.
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked(Generic[Item, Result]):
    item: Item
    deadline: float
    future: asyncio.Future[Result]


class Groups(Generic[Item, Result]):
    """Collects items and handles up to ``most`` at a time, oldest first.

    ``serve`` gets the items and the latest of their deadlines, and returns for each its result or what it fails with;
    if it raises, all of them fail so. ``most_groups`` says how many groups may be under way, and ``apart`` how many
    seconds after one the next sets out, where the servers are far away.
    """

    def __init__(
        self,
        serve: Callable[[Sequence[Item], float], Awaitable[Sequence[Result | Exception]]],
        most: int,
        most_groups: Callable[[], int],
        apart: Callable[[], float],
    ) -> None:
        self._serve = serve
        self.most = most
        self._asked: list[_Asked[Item, Result]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduler = BatchScheduler(self._begin, most_groups, apart)

    def ask(self, item: Item, deadline: float) -> asyncio.Future[Result]:
        """Return a future of what comes of the item. The deadline is by the event loop's clock."""
        if not self._asked:
            self._scheduler.want()
        asked: _Asked[Item, Result] = _Asked(item, deadline, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        return asked.future

    def _begin(self) -> bool:
        """Serve those who have waited longest; return whether there are more."""
        soon = asyncio.get_running_loop().time() + _HOPELESS_SECONDS
        asked, self._asked = self._asked, []
        for late in [each for each in asked if each.deadline <= soon]:
            settle(late.future, TimeoutError())
        asked = [each for each in asked if not each.future.done()]
        if asked:
            self._asked = asked[self.most :]
            task = asyncio.create_task(self._serve_group(asked[: self.most]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self._scheduler.has_begun()
        return bool(self._asked)

    async def _serve_group(self, group: Sequence[_Asked[Item, Result]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._serve([asked.item for asked in group], max(asked.deadline for asked in group))
        except Exception as error:  # noqa: BLE001 - raised where the items are awaited
            results = own_errors(error, len(group))
        finally:
            self._scheduler.is_answered()
        for asked, result in zip(group, results, strict=True):
            settle(asked.future, result)
