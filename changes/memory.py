"""The bus of one process. It loses nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from userline.changes.explanations import named
from userline.changes.protocol import Explanation, Heard, LinkFacts

if TYPE_CHECKING:
    from collections.abc import Collection

URL: Final = "memory://"


def check_memory_url(url: str) -> None:
    """Raise ValueError if ``url`` has anything but a scheme."""
    if url != URL:
        raise ValueError("The bus for one process has no address: write memory://.")


class MemoryBackend:
    """Passes messages within the process."""

    is_shared: Final = False

    def __init__(self) -> None:
        self._links: list[_MemoryLink] = []

    async def join(self, channels: Collection[str]) -> _MemoryLink:
        """Return a link that listens to these channels."""
        link = _MemoryLink(channels, self._links)
        self._links.append(link)
        return link

    def explain(self, error: BaseException) -> Explanation:
        """Say what an error means. There should be none."""
        return Explanation(type(error).__name__, named(error), "It is tried again.")

    async def close(self) -> None:
        """Nothing is open."""


class _MemoryLink:
    def __init__(self, channels: Collection[str], links: list[_MemoryLink]) -> None:
        self._channels = frozenset(channels)
        self._links = links
        self._waiting: asyncio.Queue[Heard] = asyncio.Queue()

    async def publish(self, channel: str, message: bytes) -> None:
        heard = Heard(channel, message)
        for link in self._links:
            link.deliver(heard)

    def deliver(self, heard: Heard) -> None:
        if heard.channel in self._channels:
            self._waiting.put_nowait(heard)

    async def hear(self, seconds: float | None) -> Heard | None:
        if seconds is None or not self._waiting.empty():
            return await self._waiting.get()
        try:
            async with asyncio.timeout(seconds):
                return await self._waiting.get()
        except TimeoutError:
            return None

    async def facts(self) -> LinkFacts:
        return LinkFacts("This process")

    async def close(self) -> None:
        if self in self._links:
            self._links.remove(self)
