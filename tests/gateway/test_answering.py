"""What is remembered of requests that were answered the short way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from userline.execution.request import GraphQLRequest
from userline.gateway.lane import answering
from userline.gateway.lane.heads import Head
from userline.gateway.runtime import Runtime
from userline.settings.settings import load_settings
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from pathlib import Path

QUERY = "query Many($ids: [ID!]!) { users(ids: $ids) { id } }"


async def test_what_is_remembered_is_bounded_in_number_and_size(tmp_path: Path) -> None:
    runtime = Runtime(load_settings({"store_url": f"sqlite:///{tmp_path}/users.db", "access_log": False}))
    async with runtime.running():
        context = runtime.context("id", OPEN_VIEWER)
        runtime.engine.prepare(GraphQLRequest(QUERY, None, {"ids": []}), context)
        answering_ = runtime.answering
        head = Head(0, None, "id", [], b"")

        async def ask(*user_ids: str) -> None:
            body = orjson.dumps({"query": QUERY, "variables": {"ids": user_ids}})
            taken = answering_.take(head, OPEN_VIEWER, body, {})
            assert taken is not None
            response = taken.response if isinstance(taken.response, bytes) else await taken.response
            assert orjson.loads(response) == {"data": {"users": [None] * len(user_ids)}}

        for number in range(answering._QUERIES + 100):
            await ask(f"user {number}")
        assert len(answering_._queries) == answering._QUERIES
        for number in range(700):
            await ask(*(f"user {number + more:04}" for more in range(300)))
        assert answering._QUERIES_BYTES / 2 < answering_._queries.weight <= answering._QUERIES_BYTES
        assert answering_._queries.weight > sum(map(len, answering_._queries))
        before = list(answering_._queries)
        await ask(*(f"user {more:04}" for more in range(900)))
        assert list(answering_._queries) == before, "it is too large to be remembered"
