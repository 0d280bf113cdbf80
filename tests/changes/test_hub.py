"""The hub: what it answers, what it forgets, and whom it wakes."""

from __future__ import annotations

import asyncio
import math
import random
from types import MappingProxyType
from typing import Any

import pytest

from userline.changes.held import MISS
from userline.changes.hub import Hub
from userline.users.record import Deletion, UserSnapshot


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def snapshot(version: int, name: str | None = None, user_id: str = "alice") -> UserSnapshot:
    return UserSnapshot(
        id=user_id,
        version=version,
        name=name or f"Name {version}",
        custom=MappingProxyType({}),
        locale=None,
        photo_url=None,
        role="default",
        welcome_message=None,
    )


def confirm(hub: Hub, held: UserSnapshot | None, user_id: str = "alice") -> UserSnapshot | None:
    with hub.reading([user_id]) as reading:
        return reading.confirm(user_id, held)


def test_what_was_read_is_held_for_the_ttl_and_not_longer() -> None:
    clock = Clock()
    hub = Hub(ttl=30, clock=clock)
    assert hub.peek("alice") is MISS
    first = snapshot(1)
    confirm(hub, first)
    clock.now += 29.9
    assert hub.peek("alice") is first
    clock.now += 0.2
    assert hub.peek("alice") is MISS


def test_that_a_user_does_not_exist_is_held_too() -> None:
    hub = Hub()
    confirm(hub, None)
    assert hub.peek("alice") is None


def test_one_version_is_one_object() -> None:
    hub = Hub()
    first = snapshot(1)
    confirm(hub, first)
    assert confirm(hub, snapshot(1)) is first
    hub.hear(snapshot(1))
    assert hub.peek("alice") is first


def test_an_older_snapshot_never_takes_the_place_of_a_newer_one() -> None:
    hub = Hub()
    newer = snapshot(5)
    confirm(hub, newer)
    assert confirm(hub, snapshot(4)) is newer
    hub.hear(snapshot(3))
    assert hub.peek("alice") is newer


def test_an_absence_that_was_read_before_the_creation_is_old_news() -> None:
    hub = Hub()
    with hub.reading(["alice"]) as reading:
        created = confirm(hub, snapshot(1))
        assert reading.confirm("alice", None) is created
    assert hub.peek("alice") is created


async def test_an_edit_behind_our_backs_is_shown_once_the_store_has_been_read() -> None:
    hub = Hub()
    with hub.watching("alice") as watcher:
        confirm(hub, snapshot(3, "Alice"))
        assert await watcher.next() is not None
        edited = snapshot(3, "Edited by hand")
        assert hub.differs(edited)
        assert hub.doubt("alice")
        assert hub.peek("alice") is MISS
        assert hub.overdue(float("inf"), 10) == ["alice"]
        assert confirm(hub, edited) is edited
        assert await watcher.next() is edited
        assert confirm(hub, None) is None
        assert await watcher.next() is None
        recreated = snapshot(1, "Alice again")
        assert confirm(hub, recreated) is recreated
        assert await watcher.next() is recreated


def test_doubt_of_one_whom_nobody_watches_forgets_them() -> None:
    hub = Hub()
    confirm(hub, snapshot(1))
    assert not hub.differs(snapshot(1))
    assert not hub.differs(snapshot(1, user_id="nobody"))
    assert not hub.doubt("alice")
    assert not hub.doubt("nobody")
    assert hub.peek("alice") is MISS
    assert len(hub) == 0


def test_a_read_that_began_before_a_doubt_does_not_end_it() -> None:
    hub = Hub()
    with hub.watching("alice"):
        with hub.reading(["alice"]) as late:
            assert hub.doubt("alice")
            with hub.reading(["alice"]) as later:
                later.confirm("alice", snapshot(2))
                late.confirm("alice", snapshot(1))
            assert hub.peek("alice") is MISS
            assert hub.overdue(float("inf"), 10) == ["alice"]
        confirm(hub, snapshot(2))
        assert hub.peek("alice") == snapshot(2)
    with hub.reading(["bob"]) as reading:
        assert not hub.doubt("bob")
        assert reading.confirm("bob", snapshot(1, user_id="bob")) is not None
    assert hub.peek("bob") is MISS


@pytest.mark.parametrize(("version", "is_news"), [(4, False), (5, False), (6, True)])
async def test_a_version_of_which_not_all_is_said_is_read(version: int, *, is_news: bool) -> None:
    hub = Hub()
    assert not hub.hear_of("alice", version)
    assert len(hub) == 0
    with hub.watching("alice") as watcher:
        confirm(hub, snapshot(5))
        assert await watcher.next() == snapshot(5)
        assert hub.hear_of("alice", version) is is_news
        assert (hub.peek("alice") is MISS) is is_news
        confirm(hub, snapshot(6))
        assert await watcher.next() == snapshot(6)
    assert not hub.hear_of("alice", 7)  # nobody watches any more
    assert hub.peek("alice") is MISS


def test_a_change_of_a_user_who_is_not_held_is_not_kept() -> None:
    hub = Hub()
    hub.hear(snapshot(1))
    assert hub.peek("alice") is MISS
    assert len(hub) == 0


def test_a_change_heard_while_the_user_is_being_read_beats_the_read() -> None:
    hub = Hub()
    with hub.reading(["alice"]) as reading:
        hub.hear(snapshot(2))
        assert hub.peek("alice") is MISS, "not confirmed by the store yet"
        reading.confirm("alice", snapshot(1))
    held = hub.peek("alice")
    assert isinstance(held, UserSnapshot)
    assert held.version == 2


def test_a_read_that_was_overtaken_is_recognised_even_when_the_cache_is_full() -> None:
    hub = Hub(capacity=1)
    with hub.reading(["alice"]) as reading:
        confirm(hub, snapshot(2))
        for number in range(10):
            confirm(hub, snapshot(1, user_id=f"other {number}"), f"other {number}")
        newest = reading.confirm("alice", snapshot(1))
    assert newest is not None
    assert newest.version == 2


def test_a_read_that_failed_leaves_nothing_behind() -> None:
    hub = Hub()
    with pytest.raises(OSError, match="down"), hub.reading(["alice"]):
        raise OSError("down")
    assert len(hub) == 0


def test_the_longest_unused_go_first_and_the_watched_stay() -> None:
    hub = Hub(capacity=2)
    with hub.watching("watched"):
        confirm(hub, snapshot(1, user_id="watched"), "watched")
        for name in "abc":
            confirm(hub, snapshot(1, user_id=name), name)
            if name == "b":
                assert hub.peek("a") is not MISS
        assert hub.peek("b") is MISS
        assert hub.peek("a") is not MISS
        assert hub.peek("c") is not MISS
        assert hub.peek("watched") is not MISS
        assert len(hub) == 3


def test_a_watched_user_is_answered_for_beyond_the_ttl() -> None:
    clock = Clock()
    hub = Hub(ttl=30, clock=clock)
    with hub.watching("alice"):
        held = confirm(hub, snapshot(1))
        clock.now += 3600
        assert hub.peek("alice") is held
    clock.now += 29
    assert hub.peek("alice") is held
    clock.now += 2
    assert hub.peek("alice") is MISS


def test_who_starts_to_watch_what_is_no_longer_fresh_waits_for_the_store() -> None:
    clock = Clock()
    hub = Hub(ttl=30, clock=clock)
    confirm(hub, snapshot(1))
    clock.now += 31
    with hub.watching("alice") as watcher:
        assert watcher.is_new
        assert hub.peek("alice") is MISS
        confirm(hub, snapshot(1))
        assert not watcher.is_new


async def test_the_first_event_is_the_snapshot_held() -> None:
    hub = Hub()
    held = confirm(hub, snapshot(1))
    with hub.watching("alice") as watcher:
        assert await watcher.next() is held


async def test_the_first_event_for_a_missing_user_is_none_and_then_it_is_created() -> None:
    hub = Hub()
    with hub.watching("alice") as watcher:
        confirm(hub, None)
        assert await watcher.next() is None
        asked: list[str] = []
        hub.on_doubt = lambda: asked.extend(hub.overdue(math.inf, 9))
        hub.hear(snapshot(1))
        assert asked == ["alice"], "it may have been deleted since: the store is asked"
        confirm(hub, snapshot(1))
        created = await watcher.next()
        assert created is not None
        assert created.version == 1


async def test_a_stuck_watcher_holds_one_snapshot_and_then_gets_the_newest() -> None:
    hub = Hub()
    with hub.watching("alice") as watcher:
        for version in range(1, 5001):
            confirm(hub, snapshot(version))
        newest = await watcher.next()
        assert newest is not None
        assert newest.version == 5000
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watcher.next(), 0.01)


async def test_versions_are_in_order_whatever_the_order_of_delivery() -> None:
    hub = Hub()
    shuffled = random.Random(4)
    versions = list(range(1, 501))
    shuffled.shuffle(versions)
    seen: list[int] = []

    async def read() -> None:
        while not seen or seen[-1] < 500:
            latest = await watcher.next()
            assert latest is not None
            seen.append(latest.version)

    with hub.watching("alice") as watcher:
        confirm(hub, snapshot(1))
        reader = asyncio.create_task(read())
        for version in versions:
            hub.hear(snapshot(version))
            if shuffled.random() < 0.3:
                await asyncio.sleep(0)
        await asyncio.wait_for(reader, 5)
    assert seen == sorted(set(seen))
    assert len(seen) > 1


async def test_a_newer_version_that_looks_the_same_wakes_nobody() -> None:
    hub = Hub()
    with hub.watching("alice") as watcher:
        confirm(hub, snapshot(1, "Alice"))
        await watcher.next()
        private_only = snapshot(2, "Alice")
        assert confirm(hub, private_only) is private_only
        hub.hear(snapshot(3, "Alice B."))
        woken_by = await watcher.next()
        assert woken_by is not None
        assert woken_by.version == 3
    assert hub.deliveries == 2


@pytest.mark.parametrize("way", ["the bus", "a write", "a read, and then the bus"])
async def test_what_looks_as_before_after_a_change_that_was_not_heard_is_told(way: str) -> None:
    """A client that has seen what was in between elsewhere waits for a higher version."""
    hub = Hub()
    with hub.watching("alice") as watcher:
        confirm(hub, snapshot(1, "Alice"))
        await watcher.next()
        if way == "a write":
            with hub.reading(["alice"]) as reading:
                reading.confirm("alice", snapshot(3, "Alice"), is_seen=True)
        else:
            if way != "the bus":
                confirm(hub, snapshot(3, "Alice"))
                assert hub.deliveries == 1
            hub.hear(snapshot(3, "Alice"), is_seen=True)
        told = await watcher.next()
        assert told is not None
        assert told.version == 3
        hub.hear(snapshot(3, "Alice"), is_seen=True)
    assert hub.deliveries == 2


async def test_every_watcher_hears_and_a_closed_one_no_more() -> None:
    hub = Hub()
    confirm(hub, snapshot(1))
    with hub.watching("alice") as first:
        with hub.watching("alice") as second:
            assert hub.watcher_count == 2
            hub.hear(snapshot(2))
        hub.hear(snapshot(3))
        assert [(await w.next()).version for w in (first, second)] == [3, 2]  # type: ignore[union-attr]
    assert hub.watcher_count == 0


async def test_a_watcher_whose_wait_was_cancelled_can_go_on() -> None:
    hub = Hub()
    confirm(hub, snapshot(1))
    with hub.watching("alice") as watcher:
        await watcher.next()
        waiting = asyncio.create_task(watcher.next())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        hub.hear(snapshot(2))
        latest = await watcher.next()
        assert latest is not None
        assert latest.version == 2


def test_without_touch_nothing_is_answered_from_memory() -> None:
    hub = Hub()
    held = confirm(hub, snapshot(1))
    with hub.watching("watched"):
        confirm(hub, snapshot(1, user_id="watched"), "watched")
        hub.lose_touch()
        assert hub.peek("alice") is MISS
        assert hub.peek("watched") is MISS
        assert confirm(hub, snapshot(1)) is held, "the same version stays the same object"
        assert hub.peek("alice") is MISS


def test_after_a_gap_the_unwatched_are_forgotten_and_the_watched_are_in_doubt() -> None:
    hub = Hub()
    confirm(hub, snapshot(1))
    with hub.watching("watched") as watcher:
        confirm(hub, snapshot(1, user_id="watched"), "watched")
        hub.lose_touch()
        hub.regain_touch()
        assert hub.peek("alice") is MISS
        assert hub.peek("watched") is MISS
        assert len(hub) == 1
        assert hub.overdue(float("inf"), 10) == ["watched"]
        confirm(hub, snapshot(2, user_id="watched"), "watched")
        assert hub.overdue(float("inf"), 10) == []
        assert isinstance(hub.peek("watched"), UserSnapshot)
        assert not watcher.is_new


def test_a_read_that_began_before_the_gap_ended_confirms_nothing() -> None:
    hub = Hub()
    with hub.watching("alice"):
        with hub.reading(["alice"]) as reading:
            hub.regain_touch()
            reading.confirm("alice", snapshot(1))
        assert hub.peek("alice") is MISS
        assert hub.overdue(float("inf"), 10) == ["alice"]


def test_the_watched_are_read_again_in_their_turn() -> None:
    clock = Clock()
    hub = Hub(clock=clock)
    with hub.watching("a"), hub.watching("b"), hub.watching("c"):
        for name in "abc":
            confirm(hub, snapshot(1, user_id=name), name)
            clock.now += 10
        assert hub.overdue(30, 10) == ["a"]
        assert hub.overdue(20, 10) == ["a", "b"]
        assert hub.overdue(20, 1) == ["a"]
        confirm(hub, snapshot(1, user_id="a"), "a")
        assert hub.overdue(20, 10) == ["b"]
        with hub.watching("new"):
            assert hub.overdue(30, 1) == ["new"]
        assert hub.watched_users == 3


class TestDeletions:
    """A user who was deleted stays so, whatever comes late."""

    async def test_who_watches_is_told_once(self) -> None:
        hub = Hub()
        confirm(hub, snapshot(5))
        with hub.watching("alice") as watcher:
            await watcher.next()
            for _ in range(3):
                hub.hear(Deletion("alice", 7))
                confirm(hub, None)
            assert await watcher.next() is None
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watcher.next(), 0.01)
        assert hub.peek("alice") is None

    @pytest.mark.parametrize("version", [1, 4, 5, 6, 7])
    def test_an_older_snapshot_that_comes_late_does_not_bring_it_back(self, version: int) -> None:
        hub = Hub()
        confirm(hub, snapshot(5))
        with hub.reading(["alice"]) as before:
            hub.hear(Deletion("alice", 7))
            hub.hear(snapshot(version))
            assert hub.peek("alice") is None
            assert before.confirm("alice", snapshot(version)) is None
        assert hub.peek("alice") is None

    def test_a_deletion_that_comes_late_does_not_remove_who_was_created_again(self) -> None:
        hub = Hub()
        created = confirm(hub, snapshot(9))
        hub.hear(Deletion("alice", 7))
        assert hub.peek("alice") is created
        hub.hear(Deletion("alice", 10))
        assert hub.peek("alice") is None
        hub.hear(snapshot(11))
        assert isinstance(hub.peek("alice"), UserSnapshot)

    @pytest.mark.parametrize("version", [1, 7])
    def test_who_was_created_again_by_hand_is_shown(self, version: int) -> None:
        """Below the version of the deletion, by a program that knows none: a read that began after it has found it."""
        hub = Hub()
        confirm(hub, snapshot(5))
        hub.hear(Deletion("alice", 7))
        assert hub.differs(snapshot(version)), "of a change stream"
        assert confirm(hub, snapshot(version)) == snapshot(version)
        assert hub.peek("alice") == snapshot(version)
        hub.hear(snapshot(version + 1))
        assert hub.peek("alice") == snapshot(version + 1)

    @pytest.mark.parametrize("known", [None, 4])
    def test_a_gateway_that_did_not_hear_of_it_is_not_fooled_by_what_comes_late(self, known: int | None) -> None:
        """It was cut off while the user was written and deleted; what was written is published only now."""
        hub = Hub()
        asked = 0

        def ask() -> None:
            nonlocal asked
            asked += 1

        hub.on_doubt = ask
        if known:
            confirm(hub, snapshot(known))
        with hub.watching("alice") as watcher:
            hub.doubt_all()
            confirm(hub, None)
            hub.hear(snapshot(6))
            assert asked == 1
            assert hub.peek("alice") is MISS
            confirm(hub, None)
            assert hub.peek("alice") is None
            assert watcher._latest is None

    def test_what_is_told_while_nobody_is_found_is_asked_for_again(self) -> None:
        hub = Hub()
        confirm(hub, snapshot(4))
        with hub.watching("alice"), hub.reading(["alice"]) as reading:
            hub.hear(snapshot(6))
            reading.confirm("alice", None)
            assert hub.peek("alice") is MISS, "created since, or deleted before: it is not known"
            confirm(hub, None)
        assert len(hub) == 0 or hub.peek("alice") in (None, MISS)

    def test_who_is_told_of_while_nobody_is_found_is_unclear(self) -> None:
        """A call that began before cannot tell whether the user was created since, or deleted before."""
        hub = Hub()
        with hub.reading(["alice"]) as write, hub.reading(["alice"]) as before:
            write.confirm("alice", snapshot(6))
            before.confirm("alice", None)
            assert before.unclear == ("alice",)
            with hub.reading(["alice"]) as after:
                assert after.confirm("alice", None) is None
                assert after.unclear == ()

    def test_who_was_deleted_unheard_is_not_brought_back_by_what_comes_late(self) -> None:
        """Of several gateways, with a deletion among it that is older than what was held here."""
        hub = Hub()
        confirm(hub, snapshot(8))
        with hub.watching("alice") as watcher:
            confirm(hub, None)
            for late in (snapshot(2), Deletion("alice", 4), snapshot(6), snapshot(8)):
                hub.hear(late)
                assert hub.peek("alice") is None
            hub.hear(Deletion("alice", 9))
            hub.hear(snapshot(10))
            assert watcher._latest == snapshot(10)

    def test_who_was_found_gone_is_not_brought_back_by_a_call_that_looked_before(self) -> None:
        hub = Hub()
        confirm(hub, snapshot(5))
        with hub.watching("alice") as watcher, hub.reading(["alice"]) as reading, hub.reading(["alice"]) as later:
            reading.confirm("alice", None)
            assert later.confirm("alice", snapshot(5)) is None
            assert later.unclear == ("alice",)
            assert watcher._latest is None
            assert hub.peek("alice") is MISS

    def test_a_call_that_found_nobody_is_old_only_if_a_later_one_found_somebody(self) -> None:
        """Else what is held may have come late, and be gone: it was told, and no store call has found it since."""
        hub = Hub()
        with hub.reading(["alice"]) as first, hub.reading(["alice"]) as second:
            hub.hear(Deletion("alice", 7))
            second.confirm("alice", None)
            hub.hear(snapshot(9))
            first.confirm("alice", None)
            assert first.unclear == ("alice",)
        with hub.reading(["alice"]) as first:
            confirm(hub, snapshot(9))
            assert first.confirm("alice", None) == snapshot(9)
            assert first.unclear == ()

    @pytest.mark.parametrize("version", [5, 7])
    @pytest.mark.parametrize("is_write", [True, False])
    async def test_who_is_answered_with_a_user_who_is_gone_is_told_once_more(
        self, version: int, *, is_write: bool
    ) -> None:
        """There was nobody before, so that watchers were not told of the deletion: but a write is answered late."""
        hub = Hub()
        confirm(hub, None)
        with hub.watching("alice") as watcher:
            assert await watcher.next() is None
            with hub.reading(["alice"], is_write=is_write) as call:
                hub.hear(Deletion("alice", 7))
                assert hub.deliveries == 0
                assert call.confirm("alice", snapshot(version), is_seen=is_write) is None
            assert hub.deliveries == is_write
            if is_write:
                assert await watcher.next() is None
            hub.hear(Deletion("alice", 7))
            hub.hear(snapshot(version), is_seen=True)
            assert hub.deliveries == is_write
        assert hub.peek("alice") is None

    @pytest.mark.parametrize("is_write", [True, False])
    @pytest.mark.parametrize("is_there", [True, False])
    async def test_who_is_answered_with_a_user_of_whom_nobody_can_tell_is_told_what_is(
        self, *, is_write: bool, is_there: bool
    ) -> None:
        hub = Hub()
        confirm(hub, None)
        with hub.watching("alice") as watcher:
            assert await watcher.next() is None
            with hub.reading(["alice"], is_write=is_write) as call, hub.reading(["alice"]) as other:
                other.confirm("alice", None)
                call.confirm("alice", snapshot(6), is_seen=is_write)
                assert call.unclear == ("alice",)
            for _ in range(2):
                confirm(hub, snapshot(6) if is_there else None)
                assert hub.deliveries == (is_there or is_write)
            if hub.deliveries:
                assert await watcher.next() == (snapshot(6) if is_there else None)

    @pytest.mark.parametrize("seed", range(300))
    def test_whatever_the_order_the_end_is_what_the_store_says(self, seed: int) -> None:
        """Reads that overlap, messages that are late, lost or doubled: the hub ends with the store, and never shows
        after a deletion that it knows what was before it.
        """
        chance = random.Random(seed)
        hub = Hub()
        stored: UserSnapshot | None = None
        version = 0
        messages: list[UserSnapshot | Deletion] = []
        open_reads: list[tuple[Any, Any, UserSnapshot | None]] = []
        known_gone = 0
        with hub.watching("alice") as watcher:
            for _ in range(40):
                step = chance.random()
                if step < 0.25:
                    version += chance.randint(1, 3)
                    stored = snapshot(version)
                    messages.append(stored)
                elif step < 0.4 and stored is not None:
                    version += chance.randint(1, 3)
                    stored = None
                    messages.append(Deletion("alice", version))
                elif step < 0.6 and messages:
                    told = chance.choice(messages) if chance.random() < 0.3 else messages.pop(0)
                    hub.hear(told)
                    if isinstance(told, Deletion):
                        known_gone = max(known_gone, told.version)
                elif step < 0.8 and len(open_reads) < 3:
                    manager = hub.reading(["alice"])
                    open_reads.append((manager, manager.__enter__(), stored))
                elif open_reads:
                    manager, reading, found = open_reads.pop(chance.randrange(len(open_reads)))
                    reading.confirm("alice", found)
                    manager.__exit__(None, None, None)
                latest = watcher._latest
                assert not isinstance(latest, UserSnapshot) or latest.version > known_gone
            for manager, reading, found in open_reads:
                reading.confirm("alice", found)
                manager.__exit__(None, None, None)
            for told in messages:
                hub.hear(told)
            confirm(hub, stored)  # as the refresher does, whether it was asked or its time has come
            confirm(hub, stored)
            assert hub.peek("alice") == stored
            assert not isinstance(watcher._latest, UserSnapshot) or watcher._latest == stored


def test_a_write_that_began_before_a_reading_that_found_nobody_is_not_lost() -> None:
    """The reading may have looked before the write was done: the store is asked again, and nobody is told of nobody."""
    hub = Hub(ttl=30, capacity=100)
    doubts: list[None] = []
    hub.on_doubt = lambda: doubts.append(None)
    written = snapshot(1)
    with hub.watching("alice"):
        with hub.reading(["alice"]) as write, hub.reading(["alice"]) as read:
            assert read.confirm("alice", None) is None
            write.confirm("alice", written)
            assert hub.peek("alice") is MISS
        assert doubts
        assert confirm(hub, written) is written
        assert hub.peek("alice") is written
