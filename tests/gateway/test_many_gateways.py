"""Several gateways, one store, one Redis: they behave as one, whatever happens to Redis and to each other."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import httpx
import pytest
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from pathlib import Path

LONG = os.environ.get("USERLINE_TEST_LONG") == "1"

SET = "mutation($id: ID!, $name: String!) { setUser(id: $id, input: {name: $name}) { changed } }"
CREATE = 'mutation($id: ID!) { createUserIfNotExists(id: $id, input: {name: "0"}) { created } }'

Watch: TypeAlias = Callable[[RunningGateway, list[str]], Awaitable[Watching]]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def gateways(tmp_path: Path, redis: RedisServer) -> Iterator[list[RunningGateway]]:
    running = [
        RunningGateway(tmp_path, "--bus-url", redis.url, "--no-access-log", "--reread-seconds", "20") for _ in range(3)
    ]
    yield running
    for gateway in running:
        if gateway.process.poll() is None:
            assert gateway.stop() == 0, gateway.log
        assert "Traceback" not in gateway.log, gateway.log


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    started: list[Watching] = []

    async def start(gateway: RunningGateway, user_ids: list[str]) -> Watching:
        watching = await Watching.start(gateway.websocket_url, user_ids)
        started.append(watching)
        await until(lambda: all(watching.seen.values()))
        return watching

    yield start
    for watching in started:
        await watching.stop()


async def edit(gateways: list[RunningGateway], user_ids: list[str], edits: int, pause: float = 0.0) -> dict[str, int]:
    """Edit users through random gateways, each user's edits one after the other; return each one's last number."""
    chance = random.Random(7)

    async def edit_one(user_id: str) -> int:
        for number in range(1, edits + 1):
            answer = await http.post(
                chance.choice(gateways).url + "/graphql",
                json={"query": SET, "variables": {"id": user_id, "name": str(number)}},
            )
            assert answer.json() == {"data": {"setUser": {"changed": True}}}
            await asyncio.sleep(chance.uniform(0, pause))
        return edits

    async with httpx.AsyncClient(timeout=30) as http:
        numbers = await asyncio.gather(*(edit_one(user_id) for user_id in user_ids))
    return dict(zip(user_ids, numbers, strict=True))


def assert_in_order(watching: Watching) -> None:
    for user_id, names in watching.seen.items():
        numbers = [0 if name is None else int(name) for name in names]
        assert numbers == sorted(set(numbers)), f"{user_id}: {numbers}"


async def converge(watchers: list[Watching], last: dict[str, int], seconds: float) -> float:
    """Wait until every watcher has seen the last edit of every user; return how long that took."""
    started = time.monotonic()
    for watching in watchers:
        for user_id, number in last.items():
            await until(lambda w=watching, u=user_id, n=str(number): w.last(u) == n, seconds)  # type: ignore[misc]
        assert_in_order(watching)
        assert not watching.closed
    return time.monotonic() - started


async def test_a_thousand_edits_reach_every_watcher_in_order(gateways: list[RunningGateway], watch: Watch) -> None:
    users = [f"user {number}" for number in range(20)]
    watchers = [await watch(gateway, users) for gateway in gateways]
    last = await edit(gateways, users, 50)
    await converge(watchers, last, 10)


@pytest.mark.parametrize("seconds", [1, 10, 60] if LONG else [1, 5])
async def test_while_redis_is_dead(
    redis: RedisServer, gateways: list[RunningGateway], watch: Watch, seconds: float
) -> None:
    users = [f"user {number}" for number in range(10)]
    watchers = [await watch(gateway, users) for gateway in gateways]
    editing = asyncio.create_task(edit(gateways, users, 100, pause=seconds / 50))
    await asyncio.sleep(0.3)
    redis.kill()
    await until(lambda: gateways[0].http.get("/readyz").status_code == 503)
    await asyncio.sleep(seconds)
    redis.start()
    for gateway in gateways:
        await until(lambda gateway=gateway: gateway.http.get("/readyz").status_code == 200)  # type: ignore[misc]
    last = await editing
    # Well within the period of the slow re-read (20 s): the gap itself is closed by reading again at once.
    assert await converge(watchers, last, 10) < 10


async def test_while_redis_kills_its_clients(redis: RedisServer, gateways: list[RunningGateway], watch: Watch) -> None:
    users = [f"user {number}" for number in range(10)]
    watchers = [await watch(gateway, users) for gateway in gateways]
    editing = asyncio.create_task(edit(gateways, users, 100, pause=0.05))
    for _ in range(50):
        await asyncio.to_thread(redis.command, "CLIENT", "KILL", "TYPE", "pubsub")
        await asyncio.sleep(0.05)
    await converge(watchers, await editing, 10)


async def test_while_redis_is_frozen(redis: RedisServer, gateways: list[RunningGateway], watch: Watch) -> None:
    users = [f"user {number}" for number in range(5)]
    watchers = [await watch(gateway, users) for gateway in gateways]
    redis.freeze()
    try:
        started = time.monotonic()
        last = await edit(gateways, users, 20)
        assert time.monotonic() - started < 10, "writes do not wait for Redis"
        await until(lambda: all(gateway.http.get("/readyz").status_code == 503 for gateway in gateways))
    finally:
        redis.thaw()
    await converge(watchers, last, 10)


async def test_a_gateway_that_dies_before_it_tells_costs_no_more_than_a_reread(
    tmp_path: Path, redis: RedisServer, watch: Watch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    another_redis = RedisServer(elsewhere)
    healthy = RunningGateway(tmp_path, "--bus-url", redis.url, "--reread-seconds", "2")
    # What this one publishes reaches nobody, as if it died each time before it could.
    mute = RunningGateway(tmp_path, "--bus-url", another_redis.url)
    watching = await watch(healthy, ["alice"])
    last = await edit([mute], ["alice"], 5)
    mute.kill()
    await converge([watching], last, 10)
    assert healthy.stop() == 0
    another_redis.kill()


async def test_a_gateway_that_is_killed_takes_nobody_with_it(gateways: list[RunningGateway], watch: Watch) -> None:
    users = [f"user {number}" for number in range(10)]
    watchers = [await watch(gateway, users) for gateway in gateways[:2]]
    await edit(gateways, users, 10)
    gateways[2].kill()
    last = await edit(gateways[:2], [f"user {number}" for number in range(10, 15)], 10)
    more = await watch(gateways[0], list(last))
    await converge([more], last, 10)
    await converge(watchers, dict.fromkeys(users, 10), 10)


async def test_two_hundred_first_subscribers_at_once(gateways: list[RunningGateway]) -> None:
    watchers = await asyncio.gather(
        *(Watching.start(gateways[number % 3].websocket_url, ["popular"]) for number in range(200))
    )
    try:
        await until(lambda: all(watching.seen["popular"] == [None] for watching in watchers), 30)
        await edit(gateways, ["popular"], 1)
        await until(lambda: all(watching.seen["popular"] == [None, "1"] for watching in watchers), 30)
    finally:
        await asyncio.gather(*(watching.stop() for watching in watchers))


async def test_a_hundred_creations_at_once_create_one_user(gateways: list[RunningGateway], watch: Watch) -> None:
    watchers = [await watch(gateway, ["contested"]) for gateway in gateways]
    async with httpx.AsyncClient(timeout=30) as http:
        answers = await asyncio.gather(
            *(
                http.post(
                    gateways[number % 3].url + "/graphql",
                    json={"query": CREATE, "variables": {"id": "contested"}},
                )
                for number in range(100)
            )
        )
    created = [answer.json()["data"]["createUserIfNotExists"]["created"] for answer in answers]
    assert sorted(created) == [False] * 99 + [True]
    await edit(gateways[:1], ["contested"], 1)
    for watching in watchers:
        await until(lambda watching=watching: watching.last("contested") == "1")  # type: ignore[misc]
        assert watching.seen["contested"] == [None, "0", "1"]


async def test_what_a_gateway_has_shown_it_never_takes_back(gateways: list[RunningGateway]) -> None:
    read = '{ user(id: "seen") { name } }'
    shown = dict.fromkeys((gateway.url for gateway in gateways), 0)
    editing = asyncio.create_task(edit(gateways, ["seen"], 100))
    async with httpx.AsyncClient(timeout=30) as http:
        while not editing.done():
            for url in shown:
                body = (await http.post(url + "/graphql", json={"query": read})).json()
                user = body["data"]["user"]
                number = int(user["name"]) if user else 0
                assert number >= shown[url]
                shown[url] = number
    await editing
    for gateway in gateways:
        await until(lambda gateway=gateway: gateway.data(read)["user"]["name"] == "100")  # type: ignore[misc]
