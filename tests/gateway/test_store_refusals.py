"""A database that refuses users by what somebody set up there: no outage, masked, and a sentence in the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.gateway import RunningGateway
from tests.support.mongo_wire import Answer, Message, WireProxy, error, write_errors
from tests.support.mongodb import MongoServer, new_database
from tests.support.waiting import until
from tests.support.watching import Watching

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "cAnArY"
SET = 'mutation($id: ID!) { setUser(id: $id, input: {name: "Alice"}) { changed } }'


def is_of_users(message: Message) -> bool:
    return message.namespace.endswith(".users")


@pytest.mark.parametrize(
    ("refusal", "code", "says"),
    [
        (error(121, CANARY), "INTERNAL_SERVER_ERROR", "Change the validator (collMod)"),
        (write_errors(11000, message=CANARY, keyPattern={"email": 1}), "INTERNAL_SERVER_ERROR", "Drop the index"),
        (error(16500, CANARY), "STORE_UNAVAILABLE", "it throttles the gateway (code 16500)"),
    ],
    ids=["validator", "index", "throttled"],
)
async def test_what_is_refused_at_every_door(
    nx: MongoServer, tmp_path: Path, refusal: dict[str, Any], code: str, says: str
) -> None:
    async with await WireProxy.open(nx.port) as proxy:
        flags = ["--store-url", proxy.url(new_database(), retryWrites="false"), "--reread-seconds", "600"]
        gateway = await asyncio.to_thread(RunningGateway, tmp_path, *flags)
        rule = proxy.rule(Answer(refusal), "insert", "update", where=is_of_users, times=2)
        body = await asyncio.to_thread(gateway.execute, SET, {"id": CANARY})
        (problem,) = body["errors"]
        assert problem["extensions"]["code"] == code
        url = f"/v1/userline/users/{CANARY}"
        answer = await asyncio.to_thread(gateway.http.put, url, json={"name": CANARY})
        assert answer.status_code == (500 if code == "INTERNAL_SERVER_ERROR" else 503)
        assert rule.hits == 2
        assert (await asyncio.to_thread(gateway.http.get, "/readyz")).status_code == 200
        assert (await asyncio.to_thread(gateway.execute, SET, {"id": CANARY}))["data"] == {"setUser": {"changed": True}}
        assert await asyncio.to_thread(gateway.stop) == 0
        log = " ".join(gateway.log.split())
        assert says in log
        assert "is not available" not in log
        others = [
            line for line in gateway.log.splitlines() if "/v1/userline/users/" not in line and "audit" not in line
        ]
        assert CANARY not in "".join(others)


async def test_of_a_batch_that_is_refused_in_part_watchers_hear(nx: MongoServer, tmp_path: Path) -> None:
    """One user is refused after the check, the others are written: those who watch them are told at once."""
    async with await WireProxy.open(nx.port) as proxy:
        flags = ["--store-url", proxy.url(new_database(), retryWrites="false"), "--reread-seconds", "600"]
        gateway = await asyncio.to_thread(RunningGateway, tmp_path, *flags)
        watching = await Watching.start(gateway.websocket_url, ["alice", "bob"])
        await until(lambda: watching.seen == {"alice": [None], "bob": [None]})

        def first_is_refused(answer: dict[str, Any]) -> dict[str, Any]:
            return {"ok": 1.0, "n": answer["n"], "writeErrors": [{"index": 0, **error(121)}]}

        # Of the two, the second is done and the first is not.
        proxy.rule(Answer(first_is_refused({"n": 1}), after_effect=True), "insert", where=is_of_users)
        batch = {"alice": {"name": "Alice"}, "bob": {"name": "Bob"}}
        answer = await asyncio.to_thread(gateway.http.put, "/v1/userline/users", json=batch)
        assert answer.status_code == 500
        await until(lambda: watching.last("bob") == "Bob", 8)
        await watching.stop()
        assert await asyncio.to_thread(gateway.stop) == 0
