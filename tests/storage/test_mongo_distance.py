"""A database that is far away: few commands, as many at once as the way is long, and first come first served."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.contract.base import existing, new_user, patch
from tests.storage.far_database import Held, connection_of, opened
from tests.support.mongo_wire.proxy import HELLOS
from tests.support.waiting import until
from userline.storage.mongo.distance import FAR_SECONDS, NEAR, batches_for, sizes_for, writes_apart_for
from userline.storage.mongo.url import parse_mongo_url
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from tests.support.mongodb import MongoServer
    from userline.storage.mongo import MongoUserStore
    from userline.storage.mongo.driver import DriverName
    from userline.users.patch import UserPatch


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for an answer to what is under way does so for as long as that takes."""
    monkeypatch.setattr("userline.storage.batch_scheduler._PATIENCE_SECONDS", 60)


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is near, however busy the machine is."""
    monkeypatch.setattr("userline.storage.mongo.driver.Driver.round_trip", 0.0)
    monkeypatch.setattr("userline.storage.mongo.opening.sizes_for", lambda _: NEAR)
    monkeypatch.setattr("userline.storage.mongo.connection.batches_for", lambda _: 2)


@pytest.mark.usefixtures("patient", "near")
async def test_writes_that_wait_are_written_in_the_order_of_their_coming(nx: MongoServer, driver: DriverName) -> None:
    async with opened(nx, driver) as (store, proxy):
        users = [f"user {number}" for number in range(400)]
        for first in range(0, 400, 100):
            await store.patch_many({user: patch(name="Before") for user in users[first : first + 100]})
        held = Held("update")
        proxy.players.append(held)
        done: list[str] = []

        async def write(user: str) -> None:
            await store.patch(user, patch(name="After"))
            done.append(user)

        async with asyncio.TaskGroup() as writes:
            for user in users:
                writes.create_task(write(user))
            await until(lambda: len(held) == 2)
            while len(done) < len(users):
                before = len(done)
                held.release()
                await until(lambda before=before: len(done) > before)  # type: ignore[misc]
                await until(lambda: len(held) == 2 or len(done) + 64 * len(held) >= len(users))
        assert done == users
        assert held.most == 2, "no more were under way than help"
        assert (await existing(store, users[-1])).snapshot.name == "After"


@pytest.mark.usefixtures("near")
async def test_writes_that_hang_do_not_hold_the_others_up_for_long(nx: MongoServer, driver: DriverName) -> None:
    async with opened(nx, driver) as (store, proxy):
        users = ["stuck 0", "stuck 1", "stuck 2", "alive 3"]
        await store.patch_many({user: patch(name="Before") for user in users})
        held = Held("update")
        proxy.players.append(held)
        stuck = []
        for number in range(3):
            stuck.append(asyncio.ensure_future(store.patch(users[number], patch(name="After"))))
            await until(lambda number=number: len(held) == number + 1, 5)  # type: ignore[misc]
        proxy.players.remove(held)
        result = await asyncio.wait_for(store.patch("alive 3", patch(name="After")), 5)
        assert result.changed
        for _ in range(3):
            held.release()
        assert all(result.changed for result in await asyncio.gather(*stuck))


async def written(store: MongoUserStore, patches: dict[str, UserPatch]) -> None:
    """Write these, as often as it takes: a busy machine now and then needs more than the store's second."""
    for _ in range(20):
        with suppress(StoreUnavailable):
            await store.patch_many(patches)
            return
    raise AssertionError("the database did not answer in time 20 times")


@pytest.mark.usefixtures("patient", "near")
async def test_who_has_waited_too_long_is_not_written_any_more(nx: MongoServer, driver: DriverName) -> None:
    async with opened(nx, driver, timeoutMS=1000) as (store, proxy):
        users = [f"user {number}" for number in range(300)]
        for first in range(0, 300, 20):
            await written(store, {user: patch(name="Before") for user in users[first : first + 20]})
        held = Held("update")
        proxy.players.append(held)
        outcomes = await asyncio.gather(
            *(store.patch(user, patch(name="After")) for user in users), return_exceptions=True
        )
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        sent = sum(len(message.documents("updates")) for message in proxy.commands if message.command == "update")
        assert sent <= 4 * 64, "what nobody waits for any more was not sent"


async def test_batches_at_once_share_their_commands(nx: MongoServer, driver: DriverName) -> None:
    async with opened(nx, driver) as (store, proxy):
        proxy.commands.clear()
        batches = [{f"user {number}.{each}": patch(name="x") for each in range(10)} for number in range(40)]
        results = await asyncio.gather(*map(store.patch_many, batches))
        assert all(result.created for each in results for result in each.values())
        names = [message.command for message in proxy.commands if message.namespace.endswith(".users")]
        assert names.count("find") <= 4
        assert len(names) <= 4 + 10


async def test_a_far_database_is_read_by_as_many_commands_as_the_way_is_long(
    nx: MongoServer, driver: DriverName
) -> None:
    async with opened(nx, driver, away=0.03) as (store, proxy):
        connection = connection_of(store)
        assert connection.round_trip >= 0.03
        assert store.most_reads == min(batches_for(connection.round_trip), connection.driver.most_commands)
        assert store.most_reads >= min(9, connection.driver.most_commands)
        # The first client has greeted twice, the second by its monitor and by what it has opened at first.
        hellos = [message for message in proxy.commands if message.command in HELLOS]
        assert len(hellos) >= 3 + min(sizes_for(0.03).connecting, connection.driver.most_commands)
        users = [f"user {number}" for number in range(100)]
        await store.patch_many({user: patch(name="x") for user in users})
        assert all(await store.get_many(users))


@pytest.mark.usefixtures("near")
async def test_a_near_database_is_left_to_the_driver(nx: MongoServer, driver: DriverName) -> None:
    async with opened(nx, driver) as (store, proxy):
        await store.create_if_not_exists("alice", new_user())
        assert store.most_reads == 2
        hellos = [message for message in proxy.commands if message.command in HELLOS]
        assert len(hellos) <= 3, "one connection serves it, beside the monitor's"


@pytest.mark.parametrize("options", [{"maxPoolSize": 3}, {"maxPoolSize": 1}, {"maxPoolSize": 3, "maxConnecting": 1}])
async def test_what_the_url_says_of_the_pool_is_so(
    nx: MongoServer, driver: DriverName, options: dict[str, int]
) -> None:
    async with opened(nx, driver, away=0.01, **options) as (store, proxy):
        most = options["maxPoolSize"]
        assert connection_of(store).driver.most_commands == max(1, most - 1)
        held = Held("find")
        proxy.players.append(held)
        reads = [asyncio.ensure_future(store.get_many([f"user {number}"])) for number in range(10)]
        for _ in range(10):
            await until(lambda: len(held) > 0)
            held.release()
        assert await asyncio.gather(*reads) == [[None]] * 10
        assert held.most <= most


@given(st.floats(0, 10))
def test_sizes_are_within_bounds_and_grow_with_the_distance(seconds: float) -> None:
    sizes, farther = sizes_for(seconds), sizes_for(seconds * 1.5)
    assert (sizes == NEAR) == (seconds < FAR_SECONDS)
    assert 100 <= sizes.pool <= farther.pool <= 400
    assert 2 <= sizes.connecting <= farther.connecting <= 10
    assert 2 <= batches_for(seconds) <= batches_for(seconds * 1.5) <= 32
    assert sizes.connecting < sizes.pool
    assert (writes_apart_for(seconds) == 0) == (seconds < FAR_SECONDS)
    assert writes_apart_for(seconds) <= min(seconds * 0.4, 0.004), (
        "who writes alone waits for less than half of the way"
    )


def test_pool_sizes_of_a_url_that_do_not_go_together() -> None:
    for least, most in itertools.product((0, 1, 5, 50), (0, 1, 5, 50)):
        url = f"mongodb://localhost/?minPoolSize={least}&maxPoolSize={most}"
        if most and least > most:
            with pytest.raises(ValueError, match=f"cannot have minPoolSize={least} and maxPoolSize={most}"):
                parse_mongo_url(url)
        else:
            parsed = parse_mongo_url(url)
            assert (parsed.fewest_connections, parsed.most_connections) == (least, most)


@pytest.mark.parametrize("options", [{"minPoolSize": 150}, {"minPoolSize": 5, "maxPoolSize": 5}, {"maxPoolSize": 0}])
async def test_clients_of_any_pool(nx: MongoServer, driver: DriverName, options: dict[str, int]) -> None:
    async with opened(nx, driver, **options) as (store, _):
        assert await store.get_many(["alice"]) == [None]
