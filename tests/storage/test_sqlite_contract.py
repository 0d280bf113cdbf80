import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.contract import UserStoreContract
from tests.storage.contract.base import RULES, Clock, Connect, Remove
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
    def remove(self, tmp_path: Path) -> Remove:
        async def remove(user_id: str) -> None:
            with closing(sqlite3.connect(tmp_path / "users.db", isolation_level=None)) as connection:
                assert connection.execute("DELETE FROM users WHERE id = ?", [user_id]).rowcount == 1

        return remove

    @pytest.fixture
    def unopened(self, tmp_path: Path) -> UserStore:
        return SQLiteUserStore(tmp_path / "users.db", RULES)
