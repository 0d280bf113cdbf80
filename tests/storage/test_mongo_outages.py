"""MongoDB killed, frozen, and back again: answers in time, nothing acknowledged lost, nothing left behind."""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from motor.frameworks import asyncio as motor_asyncio

from tests.storage.contract.base import RULES, get, new_user, patch
from tests.support.mongodb import MongoServer, running_mongo, servers_to_test
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.driver import DriverName
from userline.storage.protocol import UserStore
from userline.users.errors import StoreUnavailable
from userline.users.rules import Limits, Rules

IN_TIME = 2.0
SOON = 2.0
NAMES = [name for name in servers_to_test() if name != "mongodb"]
# H2 syncs in the background, and mongoeco keeps its users in memory.
DURABLE_NAMES = [name for name in NAMES if name not in ("mongo-java-server", "mongoeco")]


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MongoServer]:
    with running_mongo(tmp_path, getattr(request, "param", "nx-27017")) as server:
        yield server


def calls_of_all_kinds(store: UserStore) -> list[Callable[[], Awaitable[object]]]:
    """100 calls: reads, pings, writes of many users and of one."""
    kinds: list[Callable[[int], Awaitable[object]]] = [
        lambda number: store.get_many([f"user {number}", "alice"]),
        lambda _: store.ping(),
        lambda number: store.patch(f"user {number}", patch(name="Bob")),
        lambda number: store.patch("alice", patch(custom={str(number): "x"})),
        lambda number: store.create_if_not_exists(f"new {number}", new_user()),
    ]
    return [lambda number=number: kinds[number % len(kinds)](number) for number in range(100)]  # type: ignore[misc]


async def check_all_unavailable_in_time(store: UserStore) -> None:
    async def ask(call: Callable[[], Awaitable[object]]) -> float:
        start = time.monotonic()
        with pytest.raises(StoreUnavailable, match="not available right now") as caught:
            await call()
        assert caught.value.__cause__ is None
        return time.monotonic() - start

    seconds = await asyncio.gather(*(ask(call) for call in calls_of_all_kinds(store)))
    assert max(seconds) < IN_TIME


async def check_available_soon(store: UserStore) -> None:
    start = time.monotonic()
    while True:
        try:
            await store.ping()
        except StoreUnavailable:
            assert time.monotonic() - start < SOON
        else:
            break
    await asyncio.gather(*(call() for call in calls_of_all_kinds(store)))


@pytest.mark.parametrize(
    ("server", "outage"),
    [*((name, "killed") for name in DURABLE_NAMES), *((name, "frozen") for name in NAMES)],
    indirect=["server"],
)
async def test_outages_are_answered_in_time(
    server: MongoServer, driver: DriverName, outage: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "userline")
    store = MongoUserStore(server.url(), RULES, driver)
    await store.open()
    created = await store.create_if_not_exists("alice", new_user())
    (server.kill if outage == "killed" else server.freeze)()
    for _ in range(2):
        await check_all_unavailable_in_time(store)
    (server.start if outage == "killed" else server.thaw)()
    await check_available_soon(store)
    record = await get(store, "alice")
    assert record is not None
    assert record.created_at == created.after.created_at
    await store.close()
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("userline")]
    assert [f"MongoDB at 127.0.0.1:{server.port} is" in line for line in logged] == [True] * len(logged)
    # Once for the outage, not once a call; coming back, a command of the outage may still fail.
    assert 2 <= len(logged) <= 6


async def test_calls_given_up_are_in_nobodys_way(server: MongoServer, driver: DriverName) -> None:
    store = MongoUserStore(server.url(), RULES, driver)
    await store.open()
    server.freeze()
    outcomes = await asyncio.gather(
        *(store.get_many([f"user {number}"]) for number in range(2000)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    server.thaw()
    start = time.monotonic()
    await store.get_many(["alice"])
    assert time.monotonic() - start < IN_TIME
    await store.close()


@pytest.mark.parametrize("server", DURABLE_NAMES, indirect=True)
async def test_no_acknowledged_write_is_lost(server: MongoServer, driver: DriverName) -> None:
    rules = Rules(Limits(custom_keys=10_000, record_bytes=1_000_000))
    store = MongoUserStore(server.url(), rules, driver)
    await store.open()
    acknowledged: dict[str, tuple[int, int]] = {}
    stopping = False

    async def write(task: int) -> None:
        number = 0
        while not stopping:
            number += 1
            try:
                result = await store.patch(
                    f"user {task % 4}", patch(name="Alice", custom={f"task.{task}": str(number)})
                )
            except StoreUnavailable:
                continue
            assert result.before is None or result.after.snapshot.version > result.before.snapshot.version
            acknowledged[f"task.{task}"] = (number, result.after.snapshot.version)

    tasks = [asyncio.create_task(write(task)) for task in range(16)]
    for _ in range(3):
        await asyncio.sleep(0.4)
        server.kill()
        server.start()
    await asyncio.sleep(1)
    stopping = True
    await asyncio.gather(*tasks)
    await store.close()
    server.kill()
    server.start()
    await store.open()
    assert len(acknowledged) == 16
    for task in range(16):
        record = await get(store, f"user {task % 4}")
        assert record is not None
        number, version = acknowledged[f"task.{task}"]
        assert int(record.snapshot.custom[f"task.{task}"]) >= number
        assert record.snapshot.version >= version
    await store.close()


@pytest.mark.parametrize("outage", ["none", "killed", "frozen"])
async def test_nothing_is_left_behind(server: MongoServer, driver: DriverName, outage: str) -> None:
    tasks = asyncio.all_tasks()
    calls: list[asyncio.Future[object]] = []
    store = MongoUserStore(server.url(), RULES, driver)
    await store.open()
    await store.create_if_not_exists("alice", new_user())
    await asyncio.gather(*(call() for call in calls_of_all_kinds(store)))
    if outage != "none":
        (server.kill if outage == "killed" else server.freeze)()
        calls = [asyncio.ensure_future(call()) for call in calls_of_all_kinds(store)]
        await asyncio.sleep(0.1)
        for call in calls[::2]:
            call.cancel()
    start = time.monotonic()
    await store.close()
    assert time.monotonic() - start < 4
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {StoreUnavailable, asyncio.CancelledError}
    server.thaw()
    del store
    await until(lambda: not threads_of_drivers())
    await until(lambda: asyncio.all_tasks() <= tasks)
    gc.collect()  # what was not closed would warn, and a warning is an error


def threads_of_drivers() -> list[str]:
    """Return the names of threads that a driver runs; Motor's own few stay for the process, and do nothing."""
    assert threading.active_count() < 10 + motor_asyncio.max_workers
    return [thread.name for thread in threading.enumerate() if "pymongo" in thread.name]


async def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_opening_while_it_is_away(
    server: MongoServer, driver: DriverName, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    url = server.url().replace("//", "//alice:hunter2@")
    store = MongoUserStore(url, RULES, driver)
    assert "hunter2" not in repr(store.url)
    for outage in (server.kill, server.freeze):
        outage()
        start = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            await store.open()
        assert time.monotonic() - start < IN_TIME
        assert str(caught.value).startswith(f"MongoDB at 127.0.0.1:{server.port} cannot be used for users: ")
        assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__} {caplog.text}"
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.ping()
        if outage == server.kill:
            assert "[Errno 111] Connect" in str(caught.value)
            assert str(caught.value).endswith(". Start it, or correct the URL of the user store.")
            server.start()
    server.thaw()
    store = MongoUserStore(server.url(), RULES, driver)
    await store.open()
    await store.ping()
    await store.close()


async def test_the_url_says_how_long_a_call_may_take(server: MongoServer, driver: DriverName) -> None:
    store = MongoUserStore(server.url(timeoutMS=300), RULES, driver)
    await store.open()
    server.freeze()
    start = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await store.get_many(["alice"])
    assert 0.25 < time.monotonic() - start < 0.9
    server.thaw()
    await store.close()
