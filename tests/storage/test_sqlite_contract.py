from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.contract import UserStoreContract
from tests.storage.contract.base import RULES, Clock, Connect
from tests.storage.moving_contract import MovingContract
from userline.storage.protocol import UserStore
from userline.storage.sqlite import SQLiteUserStore


class TestSQLiteContract(MovingContract, UserStoreContract):
    @pytest.fixture
    async def connect(self, tmp_path: Path, clock: Clock) -> AsyncIterator[Connect]:
        stores: list[SQLiteUserStore] = []

        async def connect() -> SQLiteUserStore:
            stores.append(SQLiteUserStore(tmp_path / "users.db", RULES, clock))
            await stores[-1].open()
            return stores[-1]

        yield connect
        for store in stores:
            await store.close()

    @pytest.fixture
    def unopened(self, tmp_path: Path) -> UserStore:
        return SQLiteUserStore(tmp_path / "users.db", RULES)
