"""Plans, the fast lane, the shortcut and graphql-core answer generated operations alike, byte for byte.

USERLINE_TEST_OPERATIONS says how many operations are generated, USERLINE_TEST_SEED with which seed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import Counter
from contextlib import AsyncExitStack, aclosing
from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from tests.support.operations import Maker
from tests.support.rewriting import Rewriter, Rewritten
from tests.support.stores import MemoryStore

from userline.execution.general_subscription import GeneralSubscription
from userline.execution.operation import RequestRefused, SubscriptionFailed
from userline.execution.plans.planned import PlannedSubscription
from userline.execution.request import parse_request
from userline.gateway import runtime as runtime_module
from userline.gateway.entry import AsgiEntry
from userline.gateway.runtime import Runtime
from userline.schema.served import served_schema, served_subgraph
from userline.server.at_once import Left
from userline.server.heads import parse_head
from userline.server.repeated import Whole
from userline.settings.settings import load_settings
from userline.users.errors import StoreUnavailable
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message

pytestmark = pytest.mark.usefixtures("no_settings")

OPERATIONS = int(os.environ.get("USERLINE_TEST_OPERATIONS", "2000"))
SEED = int(os.environ.get("USERLINE_TEST_SEED", "1"))
USES = int(os.environ.get("USERLINE_TEST_USES", "10"))
"""How many sets of variables each document is tried with."""

PATIENCE = 30
"""How long the first event of a subscription is waited for: it comes at once, also of those who are not there."""

ANN = b'{"query":"mutation { setUser(id: \\"ann\\", input: {name: \\"Ann\\"}) { created } }"}'


class Way:
    """One way to answer: a gateway of its own, with a store of its own."""

    def __init__(self, name: str, *, plans: bool, **more: Any) -> None:
        self.name = name
        self.runtime = Runtime(load_settings({"access_log": False, "plans": plans, "rate_limit_per_second": 0} | more))
        self.store.clock = lambda: 1_700_000_000_000  # versions are the same everywhere
        app = self.runtime.make_app()
        self.app: ASGIApp = app
        """The whole application, with all its doors."""
        self._app: ASGIApp = app
        if name != "shortcut" and isinstance(app, AsgiEntry):
            self._app = app.app
        self._lane = self.runtime.lane if name == "lane" else None

    @property
    def store(self) -> Any:
        return self.runtime.store

    async def answer(self, body: bytes, token: str = "") -> bytes:
        """Return the body of the answer to a request."""
        if self._lane is not None:
            shown = f"authorization: Bearer {token}\r\n".encode() if token else b""
            head = (
                b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n%b"
                b"x-request-id: same-for-all\r\ncontent-length: %d\r\n\r\n" % (shown, len(body))
            )
            answer = self._lane.answer(Whole(parse_head(head), body), ("127.0.0.1", 1), [])
            if answer is not None and not isinstance(answer, Left):
                if not isinstance(answer, bytes):
                    told: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
                    answer.then(told.set_result)
                    answer = await told
                    assert answer is not None
                return answer.partition(b"\r\n\r\n")[2]
        return await self._over_asgi(body, token)

    async def _over_asgi(self, body: bytes, token: str) -> bytes:
        parts = []
        headers = [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", b"same-for-all"),
            *([(b"authorization", f"Bearer {token}".encode())] if token else []),
        ]
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                parts.append(message["body"])

        await self._app(scope, receive, send)
        return b"".join(parts)

    async def first_event(self, value: dict[str, Any]) -> bytes:
        """Return the first event of a subscription, or what there is in its place."""
        try:
            context = self.runtime.answering.context("same-for-all", OPEN_VIEWER)
            operation = self.runtime.engine.prepare(parse_request(value), context)
            assert isinstance(operation, PlannedSubscription | GeneralSubscription)
            async with aclosing(operation.events()) as events:
                return await asyncio.wait_for(anext(events), PATIENCE)
        except RequestRefused as refused:
            return refused.response
        except SubscriptionFailed as failure:
            return orjson.dumps(failure.errors)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(runtime_module, "make_store", lambda *_, **__: MemoryStore())
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def compare(operations: int, seed: int, *, federation: bool) -> Counter[str]:
    """Have all ways answer so many operations; return how many were of which kind and had which outcome."""
    chance = Random(seed)
    maker = Maker(chance, federation=federation)
    seen: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        ways = [
            Way(name, plans=name != "general", federation=federation)
            for name in ("general", "plans", "shortcut", "lane")
        ]
        for way in ways:
            await stack.enter_async_context(way.runtime.running())
            assert b'"created":true' in await way.answer(ANN)
        rewriter = Rewriter(chance, (served_subgraph("") if federation else served_schema()).core)
        operation = maker.operation()
        rewritten = Rewritten(operation.query)
        for number in range(operations):
            if number % USES == 0:
                operation = maker.operation()
                rewritten = rewriter.rewrite(operation.query) if chance.random() < 0.5 else Rewritten(operation.query)
                seen["rewritten"] += rewritten.query != operation.query
            request = {"query": rewritten.query, "variables": maker.variables(operation) | rewritten.variables}
            if rewritten.name is not None:
                request["operationName"] = rewritten.name
            await _compare_one(ways, operation.kind, request, chance, seen)
            if chance.random() < 0.1:
                for way in ways:
                    await way.answer(ANN)  # she may have been deleted
            # Also the versions of users who are there no more are the same everywhere.
            kept = [(way.store.deleted, way.store.users) for way in ways]
            assert all(each == kept[0] for each in kept), request
        seen["by the lane"] = ways[3]._lane.requests if ways[3]._lane else 0
        seen["by the shortcut"] = ways[2].runtime.requests_at_once
    return seen


async def _compare_one(ways: list[Way], kind: str, request: dict[str, Any], chance: Random, seen: Counter[str]) -> None:
    failure = chance.choice((StoreUnavailable(), RuntimeError("masked"))) if chance.random() < 0.05 else None
    forgets = chance.random() < 0.3
    for _ in range(2):  # the second time, the lane and the shortcut know the document
        for way in ways:
            way.store.failure = failure
            if forgets:
                way.runtime.hub.doubt_all()
        body = json.dumps(request).encode()
        is_subscription = kind == "subscription"
        answers = await asyncio.gather(
            *(way.first_event(request) if is_subscription else way.answer(body) for way in ways)
        )
        for way in ways:
            way.store.failure = None
        for way, answer in zip(ways[1:], answers[1:], strict=True):
            assert answer == answers[0], f"{way.name} differs from graphql-core:\n{request}\n{answer!r}\n{answers[0]!r}"
        seen[f"{kind}: {_outcome(answers[0])}"] += 1
        seen["deletions"] += b'"deleted":true' in answers[0]


def _outcome(answer: bytes) -> str:
    if answer == b'{"data":{}}':
        return "nothing selected"
    if b'"errors":[' in answer:
        return str(orjson.loads(answer)["errors"][0]["extensions"]["code"])
    return "data" if answer.startswith(b'{"data"') else "other"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("federation", [False, True])
async def test_all_ways_answer_alike(federation: bool) -> None:
    started = time.perf_counter()
    seen = await compare(OPERATIONS // 2, SEED + federation, federation=federation)
    print(f"{OPERATIONS // 2} operations in {time.perf_counter() - started:.0f} s: {dict(sorted(seen.items()))}")
    assert seen["mutation: nothing selected"] > 0
    assert seen["query: nothing selected"] > 0
    assert seen["deletions"] > 0
    assert seen["rewritten"] > 0
    assert seen["by the lane"] > OPERATIONS // 10
    assert seen["by the shortcut"] > OPERATIONS // 10
