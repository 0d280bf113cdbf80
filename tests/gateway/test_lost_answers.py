"""A write whose answer the database lost, at GraphQL's door: what is told of it is true, and everybody hears of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.mongo_wire import LoseAnswer, ReplicaSet
from tests.support.mongodb import MongoServer, new_database
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    redis = RedisServer(tmp_path)
    yield redis
    redis.kill()


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_watchers_at_another_gateway_hear_of_it(
    nx: MongoServer, redis: RedisServer, tmp_path: Path, driver: str
) -> None:
    async with await ReplicaSet.open(nx.port, remembers=False) as replica_set:
        url = replica_set.url(new_database(), timeoutMS=10_000)
        flags = ["--store-url", url, "--mongodb-driver", driver, "--bus-url", redis.url]
        flags += ["--reread-seconds", "600", "--no-access-log"]
        gateways = await asyncio.gather(*(asyncio.to_thread(RunningGateway, tmp_path, *flags) for _ in range(2)))
        watching = await Watching.start(gateways[1].websocket_url, ["alice", "bob"])
        await until(lambda: watching.seen == {"alice": [None], "bob": [None]})
        rules = replica_set.members[0]
        for number in range(3):
            rule = rules.rule(LoseAnswer(), "insert", "update", where=lambda m: m.namespace.endswith(".users"))
            payload = await asyncio.to_thread(gateways[0].set_user, "alice", name=f"Alice {number}")
            assert rule.hits == 1
            assert (payload["created"], payload["changed"]) == (number == 0, True)
            await until(lambda name=f"Alice {number}": watching.last("alice") == name, 5)  # type: ignore[misc]
        rule = rules.rule(LoseAnswer(), "insert", "update", where=lambda m: m.namespace.endswith(".users"))
        batch = {"alice": {"name": "Last"}, "bob": {"name": "Bob"}}
        answer = await asyncio.to_thread(gateways[0].http.put, "/v1/userline/users", json=batch)
        assert (answer.status_code, rule.hits) == (200, 1)
        await until(lambda: (watching.last("alice"), watching.last("bob")) == ("Last", "Bob"), 5)
        assert watching.seen["alice"] == [None, "Alice 0", "Alice 1", "Alice 2", "Last"]
        await watching.stop()
        for gateway in gateways:
            assert await asyncio.to_thread(gateway.stop) == 0
            assert "Traceback" not in gateway.log
