"""Several gateways, one store, one bus: they behave as one, whatever happens to the bus and to each other."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio
from tests.gateway.many.playing import PLAIN, plain_deployment, play
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.chaos.deployment import Deployment

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE = 'mutation($id: ID!) { createUserIfNotExists(id: $id, input: {name: "0"}) { created } }'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    async with plain_deployment(tmp_path_factory.mktemp("many"), "redis") as deployment:
        yield deployment


@pytest.mark.parametrize("name", PLAIN)
async def test_edits_reach_every_watcher_in_order(deployment: Deployment, name: str) -> None:
    await play(name, deployment)


async def test_two_hundred_first_subscribers_at_once(deployment: Deployment) -> None:
    watchers = await asyncio.gather(
        *(
            Watching.start(deployment.gateways[number % 3].websocket_url, ["popular"], token=deployment.token_of(None))
            for number in range(200)
        )
    )
    try:
        await until(lambda: all(watching.seen["popular"] == [None] for watching in watchers), 30)
        await deployment.edit(["popular"], 1)
        await until(lambda: all(watching.seen["popular"] == [None, "1"] for watching in watchers), 30)
    finally:
        await asyncio.gather(*(watching.stop() for watching in watchers))


async def test_a_hundred_creations_at_once_create_one_user(deployment: Deployment) -> None:
    (contested,) = await deployment.watch(1)
    async with httpx.AsyncClient(timeout=30, headers=deployment.headers) as http:
        answers = await asyncio.gather(
            *(
                http.post(
                    deployment.gateways[number % 3].url + "/graphql",
                    json={"query": CREATE, "variables": {"id": contested}},
                )
                for number in range(100)
            )
        )
    created = [answer.json()["data"]["createUserIfNotExists"]["created"] for answer in answers]
    assert sorted(created) == [False] * 99 + [True]
    await deployment.edit([contested], 1)
    await deployment.converge(time.monotonic())
    for watching in deployment.watchers:
        assert watching.seen[contested] == [None, "0", "1"]


async def test_what_a_gateway_has_shown_it_never_takes_back(deployment: Deployment) -> None:
    read = '{ user(id: "seen") { name } }'
    shown = dict.fromkeys((gateway.url for gateway in deployment.gateways), 0)
    editing = asyncio.create_task(deployment.edit(["seen"], 100))
    async with httpx.AsyncClient(timeout=30, headers=deployment.headers) as http:
        while not editing.done():
            for url in shown:
                body = (await http.post(url + "/graphql", json={"query": read})).json()
                user = body["data"]["user"]
                number = int(user["name"]) if user else 0
                assert number >= shown[url]
                shown[url] = number
    await editing
    for gateway in deployment.gateways:
        gateway.http.headers.update(deployment.headers)
        await until(lambda gateway=gateway: gateway.data(read)["user"]["name"] == "100")  # type: ignore[misc]


async def test_a_gateway_that_is_killed_takes_nobody_with_it(deployment: Deployment) -> None:
    """The last test here, because the deployment has two gateways afterwards."""
    users = await deployment.watch(10, on=2)
    await deployment.edit(users, 10)
    deployment.gateways.pop().kill()
    await deployment.edit(users, 10)
    assert await deployment.converge(time.monotonic()) < 10
