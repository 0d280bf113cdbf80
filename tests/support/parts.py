"""The parts of a gateway that read, write and watch users, without a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.stores import MemoryStore
from userline.changes.bus import Bus
from userline.changes.hub import Hub
from userline.directory.users import Users
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from userline.users.record import UserSnapshot


class Gateway:
    """A store in memory, a hub and a bus, and the users on top of them. To be started and stopped by a fixture."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.hub = Hub()
        self.bus = Bus("memory://")
        self.users = Users(store=self.store, hub=self.hub, bus=self.bus, rules=Rules())

    def watch(self, user_id: str) -> AsyncGenerator[UserSnapshot | None, None]:
        return self.users.watch(user_id)
