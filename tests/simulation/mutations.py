"""Mechanisms of the product, each broken as somebody might break it: the simulation is to find all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from tests.simulation.faults import CUTS, DIES_MUTE, STOPS_MUTE
from userline.changes.bus import Bus
from userline.changes.hub import Hub
from userline.changes.outbox import Outbox
from userline.changes.rejoining import Rejoining
from userline.directory.batcher import Batcher
from userline.directory.refresher import Refresher
from userline.directory.uncertain_writes import UncertainWrites
from userline.directory.writes import Writes
from userline.gateway.websocket.deliveries import Slot
from userline.gateway.websocket.watches import SocketWatches
from userline.presence.presence import Presence
from userline.server.drain import Drain
from userline.storage.mongo.writing import Writing
from userline.storage.sqlite.writes import TransactionUsers
from userline_client.connection import Connection
from userline_client.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from userline.changes.held import Entry
    from userline.changes.reading import Reading
    from userline.users.record import UserSnapshot


def _in_place_of(owner: type, name: str, function: Callable[..., Any]) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: mock.patch.object(owner, name, function)


def _nothing(*_: Any, **__: Any) -> None:
    pass


async def _for_ever(*_: Any) -> None:
    await asyncio.Event().wait()


def _settle_without_reading(self: Refresher) -> None:
    self._is_gap = False
    self._gap_closed.set()


def _take_whatever_comes(
    self: Hub,
    entry: Entry,
    snapshot: UserSnapshot | None,
    *,
    is_seen: bool = False,  # noqa: ARG001 - its signature
) -> None:
    version = snapshot.version if snapshot else 0
    if version != entry.version:
        self._show(entry, snapshot)


_take_outcome = Hub.take_outcome


def _take_whatever_was_read(self: Hub, reading: Reading, user_id: str, snapshot: Any, *, is_seen: bool) -> Any:
    entry, _ = reading.entries[user_id]
    if snapshot is not None and snapshot.version < entry.version:
        self._show(entry, snapshot)
    return _take_outcome(self, reading, user_id, snapshot, is_seen=is_seen)


def _show_twice(
    self: Hub,
    entry: Entry,
    snapshot: UserSnapshot | None,
    *,
    is_seen: bool = False,  # noqa: ARG001 - its signature
) -> None:
    version = snapshot.version if snapshot else 0
    if version >= entry.version:
        self._show(entry, snapshot)


def _unwatch_somebody(self: Hub, user_id: str, watcher: Any) -> None:  # noqa: ARG001 - that is the fault
    entry = self._entries[user_id]
    self.watcher_count -= 1
    entry.watchers.pop(next(iter(entry.watchers)), None)
    if not entry.watchers:
        del self._watched[user_id]
    self._release(user_id, entry)


_deliver = Bus._deliver


def _deliver_the_first(self: Bus, changes: object) -> None:
    _deliver(self, changes[:1] if isinstance(changes, list) else changes)


def _put_any(self: Outbox, snapshot: UserSnapshot) -> None:
    self._waiting.setdefault(snapshot.id, snapshot)
    self._something.set()


async def _write_without_telling_the_hub(self: Writes, _: str, write: Any) -> Any:
    result = await write
    if result.snapshot_changed:
        self._bus.publish(result.after.snapshot)
    return result.after.snapshot, result


async def _write_without_telling_others(self: Writes, user_id: str, write: Any) -> Any:
    with self._hub.reading([user_id]) as reading:
        result = await write
        return reading.confirm(user_id, result.after.snapshot) or result.after.snapshot, result


def _leave_for_good(self: Presence, user_id: str | None) -> None:
    if user_id is not None:
        self._operations[user_id] -= 1


def _hear_no_end(self: Presence, now: float) -> None:
    while self._lingering and next(iter(self._lingering.values())) <= now:
        self._lingering.popitem(last=False)


async def _never_miss_a_beat(self: Rejoining) -> Any:
    joined = self._joined
    if joined is None:
        joined = self._joined = await self._join()
        self._contact.joined()
    if joined.failure is not None:
        raise joined.failure
    heard = await joined.link.hear(0.25)
    return heard and self._take(joined, heard)


_dispatch = Batcher._dispatch


def _dispatch_all_but_one(self: Batcher) -> bool:
    if len(self._pending) > 1:
        self._pending.popitem()
    return _dispatch(self)


_write = TransactionUsers._write


def _write_unseen(self: TransactionUsers, write: Any) -> Any:
    before = self._current
    self._current = dict(before)
    outcome = _write(self, write)
    self._current = before
    return outcome


def _offer_the_first(self: Slot, snapshot: UserSnapshot | None) -> bool:
    self.is_new = False
    if self._watches is None or self.is_marked:
        return self.is_marked
    self._latest = snapshot
    self.is_marked = True
    self._watches.deliveries.add(self)
    return False


def _put_over_whatever_is_there(self: Writing, puts: Any, deadline: float) -> Any:
    return _put_group(self, [(guard and {"_id": guard["_id"]}, document) for guard, document in puts], deadline)


_put_group = Writing._put_group


async def _wait_for_nothing(_: Drain, work: Any) -> None:
    work.close()


async def _look_at_none(_: UncertainWrites) -> None:
    pass


MUTATIONS: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {
    "a gap is not followed by a reading": _in_place_of(Refresher, "settle", _settle_without_reading),
    "versions are not compared": _in_place_of(Hub, "_take", _take_whatever_comes),
    "a reading that was overtaken wins": _in_place_of(Hub, "take_outcome", _take_whatever_was_read),
    "the same version is told twice": _in_place_of(Hub, "_take", _show_twice),
    "the wrong watcher is let go": _in_place_of(Hub, "unwatch", _unwatch_somebody),
    "memory answers during a gap": _in_place_of(Hub, "lose_touch", _nothing),
    "a change that could not be sent is lost": _in_place_of(Outbox, "put_back", _nothing),
    "the oldest change of a user waits": _in_place_of(Outbox, "put", _put_any),
    "the first change of a message is heard": _in_place_of(Bus, "_deliver", _deliver_the_first),
    "heartbeats are not missed": _in_place_of(Rejoining, "_next", _never_miss_a_beat),
    "the refresher does not run": _in_place_of(Refresher, "_keep_fresh", _for_ever),
    "writes without an answer are not looked at": _in_place_of(UncertainWrites, "look_at", _nothing),
    "who writes does not read it": _in_place_of(Writes, "_write_and_tell", _write_without_telling_the_hub),
    "the others are not told": _in_place_of(Writes, "_write_and_tell", _write_without_telling_others),
    "a stop waits for nothing to be published": _in_place_of(Drain, "finish", _wait_for_nothing),
    "a stop forgets writes without an answer": _in_place_of(UncertainWrites, "looked", _look_at_none),
    "who leaves is not forgotten": _in_place_of(Presence, "leave", _leave_for_good),
    "what others said of presence has no end": _in_place_of(Presence, "_forget", _hear_no_end),
    "a lookup is dropped": _in_place_of(Batcher, "_dispatch", _dispatch_all_but_one),
    "writes of one group do not see each other": _in_place_of(TransactionUsers, "_write", _write_unseen),
    "MongoDB's documents are put without a guard": _in_place_of(Writing, "_put_group", _put_over_whatever_is_there),
    "a slot keeps the first snapshot": _in_place_of(Slot, "offer", _offer_the_first),
    "slots that wait for their client are forgotten": _in_place_of(SocketWatches, "_go_on", _nothing),
    "the watches of a closed socket go on": _in_place_of(SocketWatches, "close", _nothing),
    "the client does not subscribe again": _in_place_of(Operations, "all", lambda _: []),
    "the client does not come back": _in_place_of(Connection, "_is_needed", lambda self: self._link is not None),
}
"""What is broken, and how."""

FOCUS: Final[dict[str, tuple[str, ...]]] = {
    "memory answers during a gap": tuple(CUTS),
    "the refresher does not run": (DIES_MUTE,),
    "writes without an answer are not looked at": ("store loses answers",),
    "a stop waits for nothing to be published": (STOPS_MUTE,),
    "a stop forgets writes without an answer": ("store loses answers", "stop"),
    "slots that wait for their client are forgotten": ("client is slow",),
    "a slot keeps the first snapshot": ("client is slow",),
}
"""What goes wrong, and nothing else, where something is broken that shows seldom."""
