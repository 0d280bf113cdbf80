"""The drain: at the end, sockets are closed in groups, so that clients do not all reconnect at once."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from typing import TYPE_CHECKING, Final, Protocol

from userline.common import tasks
from userline.common.backoff import spread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

logger = logging.getLogger("userline")

_GROUP_SECONDS: Final = 0.1
"""How far apart the groups are."""

_SHARE: Final = 0.9
"""The part of the time in which all sockets are asked: the last of them need time to answer."""

_HINT_SECONDS: Final = 1.0
"""Over how much time the clients of one group are asked to come back, at least."""


_NEWCOMER_SECONDS: Final = 2.0
"""Over how much time those are asked to come back who connect meanwhile: until then, balancers may send them here."""

_QUIET_SECONDS: Final = 1.0
"""After how long it is said that something is waited for."""


class Leaving(Protocol):
    """A socket that can be asked to close."""

    def leave(self, *, retry_after: float) -> None:
        """Close with 1012, and tell the client after how many seconds to connect again."""


class Drain:
    """The drain of a gateway. From the first signal on (``begun``): no new sockets, and no more kept connections.

    Sockets are let go over ``seconds``; after that, what is under way may take ``seconds_after``.
    """

    def __init__(self, seconds: float, seconds_after: float = 0.0) -> None:
        self._seconds = seconds
        self._seconds_after = seconds_after
        self._ends_at: float | None = None
        """When what is under way is waited for no longer."""
        self._hurry = asyncio.Event()
        self._given_up = asyncio.Event()
        self.begun = False

    @property
    def is_hurried(self) -> bool:
        """Whether everybody is let go now."""
        return self._hurry.is_set()

    def hurry(self) -> None:
        """Let everybody go now, also while ``run`` is under way."""
        self._hurry.set()

    def give_up(self) -> None:
        """Wait for nothing any more, also while ``finish`` is under way."""
        self._given_up.set()

    async def finish(self, work: Awaitable[object]) -> None:
        """Wait until what is under way is done, or the time for it is over, or somebody gives up."""
        now = asyncio.get_running_loop().time()
        ends_at = now + self._seconds_after if self._ends_at is None else self._ends_at
        waits = (asyncio.ensure_future(work), asyncio.ensure_future(self._given_up.wait()))
        try:
            left = max(ends_at - now, 0)
            done, _ = await asyncio.wait(waits, timeout=min(left, _QUIET_SECONDS), return_when=asyncio.FIRST_COMPLETED)
            if not done and left > _QUIET_SECONDS:
                left -= _QUIET_SECONDS
                logger.info(
                    "Stopping: requests under way may take up to %.0f s more. Press Ctrl+C to stop at once.", left
                )
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.end(waits)

    @staticmethod
    def newcomer_hint() -> float:
        """Return after how many seconds somebody is to come back who connects while this goes on."""
        return spread(_NEWCOMER_SECONDS, least=0.1)

    async def run(self, sockets: Callable[[], Iterable[Leaving]]) -> None:
        """Ask all sockets to leave, in groups spread over the time there is; return when it is over.

        ``sockets`` returns those that are still open and have not been asked.
        """
        self.begun = True
        loop = asyncio.get_running_loop()
        started = loop.time()
        ends = started + self._seconds
        if not self.is_hurried and self._seconds:
            many = sum(1 for _ in sockets())
            logger.info(
                "Stopping: %d sockets are closed within %g s. Press Ctrl+C to stop at once.", many, self._seconds
            )
        while not self.is_hurried and loop.time() < ends:
            waiting = list(sockets())
            groups_left = max((started + self._seconds * _SHARE - loop.time()) / _GROUP_SECONDS, 1.0)
            for socket in random.sample(waiting, min(len(waiting), math.ceil(len(waiting) / groups_left))):
                socket.leave(retry_after=spread(_HINT_SECONDS))
            try:
                async with asyncio.timeout(min(_GROUP_SECONDS, max(ends - loop.time(), 0))):
                    await self._hurry.wait()
            except TimeoutError:
                pass
        self._ends_at = loop.time() + self._seconds_after
        for socket in list(sockets()):
            socket.leave(retry_after=spread(max(self._seconds, _HINT_SECONDS)))
