"""Users who come and go while they are deleted and created again through two gateways: all are told the last state."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from random import Random
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.gateway.test_presence import online, watching
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer
from tests.support.tokens import SECRET, token_of
from tests.support.user_operations import DELETE
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.alone

CREATE = 'mutation($id: ID!) { createUserIfNotExists(id: $id, input: {name: "Here"}) { created } }'
USERS = [f"user {number}" for number in range(6)]


async def nothing(*_: object) -> None:
    """The bus works."""


async def lost(redis: RedisServer, _: list[RunningGateway]) -> None:
    """The bus is lost, with all that was published."""
    redis.kill()
    await asyncio.sleep(0.5)
    redis.start()


async def frozen(redis: RedisServer, gateways: list[RunningGateway]) -> None:
    """The bus answers nothing, with every connection open, until the gateways have noticed; then it goes on."""
    redis.freeze()
    await until(lambda: not any(gateway.metric("userline_bus_connected") for gateway in gateways), 30)
    redis.thaw()


async def frozen_again_and_again(redis: RedisServer, gateways: list[RunningGateway]) -> None:  # noqa: ARG001 - as the others
    """It is frozen for less long than gateways need to notice: what was published comes late, and all at once."""
    for _ in range(6):
        redis.freeze()
        await asyncio.sleep(0.3)
        redis.thaw()
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("trouble", [nothing, lost, frozen, frozen_again_and_again])
async def test_who_is_connected_while_users_are_deleted_and_created(  # noqa: C901 - it is one story
    tmp_path: Path, trouble: Callable[[RedisServer, list[RunningGateway]], Awaitable[None]]
) -> None:
    chance = Random(trouble.__name__)
    redis = RedisServer(tmp_path)
    flags = ("--bus-url", redis.url, "--presence-seconds", "2", "--reread-seconds", "1", "--rate-limit-per-second", "0")
    gateways = [RunningGateway(tmp_path, *flags, env={"USERLINE_SECRET": SECRET}) for _ in range(2)]
    headers = {"Authorization": f"Bearer {token_of(None)}"}
    try:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(httpx.AsyncClient(timeout=30, headers=headers))
            watchers = [await stack.enter_async_context(watching(each, *USERS)) for each in gateways]

            async def ask(query: str, user_id: str) -> None:
                body = {"query": query, "variables": {"id": user_id}}
                answer = (await http.post(chance.choice(gateways).url + "/graphql", json=body)).json()
                assert "errors" not in answer, answer

            async def live(user_id: str) -> None:
                for _ in range(4):
                    async with online(chance.choice(gateways), user_id):
                        await asyncio.gather(*(ask(chance.choice((CREATE, DELETE)), user_id) for _ in range(3)))

            async def suffer() -> None:
                await asyncio.sleep(0.2)
                await trouble(redis, gateways)

            async with AsyncExitStack() as sessions:
                await asyncio.gather(suffer(), *map(live, USERS))
                for number, user_id in enumerate(USERS):
                    await ask((CREATE, DELETE)[number % 2], user_id)
                for user_id in USERS[:4]:
                    await sessions.enter_async_context(online(chance.choice(gateways), user_id))
                for number, user_id in enumerate(USERS):
                    last = (number < 4, None if number % 2 else "Here")
                    await until(lambda u=user_id, e=last: all(w.seen[u][-1] == e for w in watchers), 30)  # type: ignore[misc]
            for user_id in USERS:
                await until(lambda u=user_id: not any(w.of(u)[-1] for w in watchers), 30)  # type: ignore[misc]
            assert [gateway.metric("userline_connected_users") for gateway in gateways] == [1, 1], "the watcher"
        for gateway in gateways:
            assert gateway.stop() == 0, gateway.log
            assert "Traceback" not in gateway.log, gateway.log
    finally:
        for gateway in gateways:
            if gateway.process.poll() is None:
                gateway.kill()
        redis.kill()
