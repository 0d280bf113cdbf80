"""Writes that go out without a read: what they save, and that they promise what all writes do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.contract.base import RULES, existing, new_user, patch
from tests.storage.records import record_of
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.documents import StoredUser, written_user
from userline.storage.mongo.driver import Driver
from userline.storage.mongo.guesses import Guesses
from userline.storage.mongo.write_ids import WriteIds
from userline.users.errors import NameRequired

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pymongo.collection import Collection

    from tests.support.mongodb import MongoServer
    from userline.storage.mongo.driver import DriverName

IDS = WriteIds()


def stored(user_id: str, *, text: str = "", version: int = 7) -> StoredUser:
    record = record_of(user_id, version=version, welcome_message=text)
    return written_user(record, IDS.follow(""))[0]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30_000)), max_size=60))
def test_guesses_have_a_bound_in_bytes(kept: list[tuple[int, int]]) -> None:
    guesses = Guesses(most_bytes=100_000)
    for number, size in kept:
        guesses.keep(str(number), stored(str(number), text="x" * size))
        assert guesses.bytes <= 100_000
        assert guesses.bytes >= sum(
            len(guess.record.snapshot.welcome_message or "")
            for each in range(21)
            if (guess := guesses.guess(str(each))) is not None
        )
    guesses.clear()
    assert (len(guesses), guesses.bytes) == (0, 0)


def test_the_last_used_are_kept_and_one_that_is_too_large_is_not() -> None:
    guesses = Guesses(most_bytes=30_000)
    for number in range(100):
        guesses.keep(str(number), stored(str(number)))
    assert guesses.guess("99") is not None
    assert guesses.guess("0") is None
    guesses.keep("99", stored("99", text="x" * 30_000))
    assert guesses.guess("99") is None
    guesses.keep("98", None)
    assert guesses.guess("98") is None


def test_what_other_programs_have_left_is_not_guessed() -> None:
    guesses = Guesses()
    guesses.keep("a", StoredUser(record_of("a"), {}, ""))
    assert guesses.guess("a") is None


def test_a_newer_version_is_heard_of() -> None:
    guesses = Guesses()
    kept = stored("a", version=7)
    told = kept.record.snapshot
    for snapshot, is_kept in (
        (told, True),
        (replace(told, version=6, name="Old"), True),
        (replace(told, version=8), False),
        (replace(told, name="By hand"), False),
    ):
        guesses.keep("a", kept)
        guesses.hear(snapshot)
        assert (guesses.guess("a") is kept) == is_kept
    guesses.hear(told)


def test_guesses_that_are_often_wrong_are_not_given_and_come_back() -> None:
    guesses, user = Guesses(), stored("a")
    guesses.keep("a", user)
    for number in range(1_000):
        guesses.judge("a", held=bool(number % 4))
        guesses.keep("a", user)
    assert guesses.guess("a") is None
    for _ in range(1_000):
        guesses.compare("a", user)
    assert guesses.guess("a") is user
    for number in range(1_000):
        guesses.judge("a", held=bool(number % 10))
        guesses.keep("a", user)
    assert guesses.guess("a") is user, "one of ten is worth it"
    for _ in range(1_000):
        guesses.keep("a", user)
        guesses.compare("a", stored("a"))
    assert not guesses.is_on


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    for name in ("find", "insert", "replace", "write_many"):
        send = getattr(Driver, name)

        async def counted(*arguments: object, name: str = name, send: Any = send) -> object:
            names.append(name)
            return await send(*arguments)

        monkeypatch.setattr(Driver, name, counted)
    return names


@pytest.fixture
async def other(server: MongoServer, database: str, driver: DriverName) -> AsyncIterator[MongoUserStore]:
    other = MongoUserStore(server.url(database), RULES, driver)
    await other.open()
    yield other
    await other.close()


async def test_a_user_who_was_written_here_is_written_without_a_read(
    store: MongoUserStore, commands: list[str]
) -> None:
    await store.create_if_not_exists("alice", new_user())
    commands.clear()
    for number in range(3):
        assert (await store.patch("alice", patch(name=f"{number}"))).changed
    assert commands == ["replace"] * 3
    commands.clear()
    assert not (await store.patch("alice", patch(name="2"))).changed
    assert not (await store.create_if_not_exists("alice", new_user())).created
    assert commands == ["find"] * 2, "what writes nothing is read"


async def test_a_guess_that_is_wrong_costs_a_command_and_nothing_else(
    store: MongoUserStore,
    other: MongoUserStore,
    documents: Collection[dict[str, Any]],
    commands: list[str],
) -> None:
    await store.create_if_not_exists("alice", new_user())
    written = await other.patch("alice", patch(custom={"other": "x"}))
    commands.clear()
    result = await store.patch("alice", patch(custom={"mine": "x"}))
    assert result.before == written.after
    assert result.after.snapshot.custom == {"other": "x", "mine": "x"}
    assert commands == ["replace", "find", "replace"]
    documents.delete_one({"_id": "alice"})
    with pytest.raises(NameRequired):
        await store.patch("alice", patch(locale="en"))
    assert documents.find_one({"_id": "alice"}) is None
    commands.clear()
    with pytest.raises(NameRequired):
        await store.patch("alice", patch(locale="de"))
    assert commands == ["find"]


async def test_who_was_told_of_a_change_does_not_guess(
    store: MongoUserStore, other: MongoUserStore, commands: list[str]
) -> None:
    await store.create_if_not_exists("alice", new_user())
    written = await other.patch("alice", patch(name="Bob"))
    store.hear(written.after.snapshot)
    commands.clear()
    assert (await store.patch("alice", patch(locale="en"))).before == written.after
    assert commands == ["find", "replace"]


async def test_where_all_write_the_same_users_nobody_guesses(
    store: MongoUserStore, other: MongoUserStore, commands: list[str]
) -> None:
    users = [f"user {number}" for number in range(30)]
    for number in range(3):
        for writer in (store, other):
            name = f"{number} {id(writer)}"
            await asyncio.gather(*(writer.patch(user, patch(name=name)) for user in users))
    commands.clear()
    for user in users:
        await store.patch(user, patch(locale="en"))
    assert commands == ["find", "replace"] * 30
    assert (await existing(other, users[-1])).snapshot.locale == "en"
