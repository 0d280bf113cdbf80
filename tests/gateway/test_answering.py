"""What is remembered of requests whose operation is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from userline.execution.request import GraphQLRequest
from userline.gateway.answering import known
from userline.gateway.answering.known import ReadBody
from userline.gateway.answering.meaning import Meaning
from userline.gateway.runtime import Runtime
from userline.settings.settings import load_settings
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from pathlib import Path

QUERY = "query Many($ids: [ID!]!) { users(ids: $ids) { id } }"


async def test_what_is_remembered_is_bounded_in_number_and_size(tmp_path: Path) -> None:
    runtime = Runtime(load_settings({"store_url": f"sqlite:///{tmp_path}/users.db", "access_log": False}))
    async with runtime.running():
        context = runtime.answering.context("id", OPEN_VIEWER)
        runtime.engine.prepare(GraphQLRequest(QUERY, None, {"ids": []}), context)
        bodies = runtime.answering._bodies
        head = Meaning(is_understood=True, request_id="id")

        async def ask(*user_ids: str) -> None:
            body = orjson.dumps({"query": QUERY, "variables": {"ids": user_ids}})
            begun = runtime.answering.begin(head, OPEN_VIEWER, body, None, runtime.answering.known_body(body))
            assert begun is not None
            assert not isinstance(begun, ReadBody)
            response = begun[1] if isinstance(begun[1], bytes) else await begun[1]
            assert orjson.loads(response) == {"data": {"users": [None] * len(user_ids)}}

        for number in range(known._QUERIES + 100):
            await ask(f"user {number}")
        assert len(bodies._queries) == known._QUERIES
        for number in range(700):
            await ask(*(f"user {number + more:04}" for more in range(300)))
        assert known._QUERIES_BYTES / 2 < bodies._queries.weight <= known._QUERIES_BYTES
        assert bodies._queries.weight > sum(map(len, bodies._queries))
        before = list(bodies._queries)
        await ask(*(f"user {more:04}" for more in range(900)))
        assert list(bodies._queries) == before, "it is too large to be remembered"
