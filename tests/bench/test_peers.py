"""Every peer answers as the gateway does: in a run, a peer that does not would only be left out."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from bench import users
from bench.burst import BurstWork
from bench.cost import start_up_memory, start_up_time, subscriber_memory
from bench.http_work import HTTPWork
from bench.native import NATIVE
from bench.scenarios import SCENARIOS
from bench.servers import BenchError
from bench.site import GATEWAY, NODE_DIRECTORY, NODE_PEERS, PYTHON_PEERS, Site
from bench.watch_work import WatchWork, watching
from tests.support.needed import unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bench.site import StoreKind

# They, and what Node's peers need for SQLite, are built from their sources first, which takes minutes.
IS_BUILT = os.environ.get("USERLINE_TEST_BUILT_PEERS") == "1"
BUILT = tuple(NATIVE) if IS_BUILT else ()
READERS = (GATEWAY, *PYTHON_PEERS, *NODE_PEERS, *BUILT)
WATCHED = (GATEWAY, "strawberry", "strawberry-cached", "bare-uvicorn", "mercurius", "graphql-ws", *BUILT)
STORES: list[tuple[str, StoreKind]] = [
    (GATEWAY, "sqlite"),
    ("strawberry", "sqlite"),
    (GATEWAY, "mongodb"),
    ("mercurius", "mongodb"),
]
if IS_BUILT:
    STORES += [("mercurius", "sqlite"), ("graphql-ws", "sqlite")]

OPERATIONS = HTTPWork(lambda: [users.read(0)], connections=2)
MANY = HTTPWork(lambda: [users.read_many(range(100))], connections=2)
ALIASES = HTTPWork(lambda: [users.read_aliases(range(10))], connections=2)
WRITES = HTTPWork(lambda: [users.write(number, f"Name {name}") for name in range(2) for number in range(30)])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as made:
        yield made


def require(site: Site, server: str, store: StoreKind = "memory") -> None:
    missing = site.missing(server, store)
    if missing is not None:
        unavailable(f"there is {missing}")


@pytest.mark.parametrize("server", READERS)
async def test_reads_are_right(site: Site, server: str) -> None:
    require(site, server)
    several = () if server in {"bare-uvicorn", "limit"} else (MANY, ALIASES)
    async with site.running(server, "memory") as running:
        for work in (OPERATIONS, *several):
            async with work.begin(running) as load:
                assert (await load.run(0.1)).count > 0


@pytest.mark.parametrize(("server", "store"), STORES)
async def test_reads_and_writes_on_a_database_are_right(site: Site, server: str, store: StoreKind) -> None:
    require(site, server, store)
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


async def test_lists_of_users_hear_of_them_and_of_their_changes(site: Site) -> None:
    async with (
        site.running(GATEWAY, "memory") as running,
        WatchWork(3, 1, "fan_out", listed=1000).begin(running) as load,
    ):
        sample = await load.run(0.3)
    assert sample.count >= 3
    assert sample.count % 3 == 0


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


@pytest.mark.parametrize("server", NATIVE)
def test_what_a_compiled_peer_is_made_of_is_pinned(server: str) -> None:
    directory = NATIVE[server].executable.parents[1 if server == "gqlgen" else 2]
    if server == "gqlgen":
        required = re.findall(r"^\t(\S+) (\S+)", (directory / "go.mod").read_text(), re.MULTILINE)
        hashes = (directory / "go.sum").read_text()
        assert all(f"{name} {version} h1:" in hashes for name, version in required)
        assert len(required) > 2
    else:
        wanted = tomllib.loads((directory / "Cargo.toml").read_text())["dependencies"].values()
        versions = [each if isinstance(each, str) else each["version"] for each in wanted]
        assert all(re.fullmatch(r"=\d+\.\d+\.\d+", version) for version in versions), versions
    assert all(directory.joinpath(source).is_file() for source in NATIVE[server].sources)


def test_a_peer_without_its_toolchain_is_left_out_and_says_why() -> None:
    missing = replace(NATIVE["gqlgen"], steps=(("no-such-go", "build"),), binary="build/nothing")
    assert missing.missing() == "no Go (1.26 or newer)"
    broken = replace(missing, steps=((sys.executable, "-c", "raise SystemExit(3)"),))
    assert re.fullmatch(r"no gqlgen, whose build failed: .* ended with 3", broken.missing() or "")


def test_where_a_change_is_kept_is_said_of_everybody_who_changes_users() -> None:
    kept = {}
    for scenario in SCENARIOS.values():
        for contender in scenario.contenders:
            if where := scenario.kept(contender):
                kept[scenario.name, contender.label] = where
    assert kept["write-sqlite", GATEWAY] == kept["watch-5000", GATEWAY] == kept["fan-out-1000", GATEWAY] == "disk"
    assert kept["write-sqlite", "mercurius, on disk"] == kept["watch-5000", "mercurius, on disk"] == "disk"
    assert kept["write-sqlite", "mercurius, in memory"] == kept["watch-5000", "gqlgen, in memory"] == "memory"
    assert kept["write-mongodb-5ms", GATEWAY] == kept["write-mongodb-5ms", "mercurius"] == "MongoDB"
    assert not any(name.startswith(("read", "cold", "users", "subscribe", "start")) for name, _ in kept)


async def test_what_a_burst_is_not_answered_is_counted(site: Site) -> None:
    def requests(token: str) -> list[tuple[bytes, Callable[[Any], bool]]]:
        return [*users.read_at_once(token)[:20], *users.records_at_once(token)[:20], *wrong]

    wrong = [(request, lambda _: False) for request, _ in users.read_at_once("no token")[:10]]
    async with site.running(GATEWAY, "memory") as running, BurstWork(requests).begin(running) as load:
        sample = await load.run(0.2)
    assert sample.count > 0
    assert sample.failed == sample.count / 4


@pytest.mark.parametrize("server", [GATEWAY, "mercurius"])
async def test_a_database_is_as_far_away_as_it_is_to_be(site: Site, server: str) -> None:
    require(site, server)
    flags = ("--cache-seconds", "0")
    async with site.running(server, "mongodb", flags, delay=30) as running, OPERATIONS.begin(running) as load:
        assert 58 < (await load.run(1)).p50 < 500


def test_names_of_scenarios_servers_and_turns_fit_together() -> None:
    for scenario in SCENARIOS.values():
        labels = [contender.label for contender in scenario.contenders]
        assert len(set(labels)) == len(labels)
        assert labels[0] == GATEWAY
    assert list(islice(SCENARIOS, 2)) == ["read", "cold-read"]
