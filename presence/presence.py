"""Presence: which users are connected, at this gateway and at the others.

A user is connected while an operation of a socket with the user's token is under way, and for some seconds after the
last one or after the last request. Every gateway tells the others at once who has come and gone, and a few times in
these seconds who is there; what it has not told again in time is forgotten, whatever has become of it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter, OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from userline.common import tasks
from userline.presence.reports import MOST_USERS_A_REPORT, PRESENCE, PresenceReport, decode_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from userline.changes.bus import Bus

logger = logging.getLogger("userline.presence")

_LONGEST_TICK_SECONDS: Final = 1.0


class PresenceWatcher(Protocol):
    """What is called when a user connects or disconnects."""

    def tell(self, *, is_connected: bool) -> None:
        """Take note of it, which may be what was told before."""


class Presence:
    """Counts connected users and tells the other gateways. For one event loop."""

    def __init__(
        self,
        bus: Bus,
        *,
        seconds: float = 10.0,
        users_seen: Callable[[], Iterable[str]] = lambda: (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._seconds = seconds
        self._users_seen = users_seen
        self._clock = clock
        self._gateway = secrets.token_hex(8)
        self._operations: dict[str, int] = {}
        # Users without operations who were here lately, and what other gateways said, each with the time when it ends.
        self._lingering: OrderedDict[str, float] = OrderedDict()
        self._claims: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._elsewhere: Counter[str] = Counter()
        self._watchers: dict[str, set[PresenceWatcher]] = {}
        self._news: dict[str, bool] = {}
        self._asks = False
        self._something = asyncio.Event()
        self._ticked_at = self._told_at = clock()
        self._was_asked = False
        self._tasks: list[asyncio.Task[None]] = []
        bus.listen(PRESENCE, self.hear)

    @property
    def users_here(self) -> int:
        """How many users are connected at this gateway."""
        return len(self._operations) + len(self._lingering)

    def start(self) -> None:
        """Begin to note who shows tokens, to tell the others, and to forget."""
        self._tasks = [asyncio.create_task(self._tick_on(), name="userline-presence")]
        if self._bus.is_shared:
            self._tasks.append(asyncio.create_task(self._tell_others(), name="userline-presence-publish"))

    async def stop(self) -> None:
        """End what ``start`` began. The others forget who was here by themselves: most are about to go on there."""
        await tasks.end(self._tasks)

    def enter(self, user_id: str | None) -> None:
        """Take note that an operation of a user's socket has begun. Without a user it is nobody's."""
        if user_id is None:
            return
        under_way = self._operations.get(user_id, 0)
        self._operations[user_id] = under_way + 1
        if not under_way and self._lingering.pop(user_id, None) is None:
            self._note(user_id, is_here=True)

    def leave(self, user_id: str | None) -> None:
        """Take note that the operation has ended."""
        if user_id is None:
            return
        self._operations[user_id] -= 1
        if not self._operations[user_id]:
            del self._operations[user_id]
            self._lingering[user_id] = self._clock() + self._seconds

    def is_connected(self, user_id: str) -> bool:
        """Whether the user is connected, as far as this gateway has heard."""
        return user_id in self._operations or user_id in self._lingering or user_id in self._elsewhere

    def watch(self, user_id: str, watcher: PresenceWatcher) -> None:
        """Tell the watcher whether the user is connected, now and whenever that may have changed."""
        self._watchers.setdefault(user_id, set()).add(watcher)
        watcher.tell(is_connected=self.is_connected(user_id))

    def unwatch(self, user_id: str, watcher: PresenceWatcher) -> None:
        """Tell the watcher nothing more."""
        watchers = self._watchers[user_id]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[user_id]

    def hear(self, said: object) -> None:
        """Take what a gateway tells. Raises BusMessageError."""
        report = decode_report(said)
        if report.gateway == self._gateway:
            return
        self._was_asked |= report.asks
        ends_at = self._clock() + self._seconds
        for user_id in report.here:
            claim = (report.gateway, user_id)
            is_new = claim not in self._claims
            self._claims[claim] = ends_at
            self._claims.move_to_end(claim)
            if is_new:
                self._elsewhere[user_id] += 1
                self._tell_watchers(user_id)
        for user_id in report.gone:
            if self._claims.pop((report.gateway, user_id), None) is not None:
                self._drop_claim(user_id)

    def ask(self) -> None:
        """Ask the others who is there, and tell them: they are heard from now on, or again."""
        self._asks = True
        self._was_asked = True
        self._something.set()

    def tick(self) -> None:
        """Note who has shown a token since the last tick, forget who has not been heard of, and tell when it is due."""
        now = self._clock()
        for user_id in self._users_seen():
            self._see(user_id, now + self._seconds)
        # After a long silence of our own, what the others said meanwhile is still to be read.
        if now - self._ticked_at < self._seconds / 3:
            self._forget(now)
        self._ticked_at = now
        since = now - self._told_at
        if since >= self._seconds / 3 or (self._was_asked and since >= self._seconds / 10):
            self._told_at = now
            self._was_asked = False
            for user_ids in (self._operations, self._lingering):
                self._news.update(dict.fromkeys(user_ids, True))
            self._something.set()

    def next_report(self) -> PresenceReport:
        """Take some of what is to be told."""
        news = [(user_id, self._news.pop(user_id)) for user_id in list(islice(self._news, MOST_USERS_A_REPORT))]
        asks, self._asks = self._asks, False
        if not self._news:
            self._something.clear()
        here = [user_id for user_id, is_here in news if is_here]
        gone = [user_id for user_id, is_here in news if not is_here]
        return PresenceReport(self._gateway, here, gone, asks)

    def _see(self, user_id: str, until: float) -> None:
        if user_id in self._operations:
            return
        is_new = user_id not in self._lingering
        self._lingering[user_id] = until
        self._lingering.move_to_end(user_id)
        if is_new:
            self._note(user_id, is_here=True)

    def _forget(self, now: float) -> None:
        while self._lingering and next(iter(self._lingering.values())) <= now:
            user_id, _ = self._lingering.popitem(last=False)
            self._note(user_id, is_here=False)
        while self._claims and next(iter(self._claims.values())) <= now:
            (_, user_id), _ = self._claims.popitem(last=False)
            self._drop_claim(user_id)

    def _drop_claim(self, user_id: str) -> None:
        self._elsewhere[user_id] -= 1
        if not self._elsewhere[user_id]:
            del self._elsewhere[user_id]
            self._tell_watchers(user_id)

    def _note(self, user_id: str, *, is_here: bool) -> None:
        if self._bus.is_shared:
            self._news[user_id] = is_here
            self._something.set()
        self._tell_watchers(user_id)

    def _tell_watchers(self, user_id: str) -> None:
        for watcher in self._watchers.get(user_id, ()):
            watcher.tell(is_connected=self.is_connected(user_id))

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(min(self._seconds / 10, _LONGEST_TICK_SECONDS))
            self.tick()

    async def _tell_others(self) -> None:
        is_failing = False
        while True:
            await self._something.wait()
            report = self.next_report()
            if not (report.here or report.gone or report.asks):
                continue
            try:
                await self._bus.send(PRESENCE, report)
            except Exception as error:  # noqa: BLE001 - whatever it is, all is told again before long
                if not is_failing and self._bus.connected:  # else it is told that the bus is away
                    logger.warning(
                        "The other gateways cannot be informed about who is connected (%s).",
                        self._bus.explain(error).text,
                    )
                is_failing = True
                self._news.clear()
            else:
                is_failing = False
