"""What MongoDB refuses, and what is said of it: the right error for the caller, and nobody's data in the log."""

import asyncio
import dataclasses
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import BulkWriteError, OperationFailure

from tests.storage.contract.base import RULES, Clock, existing, get, new_user, patch
from tests.support.mongo_wire import Answer, Message, WireProxy, error, write_concern_error, write_errors
from tests.support.mongodb import MongoServer, new_database
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.collection import what_is_unfit
from userline.storage.mongo.driver import DriverName
from userline.storage.mongo.examination import _is_of_ids
from userline.storage.mongo.failures import TABLE, Kind, failure, is_own_id_taken
from userline.storage.protocol import StoreFormatError, StoreRefused
from userline.users.errors import StoreUnavailable

CANARY = "cAnArY"
EMAIL_INDEX: dict[str, Any] = {"keyPattern": {"email": 1}, "keyValue": {"email": CANARY}}
WRITES = ("insert", "update", "delete")


@asynccontextmanager
async def opened(nx: MongoServer, driver: DriverName) -> AsyncIterator[tuple[MongoUserStore, WireProxy]]:
    async with await WireProxy.open(nx.port) as proxy:
        store = MongoUserStore(
            proxy.url(new_database(), retryWrites="false", retryReads="false"), RULES, driver, Clock()
        )
        await store.open()
        try:
            yield store, proxy
        finally:
            await store.close()


def is_of_users(message: Message) -> bool:
    return message.namespace.endswith(".users")


def calls(store: MongoUserStore) -> list[Callable[[], Awaitable[object]]]:
    """Return calls of all kinds, alone and together, whose users have the canary wherever there can be one."""
    user, new = f"{CANARY}@1", new_user(name=CANARY, custom={CANARY: CANARY}, email=[f"{CANARY}@example.com"])
    return [
        store.ping,
        lambda: store.get_many([user]),
        lambda: store.patch(user, new),
        lambda: store.create_if_not_exists(f"{user}0", new),
        lambda: asyncio.gather(*(store.patch(f"{user}{number}", new) for number in range(3))),
        lambda: store.patch_many({f"{user}{number}": patch(name=f"{CANARY}{number}") for number in range(3)}),
    ]


REFUSALS: list[tuple[dict[str, Any], str]] = [
    (
        error(121, CANARY, errInfo={"failingDocumentId": CANARY}),
        "the validator of the collection users does not accept",
    ),
    (error(11000, CANARY, **EMAIL_INDEX), "the unique index on email does not accept a user"),
    (error(11000, f"E11000 … index: {CANARY}_1 dup key: {CANARY}"), "a unique index beside the one on _id"),
    (error(11000, CANARY, keyPattern={f"custom.{CANARY}": 1}), "a unique index beside the one on _id"),
    (error(10334, CANARY), "larger than it allows"),
    (error(17280, CANARY), "larger than it allows"),
    (error(61, CANARY), "shard key"),
    (error(166, CANARY), "is a view"),
]


@pytest.mark.parametrize(("document", "says"), REFUSALS, ids=[str(each["code"]) for each, _ in REFUSALS])
@pytest.mark.parametrize("as_write_error", [False, True])
async def test_a_refusal_is_no_outage_and_says_what_to_do(  # noqa: PLR0917
    nx: MongoServer,
    driver: DriverName,
    document: dict[str, Any],
    says: str,
    as_write_error: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "userline")
    answer = document
    if as_write_error:
        answer = {"ok": 1.0, "n": 0, "writeErrors": [{"index": 0, **document}]}
    async with opened(nx, driver) as (store, proxy):
        await store.create_if_not_exists("bob", new_user())
        for write in (store.create_if_not_exists("alice", new_user()), store.patch("bob", patch(name="Robert"))):
            proxy.rule(Answer(answer), *WRITES, where=is_of_users)
            with pytest.raises(StoreRefused) as caught:
                await write
            assert says in str(caught.value)
            assert str(caught.value).endswith(".")
            assert f"code {document['code']}" in str(caught.value)
            assert CANARY not in "".join(traceback.format_exception(caught.value))
        assert await get(store, "alice") is None
        assert (await existing(store, "bob")).snapshot.name == "Alice"
    assert caplog.text == ""


async def test_of_a_group_each_write_has_what_is_its_own(nx: MongoServer, driver: DriverName) -> None:
    """One user is refused by a validator, one is throttled, the others are written."""
    async with opened(nx, driver) as (store, proxy):
        users = [f"user {number}" for number in range(6)]
        answer = {"ok": 1.0, "n": 4, "writeErrors": [{"index": 1, **error(121)}, {"index": 3, **error(16500)}]}
        proxy.rule(Answer(answer), "insert", where=lambda m: is_of_users(m) and len(m.documents("documents")) == 6)
        outcomes = await asyncio.gather(
            *(store.create_if_not_exists(user, new_user()) for user in users), return_exceptions=True
        )
    kinds = [type(outcome).__name__ for outcome in outcomes]
    assert kinds == [*("WriteResult", "StoreRefused", "WriteResult", "StoreUnavailable"), *["WriteResult"] * 2]


async def test_what_refuses_the_mark_of_one_user_refuses_no_other(nx: MongoServer, driver: DriverName) -> None:
    """Other programs have written them, so that they are marked before they are replaced."""
    async with opened(nx, driver) as (store, proxy):
        users = [f"user {number}" for number in range(4)]
        assert store._connection is not None
        assert not await store._connection.driver.insert_many(
            "users", [{"_id": user, "version": 1, "name": "By hand"} for user in users]
        )
        failed = [{"index": 1, **error(121, CANARY)}, {"index": 2, **error(112, CANARY)}]
        answer = {"ok": 1.0, "n": 2, "nModified": 2, "writeErrors": failed}
        marks = proxy.rule(
            Answer(answer), "update", where=lambda m: is_of_users(m) and len(m.documents("updates")) == 4
        )
        outcomes = await asyncio.gather(
            *(store.patch(user, patch(name="Alice")) for user in users), return_exceptions=True
        )
        assert marks.hits == 1
        names = [(await existing(store, user)).snapshot.name for user in users]
        record = await existing(store, users[1])
        proxy.rule(Answer({**write_errors(121, message=CANARY), "nModified": 0}), "update", where=is_of_users)
        with pytest.raises(StoreRefused, match="Change the validator"):
            await store.put_many([dataclasses.replace(record, email=("a@example.com",))], overwrite=True)
    assert [type(each).__name__ for each in outcomes] == [
        *("WriteResult", "StoreRefused", "StoreUnavailable", "WriteResult")
    ]
    assert names == ["Alice", "By hand", "By hand", "Alice"]


PARTLY = [13, 20, 50, 59, 64, 79, 100, 112, 146, 262, 8000, 14031, 16500]
AWAY = [18, 91, 189, 10107, 11600, 11602, 13435, 13436]


@pytest.mark.parametrize("code", PARTLY)
async def test_what_is_not_done_is_told_once_and_is_no_outage(
    nx: MongoServer, driver: DriverName, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "userline")
    async with opened(nx, driver) as (store, proxy):
        for _ in range(3):
            answer = error(code, CANARY)
            if code in (64, 79, 100):
                answer = write_concern_error(code, CANARY)
            proxy.rule(Answer(answer, after_effect=True), *WRITES, where=is_of_users)
            with pytest.raises(StoreUnavailable, match="not available right now"):
                await store.patch("alice", patch(name=f"Alice {_}"))
            await store.ping()
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("userline")]
    assert "did not do everything that was requested" in line
    assert f"(code {code})" in line
    assert CANARY not in line


@pytest.mark.parametrize("code", AWAY)
async def test_an_outage_is_told_where_it_begins_and_ends(
    nx: MongoServer, driver: DriverName, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "userline")
    async with opened(nx, driver) as (store, proxy):
        rule = proxy.rule(Answer(error(code, CANARY)), "find", *WRITES, where=is_of_users, times=3)
        while rule.hits < 3:
            with pytest.raises(StoreUnavailable):
                await store.get_many(["alice"])
        await store.get_many(["alice"])
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("userline")]
    assert ["is not available: " in lines[0], "is available again" in lines[1], len(lines)] == [True, True, 2]
    assert CANARY not in caplog.text


async def test_a_bulk_whose_writes_are_in_doubt_is_not_done(nx: MongoServer, driver: DriverName) -> None:
    """All users are there already, or so it says, and no majority has what was inserted."""
    async with opened(nx, driver) as (store, proxy):
        records = [(await store.create_if_not_exists(f"user {number}", new_user())).after for number in range(2)]
        failures = write_errors(11000, keyPattern={"_id": 1}, n=1)
        proxy.rule(Answer({**failures, **write_concern_error(64)}), "insert", where=is_of_users)
        with pytest.raises(StoreUnavailable):
            await store.put_many(records, overwrite=False)


texts = st.sampled_from([CANARY, f"E11000 dup key: {{ _id: '{CANARY}' }}", f"full error: {CANARY}", ""])
codes = st.one_of(st.sampled_from([*TABLE, 11000]), st.integers(1, 20_000))
details = st.fixed_dictionaries(
    {"code": codes, "errmsg": texts},
    optional={
        "codeName": texts,
        "errInfo": st.fixed_dictionaries({"details": texts, "wtimeout": st.booleans()}),
        "keyPattern": st.dictionaries(st.sampled_from(["email", CANARY, f"custom.{CANARY}"]), st.just(1), min_size=1),
        "keyValue": st.just({CANARY: CANARY}),
        "op": st.just({"_id": CANARY}),
        "errorLabels": st.lists(st.sampled_from([CANARY, "RetryableWriteError"]), max_size=1),
    },
)
answers = st.one_of(
    details.map(lambda each: {"ok": 0.0, **each}),
    details.map(lambda each: {"ok": 1.0, "n": 0, "writeErrors": [{"index": 0, **each}]}),
    details.map(lambda each: {"ok": 1.0, "n": 1, "nModified": 1, "writeConcernError": each}),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=answers, driver=st.sampled_from(["motor", "pymongo"]), hello=st.booleans())
async def test_nothing_that_a_server_quotes_is_said_on(
    nx: MongoServer,
    caplog: pytest.LogCaptureFixture,
    answer: dict[str, Any],
    driver: DriverName,
    hello: bool,
) -> None:
    caplog.clear()
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "userline")
    async with opened(nx, driver) as (store, proxy):
        commands = list(WRITES)
        if not answer["ok"]:  # what else has errors of other forms
            commands += ["ping", "find", *(["hello", "isMaster", "ismaster"] if hello else [])]
        proxy.rule(Answer(answer), *commands, times=None)
        outcomes = await asyncio.gather(*(call() for call in calls(store)), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, StoreUnavailable | StoreRefused), outcome
                assert CANARY not in "".join(traceback.format_exception(outcome))
        proxy.rules.clear()
    assert CANARY not in caplog.text


def test_every_code_has_a_sentence_that_is_one() -> None:
    for code, each in TABLE.items():
        told = failure(OperationFailure(CANARY, code, {"errmsg": CANARY}))
        assert told == type(each)(each.kind, f"{each.text} (code {code})", each.advice)
        assert not each.text.endswith(".")
        assert not each.advice or each.advice.endswith((".", ")."))
        assert each.kind is not Kind.REFUSED or each.advice


def test_the_worst_of_a_bulk_is_what_is_told() -> None:
    taken = {"code": 11000, "keyPattern": {"_id": 1}}
    bulk = BulkWriteError({"writeErrors": [taken, {"code": 121}], "writeConcernErrors": []})
    assert "validator" in failure(bulk).text
    bulk = BulkWriteError({"writeErrors": [taken], "writeConcernErrors": [{"code": 64}]})
    assert "majority" in failure(bulk).text


@pytest.mark.parametrize(
    ("details", "own"),
    [
        ({"keyPattern": {"_id": 1}}, True),
        ({"keyPattern": {"email": 1}}, False),
        ({"keyPattern": {"_id": 1, "email": 1}}, False),
        ({}, True),
        ({"errmsg": "E11000 duplicate key error collection: a.users index: _id_ dup key: { _id: 1 }"}, True),
        ({"errmsg": "E11000 duplicate key error index: a.users.$_id_ dup key: { : 1 }"}, True),
        ({"errmsg": "E11000 duplicate key error collection: a.users index: email_1 dup key: { : 1 }"}, False),
    ],
)
def test_whose_index_refuses(details: dict[str, Any], own: bool) -> None:
    assert is_own_id_taken(details) is own


# Collections that somebody else made


@pytest.mark.parametrize(
    ("options", "unfit"),
    [
        ({}, None),
        ({"collation": {"locale": "simple"}}, None),
        ({"collation": {"locale": "en", "strength": 1}}, "by which different ids may be equal"),
        ({"collation": {"locale": "de"}}, "by which different ids may be equal"),
        ({"capped": True, "size": 4096}, "deletes its oldest documents"),
        ({"capped": False}, None),
        ({"viewOn": "others", "pipeline": []}, "is a view"),
        ({"timeseries": {"timeField": "t"}}, "is a time series"),
        ({"expireAfterSeconds": 3600, "clusteredIndex": {}}, "expireAfterSeconds"),
        ({"validator": {}, "storageEngine": {}}, None),
    ],
)
async def test_a_collection_that_does_not_suit_is_refused_at_the_start(
    nx: MongoServer, driver: DriverName, options: dict[str, Any], unfit: str | None
) -> None:
    assert (unfit or "") in (what_is_unfit(options) or "")
    batch = [{"name": "users", "type": "view" if "viewOn" in options else "collection", "options": options}]
    listed = {"ok": 1.0, "cursor": {"id": 0, "ns": "a.$cmd.listCollections", "firstBatch": batch}}
    async with await WireProxy.open(nx.port) as proxy:
        proxy.rule(Answer(listed), "listCollections", times=None)
        store = MongoUserStore(proxy.url(new_database(), retryWrites="false"), RULES, driver)
        if unfit is None:
            await store.open()
            await store.close()
            return
        with pytest.raises(StoreFormatError, match="The collection users of the database userline-test-") as caught:
            await store.open()
        assert unfit in str(caught.value)
        assert "insert" not in proxy.names()


async def test_who_may_not_list_collections_may_use_them(nx: MongoServer, driver: DriverName) -> None:
    async with await WireProxy.open(nx.port) as proxy:
        proxy.rule(Answer(error(13)), "listCollections", times=None)
        store = MongoUserStore(proxy.url(new_database(), retryWrites="false"), RULES, driver)
        await store.open()
        assert (await store.create_if_not_exists("alice", new_user())).created
        await store.close()


async def test_the_indexes_that_a_cluster_needs_are_not_complained_of(nx: MongoServer, driver: DriverName) -> None:
    indexes = {
        "_id_": {"_id": 1},
        "_id_hashed": {"_id": "hashed"},
        "of the shard key": {"_id": 1, "name": 1},
        "name_1": {"name": 1},
    }
    batch: list[dict[str, Any]] = [{"v": 2, "name": name, "key": key} for name, key in indexes.items()]
    batch += [{"v": 2, "name": "email_1", "key": {"email": 1}, "unique": True}]
    batch += [{"v": 2, "name": "old", "key": {"seen": 1}, "expireAfterSeconds": 5}]
    async with opened(nx, driver) as (store, proxy):
        listed = {"ok": 1.0, "cursor": {"id": 0, "ns": "a.users", "firstBatch": batch}}
        proxy.rule(Answer(listed), "listIndexes")
        facts = await store.examine()
    assert facts.other_indexes == ("name_1",)
    assert facts.unique_indexes == ("email_1",)
    assert facts.expiring_indexes == ("old",)
    assert not facts.has_validator
    assert _is_of_ids({"key": [("_id", "hashed")]})
