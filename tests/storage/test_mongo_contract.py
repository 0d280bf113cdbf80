from collections.abc import AsyncIterator, Iterator

import pytest
from pymongo import MongoClient

from tests.storage.contract import UserStoreContract
from tests.storage.contract.base import RULES, Clock, Connect, Remove
from tests.storage.moving_contract import MovingContract
from tests.support.mongodb import MongoServer, new_database
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.driver import DriverName
from userline.storage.protocol import UserStore

NOT_ATOMIC = "FerretDB compares the version and writes in two steps, and another connection comes in between"
CANNOT = {
    ("ferretdb", "test_stores_on_the_same_data_lose_no_update"): NOT_ATOMIC,
    ("ferretdb", "test_batches_with_users_in_common_lose_no_update"): NOT_ATOMIC,
    ("ferretdb", "test_puts_and_patches_at_once_lose_nothing"): NOT_ATOMIC,
    (
        "mongo-java-server",
        "test_users_are_listed_in_the_order_of_their_code_points",
    ): "mongo-java-server orders strings by UTF-16 units, MongoDB by UTF-8 bytes",
}
"""What a stand-in cannot, and MongoDB can."""


@pytest.fixture
def url(server: MongoServer) -> Iterator[str]:
    database = new_database()
    yield server.url(database, timeoutMS=10_000)
    with MongoClient[dict[str, object]](server.url(database)) as client:
        client.drop_database(database)


class TestMongoContract(MovingContract, UserStoreContract):
    @pytest.fixture(autouse=True)
    def expect_what_a_stand_in_cannot(self, request: pytest.FixtureRequest, server: MongoServer) -> None:
        reason = CANNOT.get((server.name, request.node.originalname))
        if reason:
            # A race may end well.
            request.applymarker(pytest.mark.xfail(reason=reason, strict=reason != NOT_ATOMIC))

    @pytest.fixture
    async def connect(self, url: str, driver: DriverName, clock: Clock) -> AsyncIterator[Connect]:
        stores: list[MongoUserStore] = []

        async def connect() -> MongoUserStore:
            stores.append(MongoUserStore(url, RULES, driver, clock))
            await stores[-1].open()
            return stores[-1]

        yield connect
        for store in stores:
            await store.close()

    @pytest.fixture
    def remove(self, url: str) -> Remove:
        async def remove(user_id: str) -> None:
            with MongoClient[dict[str, object]](url) as client:
                assert client.get_default_database()["users"].delete_one({"_id": user_id}).deleted_count == 1

        return remove

    @pytest.fixture
    def unopened(self, url: str, driver: DriverName) -> UserStore:
        return MongoUserStore(url, RULES, driver)
