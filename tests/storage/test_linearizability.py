"""No schedule of several gateways has a history that one sequential user could not have."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from pymongo import MongoClient

from tests.storage.search.mongo_worlds import ModelWorld, RealWorld
from tests.storage.search.schedules import Schedule
from tests.storage.search.worlds import MemoryWorld, SQLiteWorld
from tests.support.mongodb import MongoServer, new_database

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from tests.storage.search.schedules import MakeWorld

SCHEDULES = int(os.environ.get("USERLINE_TEST_SCHEDULES", "300"))
FIRST = int(os.environ.get("USERLINE_TEST_FIRST_SCHEDULE", "0"))
SEEDS = range(FIRST, FIRST + SCHEDULES)


def search(make_world: MakeWorld, *, without: Container[str] = (), share: float = 1.0) -> None:
    for seed in SEEDS[: max(1, int(SCHEDULES * share))]:
        Schedule(seed, make_world, without=without).run()


def test_in_memory() -> None:
    search(MemoryWorld)


def test_on_sqlite(tmp_path: Path) -> None:
    search(partial(SQLiteWorld, path=tmp_path / "users.db"), share=0.5)


def test_on_mongodb() -> None:
    """By a model of MongoDB in memory, whose statements take effect one by one."""
    search(ModelWorld)


def test_on_mongodb_where_commands_are_lost() -> None:
    """Some never arrive, some arrive late, of some the answer is lost."""
    search(partial(ModelWorld, losses=True))


def test_on_mongodb_where_commands_are_done_twice() -> None:
    """As where a server has forgotten a transaction's number: the answer is that of the second time.

    Who is deleted in between, or written by a gateway of before, leaves no trace of the first time.
    """
    search(partial(ModelWorld, forgetful=True), without=("delete", "old", "anew", "erase"))


def test_on_mongodb_where_deletions_are_done_twice() -> None:
    """One gateway alone is told that it has deleted the user, or none is told anything."""
    search(partial(ModelWorld, forgetful=True, of=": delete"), without=("delete", "anew"))


def test_on_a_server(server: MongoServer) -> None:
    """By real commands to a server that stands in for MongoDB, or to MongoDB."""
    url = server.url(new_database())
    with MongoClient[dict[str, object]](url) as client:
        search(partial(RealWorld, url=url, client=client), share=0.2)
        client.drop_database(client.get_default_database())
