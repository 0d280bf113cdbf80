"""What the REST API answers when the store is away or slow, when something unexpected happens, and to too much."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support.stores import MemoryStore
from tests.support.tokens import SECRET, token_of

from userline.gateway import runtime
from userline.settings.settings import load_settings
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.usefixtures("no_settings")

REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/users/alice", None),
    ("GET", "/users?limit=2", None),
    ("PUT", "/users/alice", {"name": "Alice"}),
    ("PUT", "/users", {"alice": {"name": "Alice"}, "bob": {"name": "Bob"}}),
]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    monkeypatch.setattr(runtime, "make_store", lambda *_, **__: store)
    return store


@asynccontextmanager
async def client(token: str | None = None, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in this process, whose addresses are relative to the app's."""
    running = runtime.Runtime(load_settings(settings))
    async with running.running():
        made = httpx.AsyncClient(
            transport=httpx.ASGITransport(running.make_app()),
            base_url="http://localhost/v1/userline",
            headers={"authorization": f"Bearer {token}"} if token else {},
        )
        async with made:
            yield made


def refusal(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.json()["errorCode"] == code
    (reason,) = answer.json()["reasons"]
    return str(reason)


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_a_store_that_is_away(store: MemoryStore, method: str, path: str, body: Any) -> None:
    async with client() as http:
        store.failure = StoreUnavailable()
        answer = await http.request(method, path, json=body)
        refusal(answer, 503, "STORE_UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"
        store.failure = None
        assert (await http.request(method, path, json=body)).status_code in (200, 404)


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_what_is_unexpected_is_masked_and_logged(
    store: MemoryStore, caplog: pytest.LogCaptureFixture, method: str, path: str, body: Any
) -> None:
    async with client() as http:
        store.failure = RuntimeError("what only the log may have")
        answer = await http.request(method, path, json=body, headers={"x-request-id": "rest-500"})
    assert refusal(answer, 500, "INTERNAL_SERVER_ERROR") == (
        "An internal error happened. The log of the gateway has the details under request id rest-500."
    )
    assert answer.headers["x-request-id"] == "rest-500"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "rest-500" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is store.failure


async def test_a_store_that_is_slow_and_a_write_that_is_done_all_the_same(store: MemoryStore) -> None:
    async with client(operation_seconds=0.05) as http:
        store.gate.clear()
        answers = await asyncio.gather(*(http.request(method, path, json=body) for method, path, body in REQUESTS[2:]))
        for answer in answers:
            refusal(answer, 503, "STORE_UNAVAILABLE")
        store.gate.set()
        assert (await http.get("/users/bob")).json()["name"] == "Bob"


async def test_too_many_requests(store: MemoryStore) -> None:
    async with client(rate_limit_per_second=0.1, rate_limit_burst=3) as http:
        assert [(await http.get("/users")).status_code for _ in range(3)] == [200] * 3
        for method, path, body in REQUESTS:
            answer = await http.request(method, path, json=body)
            assert refusal(answer, 429, "RATE_LIMITED").startswith("Too many requests: the limit is 0.1 per second")
            assert answer.headers["retry-after"] == "10"
    assert store.users == {}


async def test_a_batch_counts_as_its_users(store: MemoryStore) -> None:
    async with client(rate_limit_per_second=0.1, rate_limit_burst=4) as http:
        batch = {str(number): {"name": "N"} for number in range(3)}
        assert (await http.put("/users", json=batch)).status_code == 200
        assert (await http.put("/users", json=batch)).status_code == 429
    assert list(store.users) == ["0", "1", "2"]


@pytest.mark.usefixtures("store")
async def test_who_is_limited() -> None:
    limits = {"secret": SECRET, "rate_limit_per_second": 0.1, "rate_limit_burst": 2}
    async with client(token_of(None), **limits) as http:
        assert {(await http.get("/users")).status_code for _ in range(10)} == {200}, "back ends are not"
    async with client(token_of("alice"), **limits) as http:
        assert [(await http.get("/users")).status_code for _ in range(3)] == [403, 403, 429]
