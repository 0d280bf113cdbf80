"""A gateway whose store is killed and started again: answers in time, open sockets, nothing acknowledged lost."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support.gateway import RunningGateway
from tests.support.mongodb import MongoServer
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ = "query($id: ID!) { user(id: $id) { name } }"


pytestmark = pytest.mark.alone


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MongoServer]:
    server = MongoServer("nx-27017", tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def gateway(server: MongoServer, tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path, "--store-url", server.url(), "--no-access-log", "--cache-seconds", "0")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log, running.log


async def ask(http: httpx.AsyncClient, url: str, user_id: str) -> tuple[dict[str, Any], float]:
    started = time.monotonic()
    answer = await http.post(url + "/graphql", json={"query": READ, "variables": {"id": user_id}})
    body: dict[str, Any] = answer.json()
    return body, time.monotonic() - started


async def test_a_store_that_is_killed_and_comes_back(server: MongoServer, gateway: RunningGateway) -> None:
    for number in range(20):
        gateway.set_user(f"user {number}", name=f"Written {number}")
    gateway.set_user("watched", name="Before")
    watching = await Watching.start(gateway.websocket_url, ["watched"])
    await until(lambda: watching.last("watched") == "Before")
    assert gateway.http.get("/readyz").status_code == 200

    server.kill()
    async with httpx.AsyncClient(timeout=30) as http:
        answers = await asyncio.gather(*(ask(http, gateway.url, f"unknown {number}") for number in range(100)))
        for body, seconds in answers:
            assert body["errors"][0]["extensions"]["code"] == "STORE_UNAVAILABLE"
            # The store answers for itself within 2 s; a hundred requests take this machine a moment of their own.
            assert seconds < 4
        held, _ = await ask(http, gateway.url, "watched")
        assert held == {"data": {"user": {"name": "Before"}}}
        assert gateway.http.get("/readyz").json() == {"status": "degraded", "store": "unavailable", "bus": "ok"}
        assert gateway.http.get("/healthz").status_code == 200
        assert not watching.closed

        server.start()
        await until(lambda: gateway.http.get("/readyz?strict=1").status_code == 200)
        for number in range(20):
            body, _ = await ask(http, gateway.url, f"user {number}")
            assert body == {"data": {"user": {"name": f"Written {number}"}}}
    gateway.set_user("watched", name="After")
    await until(lambda: watching.last("watched") == "After")
    assert watching.seen["watched"] == ["Before", "After"]
    await watching.stop()
