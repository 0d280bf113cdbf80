"""One gateway's end of a bus through Redis, for the tests."""

from __future__ import annotations

from typing import Any

from tests.support.waiting import until
from userline.changes.bus import Bus


class Listener:
    """A gateway's end of the bus, and what it has noticed."""

    def __init__(self, url: str, *, app_id: str = "userline", prefix: str = "userline") -> None:
        self.bus = Bus(url, app_id=app_id, prefix=prefix)
        self.heard: list[Any] = []
        self.events: list[str] = []

    async def start(self) -> None:
        await self.bus.start(
            self.heard.append,
            on_lost=lambda: self.events.append("lost"),
            on_joined=lambda: self.events.append("joined"),
        )

    async def until_joined(self, *, joined: bool = True, seconds: float = 20.0) -> None:
        await until(lambda: self.bus.connected is joined, seconds)

    async def until_heard(self, count: int) -> None:
        await until(lambda: len(self.heard) == count)

    async def until_version(self, version: int) -> None:
        await until(lambda: self.versions()[-1:] == [version])

    def versions(self) -> list[int]:
        return [change.version for change in self.heard]
