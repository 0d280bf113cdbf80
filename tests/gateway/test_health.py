"""What ``/readyz`` says, for every state of the parts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request

from userline.gateway.health import Health
from userline.server.drain import Drain
from userline.users.errors import StoreUnavailable


class Parts:
    """What a gateway's health is made of, as the test wants it."""

    def __init__(self) -> None:
        self.drain = Drain(0)
        self.store: str = "ok"
        self.is_coherent = True
        self.changes_of_others = 0
        self.pings = 0
        self.health = Health(self.drain, self._ping, lambda: self.is_coherent, lambda: self.changes_of_others)

    async def _ping(self) -> None:
        self.pings += 1
        if self.store == "breaks":
            raise LookupError("No such store.")
        if self.store == "hangs":
            await asyncio.sleep(60)
        if self.store == "fails":
            raise StoreUnavailable("The store is away.")

    async def ask(self, query: str = "") -> tuple[int, Any]:
        scope = {"type": "http", "method": "GET", "path": "/readyz", "query_string": query.encode(), "headers": []}
        answer = await self.health.readyz(Request(scope))
        return answer.status_code, json.loads(bytes(answer.body))


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.mark.parametrize("store", ["ok", "fails", "hangs"])
@pytest.mark.parametrize("is_coherent", [True, False])
@pytest.mark.parametrize("query", ["", "strict=1", "strict=0", "other=1"])
async def test_an_outage_that_all_share(parts: Parts, store: str, *, is_coherent: bool, query: str) -> None:
    parts.store, parts.is_coherent = store, is_coherent
    is_well = store == "ok" and is_coherent
    bad = (503, "not ready") if query == "strict=1" else (200, "degraded")
    status, name = (200, "ready") if is_well else bad
    assert await parts.ask(query) == (
        status,
        {
            "status": name,
            "store": "ok" if store == "ok" else "unavailable",
            "bus": "ok" if is_coherent else "unavailable",
        },
    )


async def test_who_alone_cannot_reach_the_store_gets_no_requests(parts: Parts) -> None:
    parts.changes_of_others = 7
    parts.store = "fails"
    assert (await parts.ask())[0] == 200
    parts.changes_of_others += 1
    assert await parts.ask() == (503, {"status": "not ready", "store": "unavailable", "bus": "ok"})
    parts.store = "ok"
    assert (await parts.ask())[0] == 200
    parts.store = "fails"
    assert (await parts.ask())[0] == 200, "it is another outage"


async def test_who_is_stopping_gets_none_whatever_else_is(parts: Parts) -> None:
    parts.drain.begun = True
    for store in ("ok", "fails"):
        parts.store = store
        assert await parts.ask() == (503, {"status": "stopping"})


async def test_of_an_outage_the_store_tells_and_nobody_else(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    for store in ("ok", "fails", "fails", "ok", "fails"):
        parts.store = store
        await parts.ask()
    assert caplog.messages == []


async def test_what_no_store_tells_of_is_one_line(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    for store in ("breaks", "breaks", "ok", "breaks"):
        parts.store = store
        await parts.ask()
    assert caplog.messages == ["The store is not ready: No such store."] * 2


async def test_one_question_is_asked_at_a_time(parts: Parts) -> None:
    parts.store = "hangs"
    answers = await asyncio.gather(*(parts.ask("strict=1") for _ in range(20)))
    assert {status for status, _ in answers} == {503}
    assert parts.pings == 1
