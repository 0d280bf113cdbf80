"""The store in memory that other tests use, held to what they rely on."""

import pytest

from tests.storage.contract.base import Clock, Connect, Remove
from tests.storage.contract.deleting import Deleting
from tests.storage.contract.versions import Versions
from tests.storage.contract.writing import Writing
from tests.support.stores import MemoryStore


class TestMemoryStore(Deleting, Versions, Writing):
    @pytest.fixture
    def connect(self, memory: MemoryStore) -> Connect:
        async def connect() -> MemoryStore:
            return memory

        return connect

    @pytest.fixture
    def memory(self, clock: Clock) -> MemoryStore:
        store = MemoryStore()
        store.clock = clock
        return store

    @pytest.fixture
    def remove(self, memory: MemoryStore) -> Remove:
        async def remove(user_id: str) -> None:
            del memory.users[user_id]

        return remove
