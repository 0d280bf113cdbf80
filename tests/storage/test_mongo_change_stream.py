"""Following the changes that anybody makes in MongoDB."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from tests.storage.contract.base import RULES, new_user, patch
from tests.support.mongodb import REAL_URI, MongoServer
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.change_stream import ChangeFollower
from userline.storage.mongo.driver import DriverName
from userline.users.record import UserSnapshot

END = object()


def change(user_id: str, version: int, operation: str = "replace") -> dict[str, Any]:
    document = {"_id": user_id, "version": version, "name": f"Name {version}"}
    return {"operationType": operation, "documentKey": {"_id": user_id}, "fullDocument": document}


class FakeServer:
    """Streams that bring what a test puts into ``script``: events, errors to raise, and END."""

    def __init__(self) -> None:
        self.script: asyncio.Queue[Any] = asyncio.Queue()
        self.opened: list[Mapping[str, Any] | None] = []
        self.closed = 0
        self.refusals: list[Exception] = []
        self.refused = 0
        self.position = 0

    async def watch(self, pipeline: list[dict[str, Any]], **options: Any) -> "FakeStream":
        assert pipeline
        assert options["full_document"] == "updateLookup"
        self.opened.append(options.get("resume_after"))
        if self.refusals:
            raise self.refusals.pop(0)
        return FakeStream(self)


class FakeStream:
    def __init__(self, nx: FakeServer) -> None:
        self.server = nx
        self.alive = True
        self.resume_token: Mapping[str, Any] | None = None

    async def try_next(self) -> Mapping[str, Any] | None:
        try:
            async with asyncio.timeout(0.02):
                item = await self.server.script.get()
        except TimeoutError:
            return None
        if isinstance(item, Exception):
            raise item
        if item is END:
            self.alive = False
            return {"operationType": "invalidate"}
        self.server.position += 1
        self.resume_token = {"_data": self.server.position}
        event: Mapping[str, Any] = item
        return event

    async def close(self) -> None:
        self.server.closed += 1


class Followed:
    """A follower and what it has told, in order: snapshots as (id, version), and "gap"."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.told: list[object] = []
        self.follower = ChangeFollower(
            self.server.watch,
            self.hear,
            lambda user_id: self.told.append(("deleted", user_id)),
            lambda: self.told.append("gap"),
        )

    def hear(self, snapshot: UserSnapshot) -> None:
        self.told.append((snapshot.id, snapshot.version))

    async def tells(self, *expected: object) -> None:
        await until(lambda: len(self.told) >= len(expected))
        assert self.told == list(expected)


async def until(holds: Callable[[], Any], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture
async def followed() -> AsyncIterator[Followed]:
    followed = Followed()
    yield followed
    await followed.follower.stop()
    await followed.follower.stop()
    assert followed.server.closed == len(followed.server.opened) - followed.server.refused


async def test_changes_are_told_in_order(followed: Followed) -> None:
    followed.follower.start()
    for version in range(1, 6):
        followed.server.script.put_nowait(change("alice", version))
    await followed.tells(*(("alice", version) for version in range(1, 6)))


async def test_after_a_lost_connection_it_goes_on_where_it_was(followed: Followed) -> None:
    followed.follower.start()
    for item in (change("alice", 1), AutoReconnect("gone"), change("alice", 2), OSError("gone"), change("alice", 3)):
        followed.server.script.put_nowait(item)
    await followed.tells(("alice", 1), ("alice", 2), ("alice", 3))
    assert followed.server.opened == [None, {"_data": 1}, {"_data": 2}]


@pytest.mark.parametrize("code", [260, 280, 286])
async def test_lost_history_is_a_gap(followed: Followed, code: int) -> None:
    followed.follower.start()
    followed.server.script.put_nowait(change("alice", 1))
    await followed.tells(("alice", 1))
    followed.server.refusals = [OperationFailure("history lost", code)]
    followed.server.refused = 1
    followed.server.script.put_nowait(AutoReconnect("gone"))
    await followed.tells(("alice", 1), "gap")
    followed.server.script.put_nowait(change("alice", 9))
    await followed.tells(("alice", 1), "gap", ("alice", 9))
    assert followed.server.opened == [None, {"_data": 1}, None]


async def test_a_dropped_collection_is_a_gap(followed: Followed) -> None:
    followed.follower.start()
    for item in (change("alice", 1), END, change("alice", 1, "insert")):
        followed.server.script.put_nowait(item)
    await followed.tells(("alice", 1), "gap", ("alice", 1))
    assert followed.server.opened == [None, None]


async def test_a_server_that_is_away_at_first_is_a_gap(followed: Followed) -> None:
    followed.server.refusals = [AutoReconnect("away"), AutoReconnect("away")]
    followed.server.refused = 2
    followed.follower.start()
    await followed.tells("gap")
    followed.server.script.put_nowait(change("alice", 2))
    await followed.tells("gap", ("alice", 2))


async def test_a_lost_connection_before_the_first_word_is_a_gap(followed: Followed) -> None:
    followed.follower.start()
    followed.server.script.put_nowait(AutoReconnect("gone"))
    await followed.tells("gap")


async def test_what_has_no_snapshot(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    followed.follower.start()
    deleted_since = {**change("bob", 1), "fullDocument": None}
    damaged = change("carol", 1)
    damaged["fullDocument"]["name"] = 7
    deleted = {"operationType": "delete", "documentKey": {"_id": "dave"}}
    for item in (deleted_since, damaged, deleted, change("alice", 1)):
        followed.server.script.put_nowait(item)
    await followed.tells(("deleted", "dave"), ("alice", 1))
    assert "The document 'carol' is not a user: name is not a string." in caplog.text
    assert followed.server.opened == [None]


async def test_a_listener_that_fails_is_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    followed = Followed()
    heard: list[int] = []

    def fail_once(snapshot: UserSnapshot) -> None:
        heard.append(snapshot.version)
        if len(heard) == 1:
            raise ZeroDivisionError

    followed.follower = ChangeFollower(
        followed.server.watch, fail_once, lambda _: None, lambda: followed.told.append("gap")
    )
    followed.follower.start()
    followed.server.script.put_nowait(change("alice", 1))
    await followed.tells("gap")
    followed.server.script.put_nowait(change("alice", 2))
    await until(lambda: heard == [1, 2])
    await followed.follower.stop()
    assert "ZeroDivisionError" in caplog.text


async def test_stopping_does_not_wait_for_a_server_that_is_away(followed: Followed) -> None:
    followed.server.refusals = [AutoReconnect("away")] * 1000
    followed.follower.start()
    await until(lambda: len(followed.server.opened) >= 4)
    start = time.monotonic()
    await followed.follower.stop()
    assert time.monotonic() - start < 0.5
    followed.server.refused = len(followed.server.opened)


# Streams of real servers


async def check_edits_are_told(url: str, driver: DriverName) -> None:
    store, other = MongoUserStore(url, RULES, driver), MongoUserStore(url, RULES, driver)
    await store.open()
    await other.open()
    told: list[UserSnapshot] = []
    gaps: list[None] = []
    store.follow(told.append, lambda _: None, lambda: gaps.append(None))
    await until_followed(other, told)

    def of_alice() -> list[UserSnapshot]:
        """Return what was told of her; what was written to see whether it is followed may still be told of."""
        return [snapshot for snapshot in told if snapshot.id == "alice"]

    created = await other.create_if_not_exists("alice", new_user(custom={"a.b": "c"}))
    await until(of_alice)
    patched = await other.patch("alice", patch(locale="en"))
    await until(lambda: patched.after.snapshot in told)
    versions = {result.after.snapshot.version for result in (created, patched)}
    assert {snapshot.version for snapshot in of_alice()} <= versions
    assert of_alice()[-1] == patched.after.snapshot != created.after.snapshot
    start = time.monotonic()
    await store.close()
    assert time.monotonic() - start < 3
    await other.close()
    assert gaps == []


async def until_followed(store: MongoUserStore, told: list[UserSnapshot]) -> None:
    """Write until it is told of: a stream counts from when it is open, which takes a moment."""
    for number in range(200):
        await store.patch("probe", patch(name=f"Probe {number}"))
        if told:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("Nothing was told.")


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_edits_on_the_stand_in_are_told(nx: MongoServer, driver: DriverName) -> None:
    await check_edits_are_told(nx.url(), driver)


@pytest.mark.skipif(not REAL_URI, reason="needs a MongoDB replica set: set USERLINE_TEST_MONGODB_URI to its URL")
@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_edits_in_mongodb_are_told(tmp_path: Path, driver: DriverName) -> None:
    await check_edits_are_told(MongoServer("mongodb", tmp_path).url(), driver)
