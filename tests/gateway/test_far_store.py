"""Whole users, read one at a time from a database that is far away: few commands, and nobody fails for another."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from bson.datetime_ms import DatetimeMS
from tests.support.gateway import RunningGateway
from tests.support.mongo_wire import Delay, Hang, Message, Rewrite, WireProxy
from tests.support.mongodb import MongoServer, new_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.mongo_wire.proxy import Forward

USERS = 300
AWAY_SECONDS = 0.02


def path(user_id: str) -> str:
    return f"/v1/userline/users/{user_id}"


def finds(proxy: WireProxy) -> list[Message]:
    return [message for message in proxy.commands if message.command == "find" and message.namespace.endswith(".users")]


class Held:
    """Holds the answers to reads until it is told to let them go."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def play(self, message: Message, forward: Forward) -> Message | None:
        if message.command != "find":
            return None
        answer = await forward(message)
        await self.released.wait()
        return answer


async def ask_all(gateway: RunningGateway, ids: list[str]) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Ask for each user on a connection of its own."""
    where = urlsplit(gateway.url)
    connections = [await asyncio.open_connection(where.hostname, where.port) for _ in ids]
    for user_id, (_, writer) in zip(ids, connections, strict=True):
        writer.write(f"GET {path(user_id)} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
    return connections


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, Any]:
    """Return the status of an answer, and the JSON in it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    (length,) = re.findall(r"content-length: (\d+)", head)
    return int(head.split()[1]), orjson.loads(await reader.readexactly(int(length)))


@asynccontextmanager
async def client_of(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=USERS)
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30, limits=limits, trust_env=False) as client:
        yield client


async def fill(client: httpx.AsyncClient) -> list[str]:
    ids = [f"user{number}" for number in range(USERS)]
    for first in range(0, USERS, 100):
        users = {user_id: {"name": f"Name of {user_id}", "email": f"{user_id}@example.com"} for user_id in ids[first:]}
        batch = dict(list(users.items())[:100])
        assert (await client.put("/v1/userline/users", json=batch)).status_code == 200
    return ids


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_many_whole_users_at_once(nx: MongoServer, tmp_path: Path, driver: str) -> None:
    async with await WireProxy.open(nx.port) as proxy:
        url = proxy.url(new_database(), retryWrites="false", timeoutMS=10_000)
        gateway = await asyncio.to_thread(RunningGateway, tmp_path, "--store-url", url, "--mongodb-driver", driver)
        async with client_of(gateway) as client:
            ids = await fill(client)
            held = Held()
            proxy.players.append(held)
            proxy.commands.clear()
            asked = [*ids, "nobody", *ids]
            connections = await ask_all(gateway, asked)
            held.released.set()
            for user_id, (reader, writer) in zip(asked, connections, strict=True):
                status, user = await answer_of(reader)
                writer.close()
                assert status == (404 if user_id == "nobody" else 200)
                assert user_id == "nobody" or user["email"] == [f"{user_id}@example.com"]
            assert len(finds(proxy)) <= USERS / 5

            proxy.rule(Delay(AWAY_SECONDS), times=None)

            # A read sees the writes that were answered, and what was read before it does not come back.
            async def write_and_read(number: int) -> str:
                user_id = ids[number % 30]
                assert (await client.put(path(user_id), json={"custom": {f"{number}": "x"}})).status_code == 200
                custom: dict[str, str] = (await client.get(path(user_id))).json()["custom"]
                return custom[f"{number}"]

            assert await asyncio.gather(*map(write_and_read, range(90))) == ["x"] * 90
        assert await asyncio.to_thread(gateway.stop) == 0
        assert "Traceback" not in gateway.log


async def test_of_an_outage_each_is_told_in_time(nx: MongoServer, tmp_path: Path) -> None:
    async with await WireProxy.open(nx.port) as proxy:
        url = proxy.url(new_database(), retryWrites="false", retryReads="false")
        gateway = await asyncio.to_thread(RunningGateway, tmp_path, "--store-url", url)
        async with client_of(gateway) as client:
            ids = await fill(client)
            proxy.rule(Hang(), "find", times=None)
            answers = await asyncio.gather(*(client.get(path(user_id)) for user_id in ids))
            assert {answer.status_code for answer in answers} == {503}
            assert {answer.json()["errorCode"] for answer in answers} == {"STORE_UNAVAILABLE"}
            proxy.rules.clear()
            assert (await client.get(path(ids[0]))).status_code == 200
        assert await asyncio.to_thread(gateway.stop) == 0
        assert "Traceback" not in gateway.log


async def test_a_document_with_what_python_cannot_say_is_a_user(nx: MongoServer, tmp_path: Path) -> None:
    def add_a_time(answer: dict[str, Any]) -> dict[str, Any]:
        for document in answer["cursor"]["firstBatch"]:
            document["seen"] = DatetimeMS(2**60)
        return answer

    async with await WireProxy.open(nx.port) as proxy:
        gateway = await asyncio.to_thread(
            RunningGateway, tmp_path, "--store-url", proxy.url(new_database(), retryWrites="false")
        )
        async with client_of(gateway) as client:
            ids = await fill(client)
            proxy.rule(Rewrite(add_a_time), "find", times=None)
            answers = await asyncio.gather(*(client.get(path(user_id)) for user_id in ids[:20]))
            assert {answer.status_code for answer in answers} == {200}
        assert await asyncio.to_thread(gateway.stop) == 0


async def test_a_row_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    gateway = await asyncio.to_thread(RunningGateway, tmp_path, "--cache-seconds", "0")
    async with client_of(gateway) as client:
        ids = await fill(client)
        bad = {ids[0], ids[17], ids[-1]}
        with sqlite3.connect(gateway.database) as database:
            database.executemany("UPDATE users SET custom = 'broken' WHERE id = ?", [(user_id,) for user_id in bad])
        database.close()

        def snapshot_of(user_id: str) -> dict[str, Any]:
            return {"query": "query($id: ID!) { user(id: $id) { name } }", "variables": {"id": user_id}}

        wholes = [client.get(path(user_id)) for user_id in ids]
        snapshots = [client.post("/graphql", json=snapshot_of(user_id)) for user_id in ids]
        answers = await asyncio.gather(*wholes, *snapshots)
        whole = dict(zip(ids, answers[:USERS], strict=True))
        assert {user_id for user_id in ids if whole[user_id].status_code != 200} == bad
        assert {whole[user_id].json()["errorCode"] for user_id in bad} == {"INTERNAL_SERVER_ERROR"}
        public = dict(zip(ids, answers[USERS:], strict=True))
        assert {user_id for user_id in ids if "errors" in public[user_id].json()} == bad
    assert await asyncio.to_thread(gateway.stop) == 0
