"""An outage that all gateways share, behind the balancer that is shipped: what can be answered is answered.

USERLINE_TEST_OUTAGES says how often (1), and USERLINE_TEST_OUTAGE_SECONDS how long each is (4).
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support.balancer import Balancer
from tests.support.gateway import RunningGateway, end_all
from tests.support.mongodb import MongoServer
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path

TIMES = int(os.environ.get("USERLINE_TEST_OUTAGES", "1"))
SECONDS = float(os.environ.get("USERLINE_TEST_OUTAGE_SECONDS", "4"))
READ = {"query": '{ user(id: "alice") { name } }'}


class Deployment:
    """Two gateways on one store and one bus, behind a balancer."""

    def __init__(self, directory: Path) -> None:
        self.redis = RedisServer(directory)
        self.mongo = MongoServer("nx-27017", directory)
        self.mongo.start()
        flags = ("--bus-url", self.redis.url, "--store-url", self.mongo.url(), "--no-access-log")
        self.gateways = [RunningGateway(directory, *flags) for _ in range(2)]
        self.balancer = Balancer(directory, [gateway.url.removeprefix("http://") for gateway in self.gateways])

    def stop(self) -> None:
        self.balancer.stop()
        end_all(self.gateways)
        self.mongo.stop()
        self.redis.kill()


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path)
    yield deployment
    deployment.stop()


class Asking:
    """Asks through the balancer without a pause, and keeps what was no answer."""

    def __init__(self, url: str, bodies: list[dict[str, Any]]) -> None:
        self._url = url
        self._bodies = bodies
        self.answered = 0
        self.failures: list[str] = []

    async def during(self, outage: Awaitable[None]) -> None:
        """Ask from the beginning of an outage until after its end."""
        async with httpx.AsyncClient(base_url=self._url, timeout=10) as http:
            asking = [asyncio.create_task(self._ask(http, body)) for body in self._bodies * 2]
            await outage
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, http: httpx.AsyncClient, body: dict[str, Any]) -> None:
        while True:
            answer = await http.post("/graphql", json=body)
            if answer.status_code == 200 and "errors" not in answer.json():
                self.answered += 1
            else:
                self.failures.append(f"{answer.status_code} {answer.text}")
            await asyncio.sleep(0.01)


async def all_say(deployment: Deployment, status: str) -> None:
    await until(lambda: all(g.http.get("/readyz").json()["status"] == status for g in deployment.gateways))
    assert all(gateway.http.get("/readyz").status_code == 200 for gateway in deployment.gateways)


async def outages_are_unnoticed(
    deployment: Deployment, server: RedisServer | MongoServer, bodies: list[dict[str, Any]]
) -> None:
    """Kill a server and start it again, as often as is to be, and see that all that is asked meanwhile is answered."""

    async def outage() -> None:
        server.kill()
        await all_say(deployment, "degraded")
        await asyncio.sleep(SECONDS)
        server.start()
        await all_say(deployment, "ready")

    for _ in range(TIMES):
        asking = Asking(deployment.balancer.url, bodies)
        await asking.during(outage())
        assert not asking.failures
        assert asking.answered > 100


async def test_the_bus_is_away_and_everything_is_answered(deployment: Deployment) -> None:
    deployment.gateways[0].set_user("alice", name="Alice")
    write = {"query": 'mutation { setUser(id: "alice", input: {locale: "de"}) { user { name } } }'}
    await outages_are_unnoticed(deployment, deployment.redis, [READ, write])


async def test_the_store_is_away_and_what_is_held_is_answered(deployment: Deployment) -> None:
    deployment.gateways[0].set_user("alice", name="Alice")
    watching = [await Watching.start(gateway.websocket_url, ["alice"]) for gateway in deployment.gateways]
    await until(lambda: all(each.last("alice") == "Alice" for each in watching))
    await outages_are_unnoticed(deployment, deployment.mongo, [READ])
    assert not any(each.closed for each in watching)
    for each in watching:
        await each.stop()
    for gateway in deployment.gateways:
        about = [line for line in gateway.log.splitlines() if "MongoDB" in line and "[userline.access]" not in line]
        said = ["is not available: " in line or "is available again, after " in line for line in about]
        assert said == [True] * 2 * TIMES, "one line for the beginning of an outage, and one for its end"
