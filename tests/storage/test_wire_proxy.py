"""The proxy itself: each action does what it says, over a stand-in and PyMongo's own clients."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure, WriteConcernError

from tests.support.mongo_wire import (
    Answer,
    Close,
    Delay,
    Hang,
    LoseAnswer,
    ReplicaSet,
    Rewrite,
    ScriptedStream,
    WireProxy,
    error,
    write_concern_error,
    write_errors,
)
from tests.support.mongodb import MongoServer

Client = AsyncMongoClient[dict[str, Any]]


@pytest.fixture
async def proxy(nx: MongoServer) -> AsyncIterator[WireProxy]:
    proxy = await WireProxy.open(nx.port)
    yield proxy
    await proxy.close()


@pytest.fixture
async def users(proxy: WireProxy, database: str) -> AsyncIterator[Any]:
    async with Client(
        proxy.url(database, retryWrites="false", retryReads="false", serverSelectionTimeoutMS=2000)
    ) as client:
        yield client[database]["users"]
        await client.drop_database(database)


async def test_without_rules_nothing_is_changed(proxy: WireProxy, users: Any) -> None:
    await users.insert_many([{"_id": number, "text": "x" * 1000} for number in range(300)])
    assert len(await users.find({}, batch_size=100).to_list()) == 300
    assert proxy.names() == ["insert", "find", "getMore", "getMore"]
    assert {message.namespace for message in proxy.commands if message.command in {"insert", "getMore"}} == {
        users.full_name
    }
    assert len(next(m for m in proxy.commands if m.command == "insert").documents("documents")) == 300


async def test_a_lost_answer_comes_after_the_effect_and_a_lost_command_before(proxy: WireProxy, users: Any) -> None:
    proxy.rule(LoseAnswer(), "insert")
    with pytest.raises(AutoReconnect):
        await users.insert_one({"_id": "kept"})
    proxy.rule(Close(), "insert")
    with pytest.raises(AutoReconnect):
        await users.insert_one({"_id": "never"})
    assert [user["_id"] for user in await users.find({}).to_list()] == ["kept"]


async def test_rules_count_match_and_skip(proxy: WireProxy, users: Any) -> None:
    rule = proxy.rule(
        Answer(error(50)), "find", namespace=users.full_name, where=lambda m: m.body["filter"] != {}, skip=1, times=2
    )
    refused = []
    for query in ({"a": 1}, {"a": 1}, {}, {"a": 1}, {"a": 1}):
        try:
            await users.find(query).to_list()
            refused.append(0)
        except OperationFailure as failure:
            refused.append(failure.code or -1)
    assert refused == [0, 50, 0, 50, 0]
    assert rule.hits == 2


@pytest.mark.parametrize("code", [50, 91, 121, 10107, 11602, 16500])
async def test_errors_are_what_the_driver_takes_them_for(proxy: WireProxy, users: Any, code: int) -> None:
    proxy.rule(Answer(error(code, labels=["RetryableWriteError"])), "insert")
    with pytest.raises((OperationFailure, AutoReconnect)) as caught:
        await users.insert_one({"_id": 1})
    failure: Any = caught.value
    assert failure.details["code"] == code
    assert failure.has_error_label("RetryableWriteError")
    assert await users.find({}).to_list() == []


async def test_errors_of_single_writes_and_of_the_write_concern(proxy: WireProxy, users: Any) -> None:
    proxy.rule(Answer(write_errors(11000, keyPattern={"email": 1})), "insert")
    with pytest.raises(BulkWriteError) as caught:
        await users.insert_many([{"_id": 1}])
    assert (caught.value.details or {})["writeErrors"][0]["keyPattern"] == {"email": 1}
    proxy.rule(Answer(write_concern_error(64), after_effect=True), "insert")
    with pytest.raises(WriteConcernError):
        await users.insert_one({"_id": 2})
    assert await users.find({}).to_list() == [{"_id": 2}]


async def test_delays_hangs_and_changed_answers(proxy: WireProxy, users: Any) -> None:
    for of_answer in (False, True):
        proxy.rule(Delay(0.2, of_answer), "insert")
        start = time.monotonic()
        await users.insert_one({})
        assert time.monotonic() - start >= 0.2
    proxy.rule(Rewrite(lambda answer: {**answer, "n": 77}), "count")
    assert await users.estimated_document_count() == 77
    for after_effect in (False, True):
        proxy.rule(Hang(after_effect), "insert")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await users.insert_one({"hung": after_effect})
    assert [user["hung"] for user in await users.find({"hung": {"$exists": True}}).to_list()] == [True]


async def test_connections_can_be_refused_for_a_while(proxy: WireProxy, users: Any) -> None:
    await users.insert_one({"_id": 1})
    proxy.refuse(connections=True)
    with pytest.raises(AutoReconnect):
        await users.find({}).to_list()
    proxy.refuse(connections=False)
    assert await users.find({}).to_list() == [{"_id": 1}]


# Replica sets


@pytest.mark.parametrize("remembers", [True, False])
async def test_a_lost_answer_is_retried_and_remembered_or_not(nx: MongoServer, database: str, remembers: bool) -> None:
    async with (
        await ReplicaSet.open(nx.port, remembers=remembers) as replica_set,
        Client(replica_set.url(database)) as client,
    ):
        users = client[database]["users"]
        replica_set.members[0].rule(LoseAnswer(), "update")
        await users.insert_one({"_id": 1, "n": 0})
        result = await users.update_one({"_id": 1}, {"$inc": {"n": 1}})
        assert result.modified_count == 1
        assert await users.find_one({}) == {"_id": 1, "n": 1 if remembers else 2}
        await client.drop_database(database)


async def test_a_step_down_and_an_election_move_the_driver_to_the_other_member(nx: MongoServer, database: str) -> None:
    async with (
        await ReplicaSet.open(nx.port) as replica_set,
        Client(replica_set.url(database), serverSelectionTimeoutMS=5000) as client,
    ):
        users = client[database]["users"]
        await users.insert_one({"_id": 1})
        first = await client.address
        await replica_set.step_down()
        write = asyncio.create_task(users.insert_one({"_id": 2}))
        await asyncio.sleep(0.3)
        assert not write.done()
        await replica_set.elect(1)
        start = time.monotonic()
        await write
        assert time.monotonic() - start < 2
        assert first != await client.address == ("127.0.0.1", replica_set.members[1].port)
        assert await users.count_documents({}) == 2
        await client.drop_database(database)


async def test_a_write_to_a_primary_of_the_past_is_refused_there(nx: MongoServer, database: str) -> None:
    async with (
        await ReplicaSet.open(nx.port) as replica_set,
        Client(f"mongodb://{replica_set.hosts[1]}/?directConnection=true") as client,
    ):
        with pytest.raises(AutoReconnect) as caught:
            await client[database]["users"].insert_one({})
        failure: Any = caught.value
        assert failure.details["code"] == 10107


# Streams


async def test_a_stream_awaits_resumes_and_loses_its_history() -> None:
    stream = ScriptedStream()
    async with (
        await WireProxy.open(players=[stream]) as proxy,
        Client(proxy.url("userline")) as client,
    ):
        users = client["userline"]["users"]
        async with await users.watch(max_await_time_ms=300) as changes:
            start = time.monotonic()
            assert await changes.try_next() is None
            assert time.monotonic() - start >= 0.3
            await stream.change("alice", 1)
            event = await changes.next()
            assert event["fullDocument"]["version"] == 1
            token = changes.resume_token
        await stream.change("alice", 2)
        async with await users.watch(resume_after=token) as changes:
            assert (await changes.next())["fullDocument"]["version"] == 2
            await stream.kill_cursors()
            await stream.change("alice", 3)
            assert (await changes.next())["fullDocument"]["version"] == 3, "the driver resumes by itself"
            await stream.invalidate()
            assert (await changes.next())["operationType"] == "invalidate"
            assert not changes.alive
        stream.lose_history()
        with pytest.raises(OperationFailure) as caught:
            await users.watch(resume_after=token)
        assert caught.value.code == 286
        with pytest.raises(OperationFailure) as caught:
            await users.watch(resume_after={"_data": "no token"})
        assert caught.value.code == 260
    assert stream.opened == [None, 1, 2]


async def test_a_resume_on_a_busy_oplog_takes_its_time_or_is_refused() -> None:
    stream = ScriptedStream()
    stream.scan_seconds = 0.3
    token = {"_data": f"{0:016x}"}
    async with (
        await WireProxy.open(players=[stream]) as proxy,
        Client(proxy.url("userline")) as patient,
        Client(proxy.url("userline"), timeoutMS=200) as hasty,
    ):
        async with await patient["userline"]["users"].watch(resume_after=token):
            pass
        with pytest.raises(OperationFailure) as caught:
            await hasty["userline"]["users"].watch(resume_after=token)
        assert caught.value.code == 50
    assert stream.resumes[0] is None
    assert stream.resumes[1] is not None
    assert stream.resumes[1] <= 200


async def test_an_event_past_the_limit_is_refused_each_time() -> None:
    stream = ScriptedStream()
    async with (
        await WireProxy.open(players=[stream]) as proxy,
        Client(proxy.url("userline")) as client,
        await client["userline"]["users"].watch(max_await_time_ms=200) as changes,
    ):
        await stream.change("alice", 1)
        stream.too_large = {1}
        await stream.change("alice", 2)
        assert (await changes.next())["fullDocument"]["version"] == 1
        with pytest.raises(OperationFailure) as caught:
            await changes.next()
        assert caught.value.code == 10334
