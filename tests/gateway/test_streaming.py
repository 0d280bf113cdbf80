"""Subscriptions over plain HTTP: server-sent events and Apollo's multipart responses."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

WATCH = "subscription Watch($id: ID!) { userChanged(id: $id) { name } }"
SSE = {"Accept": "text/event-stream"}
MULTIPART = {"Accept": 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'}
PING_SECONDS = 1


@pytest.fixture(scope="module", params=["lane", "no lane"])
def gateway(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RunningGateway]:
    lane = "--fast-lane" if request.param == "lane" else "--no-fast-lane"
    running = RunningGateway(tmp_path_factory.mktemp("streaming"), "--ping-seconds", str(PING_SECONDS), lane)
    yield running
    assert running.stop() == 0, running.log
    assert "Traceback" not in running.log, running.log


class Stream:
    """A response that is being read. ``text`` has what has come so far."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.text = ""
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for text in self.response.aiter_text():
            self.text += text

    @property
    def events(self) -> list[Any]:
        """What the ``next`` events say, or the parts."""
        if self.response.headers["content-type"].startswith("multipart/mixed"):
            parts = self.text.split("\r\n--graphql")[:-1]
            found = [json.loads(part.partition("\r\n\r\n")[2]) for part in parts]
            return [event for event in found if event != {}]
        return [json.loads(data) for data in re.findall(r"^event: next\ndata: (.*)\n\n", self.text, re.MULTILINE)]

    @property
    def names(self) -> list[str | None]:
        """The names of the user that was watched."""
        users = [event.get("payload", event)["data"]["userChanged"] for event in self.events]
        return [user and user["name"] for user in users]


@asynccontextmanager
async def streaming(
    gateway: RunningGateway, query: str = WATCH, *, token: str | None = None, headers: dict[str, str] = SSE, **more: Any
) -> AsyncIterator[Stream]:
    authorization = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx.AsyncClient(base_url=gateway.url, timeout=30) as http,
        http.stream("POST", "/graphql", json={"query": query, **more}, headers=headers | authorization) as response,
    ):
        stream = Stream(response)
        try:
            yield stream
        finally:
            stream.task.cancel()
            await asyncio.gather(stream.task, return_exceptions=True)


def watching(user_id: str) -> dict[str, Any]:
    return {"variables": {"id": user_id}}


@pytest.mark.parametrize("headers", [SSE, MULTIPART], ids=["sse", "multipart"])
async def test_changes_come_as_they_happen(gateway: RunningGateway, headers: dict[str, str]) -> None:
    watchers = gateway.metric("userline_watchers")
    user_id = f"alice {headers['Accept'][:4]} {gateway.url}"
    async with streaming(gateway, headers=headers, **watching(user_id)) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["x-accel-buffering"] == "no"
        assert stream.response.headers["x-request-id"]
        await until(lambda: stream.names == [None])
        gateway.set_user(user_id, name="Alice\n\n\u2028data: x")
        await until(lambda: stream.names == [None, "Alice\n\n\u2028data: x"])
        assert gateway.metric("userline_streams") == 1
        assert gateway.metric("userline_watchers") == watchers + 1
    await until(lambda: gateway.metric("userline_watchers") == watchers)
    assert gateway.metric("userline_streams") == 0


@pytest.mark.parametrize("headers", [SSE, MULTIPART], ids=["sse", "multipart"])
async def test_a_quiet_stream_has_a_heartbeat_and_outlives_kept_connections(
    gateway: RunningGateway, headers: dict[str, str]
) -> None:
    async with streaming(gateway, headers=headers, **watching("quiet")) as stream:
        await until(lambda: len(stream.names) == 1)
        before = stream.text
        await asyncio.sleep(7)
        beats = stream.text.removeprefix(before)
        beat = ":\n" if headers is SSE else "\r\ncontent-type: application/json; charset=utf-8\r\n\r\n{}\r\n--graphql"
        assert 4 <= len(beats) / len(beat) <= 8
        assert beats.replace(beat, "") == ""
        assert len(stream.names) == 1
        gateway.set_user("quiet", name=f"Not quiet {time.monotonic()}")
        await until(lambda: len(stream.names) == 2)


@pytest.mark.parametrize("headers", [SSE, MULTIPART], ids=["sse", "multipart"])
async def test_many_users_are_one_event_and_then_what_has_changed(
    gateway: RunningGateway, headers: dict[str, str]
) -> None:
    one, two = (f"many {number} {headers['Accept'][:4]} {gateway.url}" for number in (1, 2))
    gateway.set_user(one, name="One")
    query = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id user { name } } }"
    async with streaming(gateway, query, headers=headers, variables={"ids": [one, two, one]}) as stream:
        await until(lambda: len(stream.events) == 1)
        gateway.set_user(two, name="Two")
        await until(lambda: len(stream.events) == 2)
        payloads = [event.get("payload", event) for event in stream.events]
        assert [payload["data"]["usersChanged"] for payload in payloads] == [
            [{"id": one, "user": {"name": "One"}}, {"id": two, "user": None}],
            [{"id": two, "user": {"name": "Two"}}],
        ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ app { id } }", {"data": {"app": {"id": "userline"}}}),
        (
            'mutation { setUser(id: "m", input: {name: "M"}) { user { name } } }',
            {"data": {"setUser": {"user": {"name": "M"}}}},
        ),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { userChanged(id: 5.5) { name } }", "GRAPHQL_VALIDATION_FAILED"),
        ('subscription { userChanged(id: "") { name } }', "BAD_USER_INPUT"),
    ],
)
async def test_everything_else_is_one_result_and_the_end(gateway: RunningGateway, query: str, expected: Any) -> None:
    async with streaming(gateway, query) as stream:
        assert stream.response.status_code == 200
        await stream.task
        (event,) = stream.events
        if isinstance(expected, str):
            assert event["errors"][0]["extensions"]["code"] == expected
        else:
            assert event == expected
        assert stream.text.endswith("event: complete\ndata: \n\n")


async def test_what_is_no_subscription_is_plain_json_to_clients_of_multipart(gateway: RunningGateway) -> None:
    async with streaming(gateway, "{ app { id } }", headers=MULTIPART) as stream:
        assert stream.response.headers["content-type"] == "application/json; charset=utf-8"
        await stream.task
        assert json.loads(stream.text) == {"data": {"app": {"id": "userline"}}}
    async with streaming(gateway, 'subscription { userChanged(id: "") { name } }', headers=MULTIPART) as stream:
        await stream.task
        (event,) = stream.events
        assert list(event) == ["payload"]
        assert list(event["payload"]) == ["errors"]
        (error,) = event["payload"]["errors"]
        assert (error["path"], error["extensions"]["code"]) == (["userChanged"], "BAD_USER_INPUT")
        assert stream.text.endswith("\r\n--graphql--\r\n")


def test_an_event_source_of_a_browser_may_subscribe_by_get(gateway: RunningGateway) -> None:
    gateway.set_user("got", name="Got")
    asked = {"query": 'subscription { userChanged(id: "got") { name } }'}
    with gateway.http.stream("GET", "/graphql", params=asked, headers=SSE) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        text = ""
        for part in response.iter_text():
            text += part
            if "Got" in text:
                break
    assert 'data: {"data":{"userChanged":{"name":"Got"}}}\n\n' in text


@pytest.mark.parametrize(
    ("accept", "status"),
    [("application/json", 400), ("multipart/mixed;deferSpec=20220824, application/json", 400), ("image/png", 406)],
)
def test_without_a_way_to_stream_a_subscription_is_refused(gateway: RunningGateway, accept: str, status: int) -> None:
    body = {"query": WATCH, "variables": {"id": "x"}}
    answer = gateway.http.post("/graphql", json=body, headers={"Accept": accept})
    assert answer.status_code == status
    assert "text/event-stream" in answer.json()["errors"][0]["message"]
    batch = gateway.http.post("/graphql", json=[body, {"query": "{ app { id } }"}])
    assert [("errors" in answer) for answer in batch.json()] == [True, False]
    refused = gateway.http.post("/graphql", json=[body], headers=SSE)
    assert refused.status_code == 400


async def test_a_reader_that_stalls_gets_the_newest_when_it_reads_again(gateway: RunningGateway) -> None:
    gateway.set_user("slow", name="0")
    port = httpx.URL(gateway.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    query = 'subscription { userChanged(id: "slow") { name welcomeMessage } }'
    body = json.dumps({"query": query}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
    )
    writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await reader.readuntil(b"event: next")
    coalesced = gateway.metric("userline_coalesced_total")
    number = 0
    while gateway.metric("userline_coalesced_total") < coalesced + 5:
        number += 1
        assert number < 1000, "a stream that was cut off coalesces nothing"
        gateway.set_user("slow", name=str(number), welcomeMessage=f"{number}" + "x" * 60_000)
    async with asyncio.timeout(20):
        seen = b""
        while f'"name":"{number}"'.encode() not in seen:
            seen = seen[-1000:] + await reader.read(65_536)
    writer.close()


async def test_tokens_are_checked_and_a_stream_ends_with_its_token(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--max-sockets-per-user", "2", env={"USERLINE_SECRET": SECRET})
    async with streaming(gateway, token="nonsense", **watching("ann")) as stream:
        assert stream.response.status_code == 401
    began = time.time()
    expires = int(began) + 3
    async with streaming(gateway, token=token_of("ann", exp=expires), **watching("ann")) as stream:
        await until(lambda: stream.names == [None])
        async with asyncio.timeout(10):
            await stream.task
        assert expires - 0.5 < time.time() < expires + 1
        assert stream.events == [{"data": {"userChanged": None}}], "clients that retry come back and know of nothing"
        assert stream.text.endswith("\n: UNAUTHENTICATED The token has expired; subscribe again with a new one.\n")
    late = token_of("ann", exp=int(time.time()) - 5)
    async with streaming(gateway, token=late, **watching("ann")) as stream:
        await until(lambda: stream.names == [None])
        await asyncio.sleep(1)
        assert len(stream.events) == 1, "let in by the leeway, it is not thrown out at once"
    token = token_of("bob")
    async with (
        streaming(gateway, token=token, **watching("ann")) as first,
        streaming(gateway, token=token, **watching("ann")) as second,
    ):
        await until(lambda: first.names == second.names == [None])
        async with streaming(gateway, token=token, **watching("ann")) as third:
            assert third.response.status_code == 429
            assert third.response.headers["retry-after"]
    await until(lambda: "userline_streams 0.0" in gateway.http.get("/metrics").text)
    async with streaming(gateway, token=token, **watching("ann")) as again:
        await until(lambda: again.names == [None])
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.log


async def test_a_gateway_that_is_stopped_ends_streams_and_says_when_to_come_back(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--drain-seconds", "2")
    async with (
        streaming(gateway, **watching("a")) as sse,
        streaming(gateway, headers=MULTIPART, **watching("a")) as parts,
    ):
        await until(lambda: sse.names == parts.names == [None])
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        async with streaming(gateway, **watching("a")) as late:
            assert late.response.status_code == 503
            assert late.response.headers["retry-after"] == "1"
        async with asyncio.timeout(4):
            await asyncio.gather(sse.task, parts.task)
        assert re.search(r"retry: \d+\n\n$", sse.text)
        assert "event: complete" not in sse.text
        assert not parts.text.endswith("--graphql--\r\n"), "cut, so that the client knows"
        assert gateway.stop() == 0
    assert "Traceback" not in gateway.log
