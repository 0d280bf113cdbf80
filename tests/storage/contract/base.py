"""What the tests of any store share: how they come to a store, and shorthands."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from userline.storage.protocol import UserStore
from userline.users.patch import UserPatch, parse_new_user, parse_patch
from userline.users.record import UserRecord
from userline.users.rules import Rules

RULES = Rules()

Connect: TypeAlias = Callable[[], Awaitable[UserStore]]

Remove: TypeAlias = Callable[[str], Awaitable[None]]
"""Removes a user behind the stores' backs."""


class Clock:
    """The stores' clock, in Unix milliseconds."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


def patch(**given: object) -> UserPatch:
    return parse_patch(given, RULES)


def new_user(**given: object) -> UserPatch:
    return parse_new_user({"name": "Alice", **given}, RULES)


async def get(store: UserStore, user_id: str) -> UserRecord | None:
    (record,) = await store.get_many([user_id])
    return record


async def existing(store: UserStore, user_id: str) -> UserRecord:
    record = await get(store, user_id)
    assert record is not None
    return record


class StoreTests:
    """Subclasses provide ``connect``, which returns one more opened store on this test's data, on ``clock`` and
    ``RULES``, and closes them all in the end; ``unopened``, a store that was never opened; and ``remove``, which
    removes a user as somebody does by hand.
    """

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def connect(self) -> Connect:
        raise NotImplementedError

    @pytest.fixture
    def remove(self) -> Remove:
        raise NotImplementedError

    @pytest.fixture
    def unopened(self) -> UserStore:
        raise NotImplementedError

    @pytest.fixture
    async def store(self, connect: Connect) -> UserStore:
        return await connect()
