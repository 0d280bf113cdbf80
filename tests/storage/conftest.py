"""A MongoDB of each kind that this run is for, by both drivers."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.storage.contract.base import RULES, Clock
from tests.support.mongodb import MongoServer, new_database, running_mongo, servers_to_test
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.driver import DriverName


@pytest.fixture(scope="module", params=servers_to_test())
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    if request.param == "nx-27017":
        yield request.getfixturevalue("nx")
        return
    with running_mongo(tmp_path_factory.mktemp(request.param), request.param) as server:
        yield server


@pytest.fixture(params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> DriverName:
    name: DriverName = request.param
    return name


@pytest.fixture
def database() -> str:
    return new_database()


@pytest.fixture
def documents(server: MongoServer, database: str) -> Iterator[Collection[dict[str, Any]]]:
    """The users' collection, as any other program sees it."""
    with MongoClient[dict[str, Any]](server.url(database)) as client:
        yield client[database]["users"]
        client.drop_database(database)


@pytest.fixture
async def store(
    server: MongoServer,
    database: str,
    driver: DriverName,
    documents: Collection[dict[str, Any]],  # noqa: ARG001 - removes what the store leaves
) -> AsyncIterator[MongoUserStore]:
    store = MongoUserStore(server.url(database), RULES, driver, Clock())
    await store.open()
    yield store
    await store.close()
