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
        self.health = Health(self.drain, self._ping, lambda: self.is_coherent, lambda: self.changes_of_others)

    async def _ping(self) -> None:
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


async def test_an_outage_is_one_line_and_its_end_another(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "userline.health")
    for store in ("ok", "fails", "fails", "hangs", "ok", "ok", "hangs"):
        parts.store = store
        await parts.ask()
    assert [record.message for record in caplog.records] == [
        "The store is not ready: The store is away.",
        "The store is ready again.",
        "The store is not ready: it does not answer.",
    ]
