"""Every peer answers as the gateway does: in a run, a peer that does not would only be left out."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

import orjson
import pytest
from bench import users
from bench.cost import start_up_memory, start_up_time, subscriber_memory
from bench.http_work import HTTPWork
from bench.scenarios import SCENARIOS
from bench.servers import BenchError
from bench.site import GATEWAY, NODE_DIRECTORY, NODE_PEERS, PYTHON_PEERS, Site
from bench.watch_work import WatchWork, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bench.site import StoreKind

READERS = (GATEWAY, *PYTHON_PEERS, *NODE_PEERS)
WATCHED = (GATEWAY, "strawberry", "strawberry-cached", "bare-uvicorn", "mercurius", "graphql-ws")
STORES: list[tuple[str, StoreKind]] = [
    (GATEWAY, "sqlite"),
    ("strawberry", "sqlite"),
    (GATEWAY, "mongodb"),
    ("mercurius", "mongodb"),
]

OPERATIONS = HTTPWork(lambda: [users.read(0)], connections=2)
MANY = HTTPWork(lambda: [users.read_many(range(100))], connections=2)
ALIASES = HTTPWork(lambda: [users.read_aliases(range(10))], connections=2)
WRITES = HTTPWork(lambda: [users.write(number, f"Name {name}") for name in range(2) for number in range(30)])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as made:
        yield made


def require(site: Site, server: str) -> None:
    missing = site.missing(server)
    if missing is None:
        return
    if os.environ.get("USERLINE_TEST_REQUIRE_ALL") == "1":
        pytest.fail(missing)
    pytest.skip(f"there is {missing}")


@pytest.mark.parametrize("server", READERS)
async def test_reads_are_right(site: Site, server: str) -> None:
    require(site, server)
    several = () if server == "bare-uvicorn" else (MANY, ALIASES)
    async with site.running(server, "memory") as running:
        for work in (OPERATIONS, *several):
            async with work.begin(running) as load:
                assert (await load.run(0.1)).count > 0


@pytest.mark.parametrize(("server", "store"), STORES)
async def test_reads_and_writes_on_a_database_are_right(site: Site, server: str, store: StoreKind) -> None:
    require(site, server)
    async with site.running(server, store) as running:
        for work in (OPERATIONS, MANY, WRITES):
            async with work.begin(running) as load:
                assert (await load.run(0.1)).count > 0


@pytest.mark.parametrize("server", WATCHED)
async def test_everybody_who_watches_hears_of_changes(site: Site, server: str) -> None:
    require(site, server)
    async with site.running(server, "memory") as running, WatchWork(20, 1, "fan_out").begin(running) as load:
        for _ in range(2):
            sample = await load.run(0.1)
            assert sample.count > 0
            assert sample.count % 20 == 0


@pytest.mark.parametrize("server", [name for name in WATCHED if name != "bare-uvicorn"])
async def test_subscriptions_to_many_users_hear_of_them_and_of_their_changes(site: Site, server: str) -> None:
    require(site, server)
    async with site.running(server, "memory") as running:
        async with WatchWork(3, 1, "subscribe").begin(running) as load:
            for _ in range(2):
                assert (await load.run(0.1)).count >= 3
        async with WatchWork(40, 40, "spread").begin(running) as load:
            for _ in range(2):
                assert (await load.run(0.1)).count >= 32


async def test_what_a_server_takes_for_itself_is_measured(site: Site) -> None:
    async with site.running(GATEWAY, "memory") as running:
        assert 10 < await start_up_time(running) < 60_000
        memory = await start_up_memory(running)
        assert 20 < memory < 1000
        assert 1 < await subscriber_memory(100, running) < 1000
        assert await start_up_memory(running) > memory


async def test_a_wrong_answer_is_noticed_before_the_load(site: Site) -> None:
    wrong = users.read(1)
    wrong.answer = users.read(2).answer
    async with site.running("ariadne", "memory") as running:
        with pytest.raises(BenchError, match=r"ariadne answers .*User 0001.*, not .*User 0002"):
            async with HTTPWork(lambda: [users.read(1), wrong]).begin(running):
                pass


async def test_a_wrong_event_is_noticed(site: Site) -> None:
    async with site.running(GATEWAY, "memory") as running:
        async with HTTPWork(lambda: [users.write(1, "Somebody")]).begin(running):
            pass
        async with watching(running.address) as watchers:
            with pytest.raises(BenchError, match=r"WrongAnswer: The server sent .*Somebody.*, not .*User 0001"):
                await watchers.open(2, 2)


def test_the_pinned_packages_name_no_host() -> None:
    lock = (NODE_DIRECTORY / "package-lock.json").read_text()
    assert "://" not in lock
    assert all(package.get("integrity") for name, package in orjson.loads(lock)["packages"].items() if name)
    pinned: dict[str, str] = orjson.loads((NODE_DIRECTORY / "package.json").read_text())["dependencies"]
    assert all(version.replace(".", "").isdigit() for version in pinned.values()), pinned


def test_names_of_scenarios_servers_and_turns_fit_together() -> None:
    for scenario in SCENARIOS.values():
        labels = [contender.label for contender in scenario.contenders]
        assert len(set(labels)) == len(labels)
        assert labels[0] == GATEWAY
    assert list(islice(SCENARIOS, 2)) == ["read", "cold-read"]
