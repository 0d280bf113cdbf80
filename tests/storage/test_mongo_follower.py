"""Following a change stream whatever comes in between: what happened last is heard, or a gap is told."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.mongo_wire import (
    Answer,
    Close,
    Hang,
    LoseAnswer,
    Message,
    Rewrite,
    ScriptedStream,
    WireProxy,
    error,
)
from tests.support.mongo_wire.rules import Action
from tests.support.waiting import until
from userline.storage.mongo import change_stream
from userline.storage.mongo.change_stream import ChangeFollower
from userline.storage.mongo.driver import DRIVERS, DriverName
from userline.storage.mongo.url import parse_mongo_url
from userline.users.record import UserSnapshot

CODES = [1, 13, 43, 50, 59, 89, 91, 136, 189, 211, 222, 237, 260, 280, 286, 8000, 10107, 10334, 11600, 11602]
CODES += [13435, 16500, 40573]
LABELS: list[list[str]] = [[], ["ResumableChangeStreamError"], ["NonResumableChangeStreamError"]]


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what takes seconds take less."""
    monkeypatch.setattr(change_stream, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(change_stream, "_LONGEST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(change_stream, "_PAUSE_WITHOUT_STREAMS_SECONDS", 0.1)
    monkeypatch.setattr(change_stream, "_AWAIT_SECONDS", 0.1)
    monkeypatch.setattr(change_stream, "_OPEN_SECONDS", 0.4)
    monkeypatch.setattr(change_stream, "PATIENCE_SECONDS", 0.7)


def is_resume(message: Message) -> bool:
    return any("resumeAfter" in each.get("$changeStream", {}) for each in message.documents("pipeline"))


class Followed:
    """One user as somebody sees it who hears of changes, and reads the user again after a gap."""

    def __init__(self, stream: ScriptedStream) -> None:
        self._stream = stream
        self.version = 0
        self.gaps = 0

    def hear(self, snapshot: UserSnapshot) -> None:
        self.version = max(self.version, snapshot.version)

    def miss(self) -> None:
        self.gaps += 1
        versions = [event["fullDocument"]["version"] for event in self._stream.events if "fullDocument" in event]
        self.version = max([self.version, *versions])

    async def sees(self, version: int, seconds: float = 15) -> None:
        await until(lambda: self.version == version, seconds)


@asynccontextmanager
async def followed(
    driver: DriverName, stream: ScriptedStream, **options: object
) -> AsyncIterator[tuple[Followed, WireProxy]]:
    async with await WireProxy.open(players=[stream]) as proxy:
        url = parse_mongo_url(proxy.url("userline", retryReads="false", **options))
        client = DRIVERS[driver](url)
        told = Followed(stream)
        follower = ChangeFollower(client.watch, told.hear, lambda _: None, told.miss, seconds=url.seconds)
        follower.start()
        try:
            # A stream counts from when it is open.
            await until(lambda: stream.awaits)
            yield told, proxy
        finally:
            start = time.monotonic()
            await follower.stop()
            assert time.monotonic() - start < 1 + url.seconds + change_stream._OPEN_SECONDS
            await client.close()


@pytest.mark.parametrize("milliseconds", [100, 300, 1000, 1500])
async def test_a_busy_oplog_is_given_the_time_that_it_takes(
    driver: DriverName, milliseconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of an ordinary call is none of a resume's."""
    monkeypatch.setattr(change_stream, "_OPEN_SECONDS", 3.0)
    stream = ScriptedStream()
    async with followed(driver, stream, timeoutMS=milliseconds) as (told, _):
        await stream.change("alice", 1)
        await told.sees(1)
        stream.scan_seconds = milliseconds / 1000 + 0.3
        await stream.kill_cursors()
        await stream.change("alice", 2)
        await told.sees(2)
        assert told.gaps == 0


async def test_an_oplog_that_is_too_busy_is_a_gap(driver: DriverName, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "userline")
    stream = ScriptedStream()
    async with followed(driver, stream, timeoutMS=200) as (told, _):
        await stream.change("alice", 1)
        await told.sees(1)
        stream.scan_seconds = 1000
        await stream.kill_cursors()
        await stream.change("alice", 2)
        await told.sees(2)
        assert told.gaps == 1
        assert stream.opened[-1] is None
        assert len(stream.resumes) >= change_stream.MOST_REFUSALS
        await stream.change("alice", 3)
        await told.sees(3)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "within USERLINE_REREAD_SECONDS" in caplog.text


async def test_an_event_that_is_too_large_is_a_gap(driver: DriverName) -> None:
    stream = ScriptedStream()
    async with followed(driver, stream) as (told, _):
        await stream.change("alice", 1)
        await told.sees(1)
        stream.too_large = {1}
        await stream.change("alice", 2)
        await stream.change("alice", 3)
        await told.sees(3)
        assert told.gaps == 1
        await stream.change("alice", 4)
        await told.sees(4)


@pytest.mark.parametrize("milliseconds", [100, 500, 1000])
async def test_a_short_time_of_calls_does_not_make_it_deaf(
    driver: DriverName, milliseconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for a change takes longer than a call may, and that is no failure."""
    monkeypatch.setattr(change_stream, "_AWAIT_SECONDS", 1.2)
    stream = ScriptedStream()
    async with followed(driver, stream, timeoutMS=milliseconds) as (told, proxy):
        await asyncio.sleep(1.5)
        assert proxy.names().count("aggregate") == 1
        await stream.change("alice", 1)
        await told.sees(1)
        assert told.gaps == 0
        assert set(stream.awaits) == {1200}


async def check_each_code(check: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Check all codes, some at once: each follower with Motor keeps one of its threads."""
    places = asyncio.Semaphore(4)

    async def one(code: int) -> None:
        async with places:
            await check(code)

    async with asyncio.TaskGroup() as group:
        for code in CODES:
            group.create_task(one(code))


@pytest.mark.parametrize("labels", LABELS, ids=["plain", "resumable", "lost"])
async def test_whatever_a_resume_is_refused_with(driver: DriverName, labels: list[str]) -> None:
    """For ever, where it goes on with what it has; beginning anew works."""

    async def check(code: int) -> None:
        stream = ScriptedStream()
        async with followed(driver, stream) as (told, proxy):
            await stream.change("alice", 1)
            await told.sees(1)
            rule = proxy.rule(Answer(error(code, labels=labels)), "aggregate", where=is_resume, times=None)
            await stream.kill_cursors()
            await stream.change("alice", 2)
            await told.sees(2)
            assert told.gaps == 1, code
            assert rule.hits >= 1
            await stream.change("alice", 3)
            await told.sees(3)
            assert told.gaps == 1

    await check_each_code(check)


@pytest.mark.parametrize("labels", LABELS, ids=["plain", "resumable", "lost"])
async def test_whatever_asking_for_more_is_answered_with(driver: DriverName, labels: list[str]) -> None:
    async def check(code: int) -> None:
        stream = ScriptedStream()
        async with followed(driver, stream) as (told, proxy):
            await stream.change("alice", 1)
            await told.sees(1)
            proxy.rule(Answer(error(code, labels=labels)), "getMore", times=2)
            await stream.change("alice", 2)
            await told.sees(2)
            await stream.change("alice", 3)
            await told.sees(3)

    await check_each_code(check)


@pytest.mark.parametrize("action", [Close(), LoseAnswer(), Hang(), Hang(after_effect=True)], ids=repr)
@pytest.mark.parametrize("command", ["aggregate", "getMore"])
async def test_connections_that_break_whenever_it_goes_on(driver: DriverName, action: Action, command: str) -> None:
    stream = ScriptedStream()
    async with followed(driver, stream, timeoutMS=200) as (told, proxy):
        await stream.change("alice", 1)
        await told.sees(1)
        where = is_resume if command == "aggregate" else None
        proxy.rule(action, command, where=where, times=None if where else 3)
        await stream.kill_cursors()
        await stream.change("alice", 2)
        await told.sees(2)


async def test_an_election_is_no_gap(driver: DriverName) -> None:
    stream = ScriptedStream()
    async with followed(driver, stream, timeoutMS=300) as (told, proxy):
        await stream.change("alice", 1)
        await told.sees(1)
        proxy.refuse(connections=True)
        await stream.change("alice", 2)
        await asyncio.sleep(0.5)
        proxy.refuse(connections=False)
        await told.sees(2)
        assert told.gaps == 0


@pytest.mark.parametrize("code", [13, 59, 136, 40573, 40324])
async def test_where_there_is_no_stream_it_is_said_once_and_looked_again(
    driver: DriverName, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "userline")
    stream = ScriptedStream()
    async with await WireProxy.open(players=[stream]) as proxy:
        rule = proxy.rule(Answer(error(code)), "aggregate", times=3)
        url = parse_mongo_url(proxy.url("userline"))
        client, told = DRIVERS[driver](url), Followed(stream)
        follower = ChangeFollower(client.watch, told.hear, lambda _: None, told.miss)
        follower.start()
        await stream.change("alice", 1)
        await told.sees(1)
        assert (rule.hits, told.gaps) == (3, 1)
        await follower.stop()
        await client.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert f"(code {code})" in caplog.text


@pytest.mark.parametrize("lost", [True, False])
async def test_a_dropped_collection_and_a_lost_history(driver: DriverName, lost: bool) -> None:
    stream = ScriptedStream()
    async with followed(driver, stream) as (told, _):
        await stream.change("alice", 1)
        await told.sees(1)
        if lost:
            stream.lose_history()
            await stream.kill_cursors()
        else:
            await stream.invalidate()
        await stream.change("alice", 2)
        await told.sees(2)
        assert told.gaps == 1


failures = st.one_of(
    st.builds(lambda code, labels: Answer(error(code, labels=labels)), st.sampled_from(CODES), st.sampled_from(LABELS)),
    st.sampled_from([Close(), LoseAnswer(), Rewrite(lambda _: {"ok": 0.0, "errmsg": "no code"})]),
)
steps = st.one_of(
    st.just(("change",)),
    st.just(("change",)),
    st.just(("kill",)),
    st.just(("invalidate",)),
    st.just(("breathe",)),
    st.tuples(st.just("fail"), st.sampled_from(["aggregate", "getMore"]), failures, st.integers(1, 4)),
    st.tuples(st.just("refuse resumes"), failures),
    st.tuples(st.just("too large"), st.integers(0, 3)),
    st.tuples(st.just("lose"), st.integers(0, 1)),
    st.tuples(st.just("busy"), st.sampled_from([0.05, 1000.0])),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.lists(steps, min_size=1, max_size=8), driver=st.sampled_from(["pymongo", "motor"]), tokens=st.booleans()
)
# It begins anew right before an event that will be too large, and is not there yet.
@example(
    script=[
        *(("change",), ("breathe",), ("refuse resumes", Close()), ("kill",), ("change",), ("too large", 1)),
        *(("busy", 0.05), ("fail", "aggregate", Close(), 1)),
    ],
    driver="motor",
    tokens=True,
)
async def test_the_last_change_is_always_seen(script: list[tuple[Any, ...]], driver: DriverName, tokens: bool) -> None:
    stream = ScriptedStream(post_batch_tokens=tokens)
    async with followed(driver, stream, timeoutMS=200) as (told, proxy):
        play: dict[str, Callable[[], Awaitable[None]]] = {
            "change": lambda: stream.change("alice", len(stream.events) + 1),
            "kill": stream.kill_cursors,
            "invalidate": stream.invalidate,
            "breathe": lambda: asyncio.sleep(0.05),
        }
        for step in script:
            match step:
                case (name,):
                    await play[name]()
                case ("fail", command, action, times):
                    proxy.rule(action, command, times=times)
                case ("refuse resumes", action):
                    proxy.rule(action, "aggregate", where=is_resume, times=None)
                case ("too large", ahead):
                    stream.too_large.add(len(stream.events) + ahead)
                case ("busy", seconds):
                    stream.scan_seconds = seconds
                case ("lose", ahead):
                    stream.horizon = len(stream.events) + ahead
        for _ in range(5):  # past every event that is too large
            await stream.change("alice", version := len(stream.events) + 1)
            await told.sees(version, seconds=20)
