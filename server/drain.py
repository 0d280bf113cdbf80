"""Stopping without a stampede: sockets are asked to leave in groups, so that clients do not come back all at once."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from typing import TYPE_CHECKING, Final, Protocol

from userline.common.backoff import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger("userline")

_GROUP_SECONDS: Final = 0.1
"""How far apart the groups are."""

_SHARE: Final = 0.9
"""The part of the time in which all sockets are asked: the last of them need time to answer."""

_HINT_SECONDS: Final = 1.0
"""Over how much time the clients of one group are asked to come back, at least."""


_NEWCOMER_SECONDS: Final = 2.0
"""Over how much time those are asked to come back who connect meanwhile: until then, balancers may send them here."""


class Leaving(Protocol):
    """A socket that can be asked to leave."""

    def leave(self, *, retry_after: float) -> None:
        """Close with 1012, and tell the client after how many seconds to connect again."""


class Drain:
    """The end of a gateway's life. ``begun`` from the first signal on: no new sockets, and no more kept connections."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._hurry = asyncio.Event()
        self.begun = False

    @property
    def is_hurried(self) -> bool:
        """Whether everybody is let go now."""
        return self._hurry.is_set()

    def hurry(self) -> None:
        """Let everybody go now, also while ``run`` is under way."""
        self._hurry.set()

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
            logger.info("Stopping: %d sockets are asked to leave within %g s. Ctrl+C: at once.", many, self._seconds)
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
        for socket in list(sockets()):
            socket.leave(retry_after=spread(max(self._seconds, _HINT_SECONDS)))
