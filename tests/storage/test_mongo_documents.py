"""How users look in MongoDB, and what else may be in a database."""

import asyncio
import logging
import re
from datetime import datetime
from typing import Any

import pytest
from bson import ObjectId
from bson.int64 import Int64
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.storage.contract.base import RULES, Clock, existing, get, new_user, patch
from tests.storage.records import record_of
from tests.strategies import ODD_TEXTS
from tests.support.mongodb import MongoServer
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.documents import decode_key, encode_key
from userline.storage.mongo.driver import DriverName
from userline.storage.protocol import StoreFormatError, Unreadable
from userline.users.errors import StoreUnavailable
from userline.users.fields import GIVEN, Field
from userline.users.kinds import TO_JSON
from userline.users.rules import Limits, Rules

KEYS = {
    "a.b": "a%2Eb",
    "$set": "%24set",
    "": "%",
    "%": "%25",
    "%2E": "%252E",
    "a\0b": "a%00b",
    "$": "%24",
    ".": "%2E",
    "__proto__": "__proto__",
    "naïve": "naïve",
}


@pytest.mark.parametrize(("key", "name"), KEYS.items())
def test_keys(key: str, name: str) -> None:
    assert encode_key(key) == name
    assert decode_key(name) == key


def test_keys_of_other_programs_are_read_as_they_are() -> None:
    assert decode_key("100%") == "100%"
    assert decode_key("%2e%ZZ") == "%2e%ZZ"


def _unset(field: Field) -> object:
    return TO_JSON.get(field.kind, lambda value: value)(field.default)


async def test_a_document(store: MongoUserStore, server: MongoServer, documents: Collection[dict[str, Any]]) -> None:
    given = {"custom": dict.fromkeys(KEYS, "v"), "email": "alice@example.com", "pushTokens": {"fcm:a.$b": True}}
    await store.create_if_not_exists("alice", new_user(**given, locale="en"))
    document = documents.find_one()
    assert document is not None
    assert re.fullmatch("[0-9a-f]{12}-[0-9]+", document.pop("writeIds"))
    assert document == {
        **{field.name: _unset(field) for field in GIVEN},  # of those that were added, and are not below
        "_id": "alice",
        "version": 1_700_000_000_000,
        "name": "Alice",
        "custom": dict.fromkeys(KEYS.values(), "v"),
        "locale": "en",
        "photoUrl": None,
        "role": "default",
        "welcomeMessage": None,
        "email": ["alice@example.com"],
        "phone": [],
        "pushTokens": {"fcm:a%2E%24b": True},
        "createdAt": 1_700_000_000_000,
        "updatedAt": 1_700_000_000_000,
    }
    for name in ("version", "createdAt", "updatedAt"):
        # nx-27017 keeps no type of integers.
        assert type(document[name]) is Int64 or server.name == "nx-27017"


async def test_operators_are_names_like_any_other(store: MongoUserStore, documents: Collection[dict[str, Any]]) -> None:
    operators = ['{"$gt": ""}', "$where", "$ne", '{"$set": {"role": "admin"}}']
    for operator in operators:
        assert await get(store, operator) is None
        await store.patch(operator, patch(name=operator, custom={operator: operator}))
        await store.patch(operator, patch(custom={"role": "admin", f"{operator}.role": "x"}))
    for operator in operators:
        record = await existing(store, operator)
        assert (record.snapshot.name, record.snapshot.role) == (operator, "default")
        assert record.snapshot.custom == {operator: operator, "role": "admin", f"{operator}.role": "x"}
    for document in documents.find():
        assert not any("$" in key or "." in key for key in document["custom"])


async def test_every_odd_text_is_a_string_in_the_database(
    store: MongoUserStore, documents: Collection[dict[str, Any]]
) -> None:
    await store.create_if_not_exists("alice", new_user(custom={text: text for text in ODD_TEXTS}))
    document = documents.find_one({"_id": "alice"})
    assert document is not None
    assert list(document["custom"].values()) == list(ODD_TEXTS)


async def test_documents_of_other_programs_with_less_and_with_more(
    store: MongoUserStore, documents: Collection[dict[str, Any]]
) -> None:
    documents.insert_one({"_id": "alice", "version": 2.0, "name": "Alice", "shoeSize": 43})
    documents.insert_one({"_id": "bob", "name": "Bob"})
    documents.insert_one({"_id": "carol", "name": "Carol", "createdAt": 5, "updatedAt": 7})
    found = [await existing(store, user_id) for user_id in ("bob", "carol")]
    assert [record.snapshot.version for record in found] == [1, 7], "that of the last change that is known"
    record = await existing(store, "alice")
    assert (record.snapshot.version, record.snapshot.role, record.snapshot.custom) == (2, "default", {})
    assert (record.email, record.push_tokens, record.created_at) == ((), frozenset(), 0)
    result = await store.patch("alice", patch(locale="en"))
    assert result.after.snapshot.version == Clock().now


OTHERS: dict[str, object] = {
    "shoeSize": 43,
    "2nd": None,
    "deep": {"a": [1, {"b.c": None, "d": [[]]}], "e": {}},
    "when": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - as the drivers read them
    "which": ObjectId("0123456789abcdef01234567"),
    "large": Int64(1 << 40),
    "half": 0.5,
    "yes": True,
}
"""What other programs, and newer userlines, may keep beside the fields of a user."""


@pytest.mark.parametrize("marked", [False, True], ids=["by another program alone", "by a userline before"])
async def test_what_is_not_known_is_kept_by_every_write(
    store: MongoUserStore, documents: Collection[dict[str, Any]], *, marked: bool
) -> None:
    if marked:
        await store.create_if_not_exists("alice", new_user())
        documents.update_one({"_id": "alice"}, {"$set": OTHERS, "$inc": {"version": 1}})
    else:
        documents.insert_one({"_id": "alice", "version": 2, "name": "Alice", **OTHERS})

    def assert_kept(name: str) -> None:
        document = documents.find_one({"_id": "alice"})
        assert document is not None
        assert document["name"] == name
        assert {key: document.get(key) for key in OTHERS} == OTHERS

    for number in range(3):  # the later ones are guessed from what the one before has left
        await store.patch("alice", patch(name=f"{number}"))
        assert_kept(f"{number}")
    await asyncio.gather(*(store.patch("alice", patch(custom={f"{number}": "x"})) for number in range(5)))
    await store.patch_many({"alice": patch(name="by a batch"), "bob": patch(name="Bob")})
    assert_kept("by a batch")
    await store.put_many([record_of("alice", name="put", version=1 << 50)], overwrite=True)
    assert_kept("put")
    await store.patch("alice", patch(name="after"))
    assert_kept("after")
    bob = documents.find_one({"_id": "bob"})
    assert bob is not None
    assert not bob.keys() & OTHERS.keys()


async def test_documents_that_are_not_users_are_not_listed(
    store: MongoUserStore, documents: Collection[dict[str, Any]]
) -> None:
    documents.insert_many([{"_id": f"damaged {number}"} for number in range(5)] + [{"_id": 7}])
    await store.patch_many({user_id: patch(name="x") for user_id in ("alice", "zoe", "yves")})
    page = await store.list_users(limit=2, after=None)
    assert [record.snapshot.id for record in page] == ["alice", "yves"]
    page = await store.list_users(limit=2, after="yves")
    assert [record.snapshot.id for record in page] == ["zoe"]
    walked = [record.snapshot.id async for page in store.walk(after=None) for record in page]
    assert walked == ["alice", "yves", "zoe"]


@pytest.mark.parametrize(
    "damage",
    [
        {"name": None},
        {"version": "1"},
        {"version": 1.5},
        {"custom": {"a": 1}},
        {"custom": []},
        {"email": "a@example.com"},
        {"pushTokens": {"fcm:a": "yes"}},
        {"locale": {"gt": ""}},
        {"createdAt": "today"},
    ],
)
async def test_a_document_that_is_not_a_user_harms_no_other(
    store: MongoUserStore,
    documents: Collection[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
    damage: dict[str, object],
) -> None:
    await store.create_if_not_exists("bob", new_user())
    documents.insert_one({"_id": "alice", "version": 1, "name": "Alice", **damage})
    alice, bob = await store.get_many(["alice", "bob"])
    assert alice is None
    assert bob is not None
    (logged,) = [record.getMessage() for record in caplog.records if record.name == "userline.storage"]
    assert f"The document 'alice' is not a user: {next(iter(damage))} is not " in logged
    with pytest.raises(StoreFormatError, match=r"'alice' is not a user.*Correct the document, or delete it"):
        await store.patch("alice", patch(name="Alice"))
    await store.patch("bob", patch(name="Bob"))


async def test_a_newer_format_is_refused(
    store: MongoUserStore, server: MongoServer, database: str, driver: DriverName
) -> None:
    await store.close()
    await store.open()
    with MongoClient[dict[str, Any]](server.url(database)) as client:
        meta = client[database]["userline_meta"]
        assert list(meta.find()) == [{"_id": "format", "format": 1}]
        meta.replace_one({"_id": "format"}, {"_id": "format", "format": 2})
        newer = MongoUserStore(server.url(database), RULES, driver)
        with pytest.raises(StoreFormatError, match=f"{database} was written by a newer userline: it has format 2"):
            await newer.open()
        with pytest.raises(StoreUnavailable, match="not open"):
            await newer.ping()
        meta.replace_one({"_id": "format"}, {"_id": "format"})
        with pytest.raises(StoreFormatError, match="was not written by userline"):
            await newer.open()


async def test_a_database_of_another_program_is_refused(
    server: MongoServer, database: str, driver: DriverName, documents: Collection[dict[str, Any]]
) -> None:
    documents.insert_one({"first": "Alice"})
    store = MongoUserStore(server.url(database), RULES, driver)
    with pytest.raises(StoreFormatError, match="has documents of another program, and is not changed"):
        await store.open()
    assert "userline_meta" not in documents.database.list_collection_names()


async def test_gateways_that_open_a_new_database_together(
    server: MongoServer, database: str, driver: DriverName, documents: Collection[dict[str, Any]]
) -> None:
    stores = [MongoUserStore(server.url(database), RULES, driver) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.close() for store in stores))
    assert documents.database["userline_meta"].count_documents({}) == 1


async def test_debug_logs_of_ours_have_nothing_private(store: MongoUserStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "userline")
    await store.patch("alice", patch(name="Alice", email="alice@example.com"))
    assert "alice@example.com" not in "".join(
        record.getMessage() for record in caplog.records if "userline" in record.name
    )


def test_users_that_no_document_could_hold() -> None:
    rules = Rules(Limits(record_bytes=5_000_000))
    with pytest.raises(ValueError, match="cannot be allowed more than 4194304 bytes"):
        MongoUserStore("mongodb://localhost/userline", rules)


async def test_a_walk_tells_of_what_is_no_user(store: MongoUserStore, documents: Collection[dict[str, Any]]) -> None:
    strange: list[Any] = [7, 1.5, "", ObjectId("5f0000000000000000000001"), {"a": 1}, True]
    documents.insert_many([{"_id": f"damaged {number}"} for number in range(3)] + [{"_id": key} for key in strange])
    await store.patch_many({user_id: patch(name="x") for user_id in ("alice", "zoe")})
    told: dict[str, str] = {}

    def tell(item: Unreadable) -> None:
        told[item.id] = item.reason

    walked = [record.snapshot.id async for page in store.walk(after=None, on_unreadable=tell) for record in page]
    assert walked == ["alice", "zoe"]
    damaged = {f"damaged {number}" for number in range(3)}
    assert damaged <= told.keys()
    assert all(told[key] == f"The document {key!r} is not a user: name is not a string." for key in damaged)
    assert told.keys() - damaged == {"7", "1.5", "", "ObjectId('5f0000000000000000000001')", "{'a': 1}", "True"}
    again = [record.snapshot.id async for page in store.walk(after="alice", on_unreadable=tell) for record in page]
    assert again == ["zoe"]
