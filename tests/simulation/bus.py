"""A bus that carries messages as a server of publications does, and fails as the network in between does."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final

from userline.changes.protocol import Explanation, Heard, LinkFacts

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

_LATE_SECONDS: Final = (1.0, 4.0)
"""When a message arrives that was thought to be lost."""


class Cut(Enum):
    """What is wrong with a gateway's way to the bus."""

    NO = "whole"
    RESET = "reset"
    """Connections end, and new ones are refused."""
    SILENT = "silent"
    """Nothing comes through any more, and nobody says so."""
    DEAF = "deaf"
    """What is sent arrives, and nothing comes back but that it has."""


class Line:
    """One gateway's way to the bus."""

    def __init__(self) -> None:
        self.cut = Cut.NO
        self.delay = 0.001
        """How long a message is on its way, about, in seconds."""
        self.doubles = 0.0
        """How many messages arrive twice, of all."""
        self.lost_answers = 0.0
        """How many messages are published without the publisher hearing of it, of all."""


class SimulatedServer:
    """Hands what is published to all who listen, to each in the order in which one publisher has published it."""

    def __init__(self, source: random.Random) -> None:
        self.random = source
        self.links: list[SimulatedLink] = []
        self.published = 0
        self._thawed: asyncio.Event | None = None
        """Set when it goes on, while it is frozen."""
        self._held: list[tuple[SimulatedLink, Heard]] = []
        """What was sent to it while it is frozen."""

    def cut(self, line: Line, cut: Cut) -> None:
        """Cut a line, or mend it. What was silent or deaf stays so until it is reset: a new link is another one."""
        line.cut = cut
        for link in list(self.links):
            if link.line is line:
                link.suffer(cut)

    @property
    def is_sound(self) -> bool:
        """Whether no link is silent or deaf: who has one has still to find out."""
        return all(link.is_sound for link in self.links)

    @property
    def is_empty(self) -> bool:
        """Whether no message is on its way. What comes after one that is late comes late, too."""
        return not any(link.is_awaited for link in self.links)

    def freeze(self) -> None:
        """Answer nothing, with every connection open, until it is thawed."""
        self._thawed = self._thawed or asyncio.Event()

    def thaw(self) -> None:
        """Go on, with what was sent meanwhile, also by those who have given up waiting."""
        if self._thawed is not None:
            self._thawed.set()
            self._thawed = None
            held, self._held = self._held, []
            for sender, heard in held:
                self.publish(sender, heard)

    async def ready(self) -> None:
        """Return when it is not frozen."""
        while self._thawed is not None:
            await self._thawed.wait()

    async def receive(self, sender: SimulatedLink, heard: Heard) -> None:
        """Publish a message, now or when it is thawed; return when that is done, or the sender is gone."""
        if self._thawed is None:
            self.publish(sender, heard)
            return
        self._held.append((sender, heard))
        waiting = [asyncio.create_task(self._thawed.wait()), asyncio.create_task(sender.ended())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    def publish(self, sender: SimulatedLink, heard: Heard) -> None:
        """Hand a message to everybody who listens."""
        self.published += 1
        for link in list(self.links):
            if heard.channel in link.channels:
                link.come(sender, heard)

    def close(self) -> None:
        """End all links."""
        for link in list(self.links):
            link.fail(ConnectionResetError("the bus is gone"))


class SimulatedBackend:
    """What leads a gateway to the server. See :class:`userline.changes.protocol.Backend`."""

    is_shared: Final = True

    def __init__(self, server: SimulatedServer, line: Line) -> None:
        self._server = server
        self._line = line

    async def join(self, channels: Collection[str]) -> SimulatedLink:
        await asyncio.sleep(self._server.random.random() * 2 * self._line.delay)
        if self._line.cut is Cut.RESET:
            raise ConnectionRefusedError("the bus is cut off")
        if self._line.cut is Cut.SILENT:
            await asyncio.Event().wait()
        await self._server.ready()
        link = SimulatedLink(self._server, self._line, channels)
        if self._line.cut is Cut.DEAF:
            link.suffer(Cut.DEAF)
        self._server.links.append(link)
        return link

    def explain(self, error: BaseException) -> Explanation:
        return Explanation(type(error).__name__, str(error), "It is tried again.")

    async def close(self) -> None:
        pass


class SimulatedLink:
    """One joining. See :class:`userline.changes.protocol.Link`."""

    def __init__(self, server: SimulatedServer, line: Line, channels: Collection[str]) -> None:
        self.line = line
        self.channels = frozenset(channels)
        self._server = server
        self._random = server.random
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Heard] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._ended = asyncio.Event()
        self._is_silent = False
        self._is_deaf = False
        self._free_at: dict[SimulatedLink, float] = {}
        """When the last message of a publisher arrives here."""

    @property
    def is_sound(self) -> bool:
        """Whether it hears, and is heard."""
        return not (self._is_silent or self._is_deaf)

    @property
    def is_awaited(self) -> bool:
        """Whether a message is still to arrive."""
        return any(due > self._loop.time() for due in self._free_at.values())

    async def publish(self, channel: str, message: bytes) -> None:
        self._check()
        heard = Heard(channel, message)
        if self._is_silent:
            if self._random.random() < 0.5:
                # It is on its way all the same, and perhaps arrives behind what was published after it.
                self._loop.call_later(self._random.uniform(*_LATE_SECONDS), self._server.publish, self, heard)
            await self._ended.wait()
            self._check()
        await asyncio.sleep(self._delay())
        self._check()
        await self._server.receive(self, heard)
        self._check()
        if self.line.doubles and self._random.random() < self.line.doubles:
            self._server.publish(self, heard)
        if self.line.lost_answers and self._random.random() < self.line.lost_answers:
            self.fail(ConnectionResetError("the answer was lost"))
        await asyncio.sleep(self._delay())
        self._check()

    async def hear(self, seconds: float | None) -> Heard | None:
        self._check()
        if not self._inbox and seconds != 0:
            self._waiter = self._loop.create_future()
            timer = None if seconds is None else self._loop.call_later(seconds, self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
            self._check()
        return self._inbox.popleft() if self._inbox else None

    async def facts(self) -> LinkFacts:
        return LinkFacts("A simulation")

    async def close(self) -> None:
        self.fail(ConnectionResetError("closed"))

    async def ended(self) -> None:
        """Return when it has ended."""
        await self._ended.wait()

    def come(self, sender: SimulatedLink, heard: Heard) -> None:
        """Have a message arrive in a while, after those before it of the same publisher."""
        if self._is_silent or self._is_deaf or self._failure is not None:
            return
        due = max(self._loop.time() + self._delay(), self._free_at.get(sender, 0.0) + 1e-7)
        self._free_at[sender] = due
        self._loop.call_at(due, self._arrive, heard)

    def suffer(self, cut: Cut) -> None:
        """Have happen to this link what happens to the line."""
        if cut is Cut.RESET:
            self.fail(ConnectionResetError("cut off"))
        elif cut is Cut.SILENT:
            self._is_silent = True
        elif cut is Cut.DEAF:
            self._is_deaf = True

    def fail(self, error: Exception) -> None:
        """End: whatever is called from now on raises this."""
        self._failure = self._failure or error
        self._ended.set()
        if self in self._server.links:
            self._server.links.remove(self)
        self._wake()

    def _arrive(self, heard: Heard) -> None:
        if not (self._is_silent or self._is_deaf or self._failure is not None):
            self._inbox.append(heard)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _delay(self) -> float:
        return self._random.random() * 2 * self.line.delay
