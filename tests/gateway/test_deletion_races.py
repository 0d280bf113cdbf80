"""Users who are created, written and deleted at the same moment through several gateways: all agree on what is left."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.chaos.deployment import deployed
from tests.support.user_operations import CREATE, DELETE, READ, SET, VERSIONS
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.deployment import Deployment

USERS = 12
AT_ONCE = 10


async def ask(deployment: Deployment, http: httpx.AsyncClient, gateway: int, query: str, **variables: str) -> Any:
    body = {"query": query, "variables": variables}
    answer = (await http.post(deployment.gateways[gateway].url + "/graphql", json=body)).json()
    assert "errors" not in answer, answer
    return next(iter(answer["data"].values()))


@pytest.mark.parametrize("store", ["sqlite", "nx-27017/motor", "nx-27017/pymongo"])
@pytest.mark.parametrize("seed", range(int(os.environ.get("USERLINE_TEST_RACES", "1"))))
async def test_what_is_left_is_explained_by_an_order(tmp_path: Path, store: str, seed: int) -> None:
    chance = Random(f"{store} {seed}")
    # So long that nothing but the bus can be in time.
    async with AsyncExitStack() as stack:
        deployment = await stack.enter_async_context(deployed(tmp_path, store, reread_seconds=300))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, headers=deployment.headers))
        users = [f"user {number}" for number in range(USERS)]
        watchers = [
            await Watching.start(each.websocket_url, users, token=deployment.token_of(None), query=VERSIONS)
            for each in deployment.gateways
        ]
        for watching in watchers:
            stack.push_async_callback(watching.stop)
        await until(lambda: all(all(each.seen.values()) for each in watchers), 30)
        made = dict.fromkeys(users, 0)
        """How often a user was created, less how often one was deleted."""
        names: dict[str, dict[str, str]] = {user_id: {} for user_id in users}
        """The names that answers had, by their versions: what others have written since may be in an answer already."""

        async def act(user_id: str, query: str, name: str) -> None:
            gateway = chance.randrange(len(deployment.gateways))
            variables = {"id": user_id} if query == DELETE else {"id": user_id, "name": name}
            done = await ask(deployment, http, gateway, query, **variables)
            if query == DELETE:
                made[user_id] -= done["deleted"]
                return
            made[user_id] += done["created"]
            if done["user"] is not None:
                shown = done["user"]["name"]
                assert names[user_id].setdefault(done["user"]["version"], shown) == shown, "one version is one state"

        for turn in range(3):
            acts = [
                act(user_id, chance.choice((SET, CREATE, DELETE)), f"{turn} {number}")
                for user_id in users
                for number in range(AT_ONCE)
            ]
            chance.shuffle(acts)
            await asyncio.gather(*acts)
            for user_id in users:
                left = [await ask(deployment, http, each, READ, id=user_id) for each in range(len(watchers))]
                await until(lambda u=user_id, v=left[0] and left[0]["version"]: all(w.last(u) == v for w in watchers))  # type: ignore[misc]
                left = [await ask(deployment, http, each, READ, id=user_id) for each in range(len(watchers))]
                assert left == [left[0]] * len(watchers)
                assert made[user_id] == (left[0] is not None), "each deletion ends one creation"
                if left[0] is not None:
                    latest = max(names[user_id], key=int)
                    assert left[0] == {"name": names[user_id][latest], "version": latest}
        for watching in watchers:
            for versions in watching.seen.values():
                seen = [int(version) for version in versions if version is not None]
                assert seen == sorted(seen)
