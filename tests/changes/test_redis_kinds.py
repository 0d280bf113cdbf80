"""Redis behind Sentinels and as a cluster, and when some of it dies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.changes.test_hub import snapshot
from tests.changes.test_redis_roles import check_together
from tests.support.redis_kinds import (
    ALL,
    CLUSTER_RULES,
    RULES,
    SENTINEL_RULES,
    USER,
    Cluster,
    Sentinels,
    TlsRedis,
    wait_for,
)
from tests.support.scripted_redis import ScriptedRedis
from tests.support.waiting import until
from userline.changes import bus
from userline.changes.redis.answers import CutOffError, check_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.changes.conftest import Directories, Listen
    from tests.changes.listening import Listener
    from tests.support.redis import RedisServer

WITH_ALL = pytest.mark.skipif(not ALL, reason="it runs with USERLINE_TEST_REDIS_KINDS=1")

FAILOVER_SECONDS = 15.0
"""The Sentinels here take two or three, and the machine may be busy."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not joined at once does not hold up the test."""
    monkeypatch.setattr(bus, "START_PATIENCE_SECONDS", 0.5)


@pytest.fixture
def watched(directories: Directories) -> Iterator[Sentinels]:
    """Sentinels of the test's own, that watch over a master and a replica."""
    made = Sentinels(directories, replicas=1)
    yield made
    made.remove()


async def start(listen: Listen, url: str, count: int = 3, **names: str) -> list[Listener]:
    listeners = [listen(url, **names) for _ in range(count)]
    await asyncio.gather(*(listener.start() for listener in listeners))
    await asyncio.gather(*(listener.until_joined() for listener in listeners))
    return listeners


async def until_all_are_back(listeners: list[Listener], gaps: int = 1) -> None:
    await asyncio.gather(
        *(
            until(lambda of=listener: of.events == ["joined"] + ["lost", "joined"] * gaps, FAILOVER_SECONDS)  # type: ignore[misc]
            for listener in listeners
        )
    )


async def test_gateways_follow_the_master_that_the_sentinels_choose(watched: Sentinels, listen: Listen) -> None:
    listeners = await start(listen, watched.url)
    await check_together(*listeners)
    watched.stop_sentinel()  # the first of the URL; two are enough to choose
    watched.redis[0].kill()
    await asyncio.gather(*(listener.until_joined(joined=False) for listener in listeners))
    listeners[0].bus.publish(snapshot(1, user_id="written meanwhile"))
    await until_all_are_back(listeners)
    assert watched.masters == [watched.redis[1]]
    await until(lambda: "written meanwhile" in {change.id for change in listeners[0].heard})
    await check_together(*listeners)
    # What was the master comes back as one, until the Sentinels tell it: nobody who comes now goes there.
    watched.redis[0].start()
    (late,) = await start(listen, watched.url, 1)
    await check_together(*listeners, late)
    assert late.events == ["joined"]


@WITH_ALL
async def test_a_master_that_is_frozen_is_left_and_not_joined_when_it_is_back(
    watched: Sentinels, listen: Listen
) -> None:
    listeners = await start(listen, watched.url)
    watched.redis[0].freeze()
    await until_all_are_back(listeners)
    watched.redis[0].thaw()
    await check_together(*listeners)
    # Until the Sentinels have told it, it calls itself a master.
    late = await start(listen, watched.url, 1)
    await check_together(*listeners, *late)


async def test_a_master_that_the_sentinels_have_given_up_is_left(
    watched: Sentinels, listen: Listen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It answers, and calls itself a master: what tells is that they name another."""
    monkeypatch.setattr("userline.changes.redis.backend._WATCH_SECONDS", 0.5)
    (listener,) = await start(listen, watched.url, 1)
    old, new = watched.redis
    # They can no longer tell it what it is to be.
    old.command("ACL", "SETUSER", "default", "-replicaof", "-slaveof", "-multi", "-exec", "-config")
    watched.command("SENTINEL", "FAILOVER", "mymaster")
    wait_for(lambda: new.command("ROLE")[0] == b"master", "there was no failover")  # type: ignore[index]
    await until_all_are_back([listener])
    assert "The Sentinels name another master than the Redis server in use" in caplog.text
    assert new.command("PUBSUB", "NUMSUB", "userline:userline:changes")[1] == 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("/mymaster|/other", "know no master with the name that is in USERLINE_BUS_URL"),
        ("hush%26hush|wrong", "The Sentinels do not accept this user name and password"),
        ("sentinel_password|client_name", "The Sentinels do not accept this user name"),
    ],
)
async def test_what_sentinels_refuse(
    sentinels: Sentinels, listen: Listen, caplog: pytest.LogCaptureFixture, change: str, says: str
) -> None:
    old, new = change.split("|")
    listener = listen(sentinels.url.replace(old, new))
    await listener.start()
    await until(lambda: says in caplog.text)
    assert not listener.bus.connected
    assert "hush" not in caplog.text


async def test_the_user_of_the_docs_at_the_sentinels(
    sentinels: Sentinels, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    url = sentinels.url.partition("?")[0] + "?sentinel_username=gateway&sentinel_password=pass"
    for number in range(3):
        sentinels.command("ACL", "SETUSER", "gateway", "on", ">pass", *SENTINEL_RULES.split(), at=number)
    (listener,) = await start(listen, url, 1)
    await check_together(listener)
    for number in range(3):
        sentinels.command("ACL", "SETUSER", "gateway", "-@all", at=number)
    late = listen(url)
    await late.start()
    await until(lambda: "may not ask for the master" in caplog.text)
    assert "+sentinel|get-master-addr-by-name" in caplog.text
    assert listener.events == ["joined"]


async def test_what_is_no_sentinel(sentinels: Sentinels, listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    redis_itself = listen(f"redis+sentinel://127.0.0.1:{sentinels.redis[0].port}/mymaster")
    await redis_itself.start()
    await until(lambda: "The server at this address is not a Sentinel" in caplog.text)
    nobody = listen("redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster")
    await nobody.start()
    await until(lambda: "No Sentinel can be reached" in caplog.text)


@WITH_ALL
async def test_sentinels_and_redis_by_tls_with_users(directories: Directories, listen: Listen) -> None:
    sentinels = Sentinels(directories, tls=TlsRedis(directories("tls"), f"shop on >secret {RULES}"))
    try:
        listeners = await start(listen, sentinels.url, 2, app_id="shop")
        await check_together(*listeners)
    finally:
        sentinels.remove()


async def test_another_node_of_a_cluster_takes_the_place_of_one_that_dies(
    directories: Directories, listen: Listen
) -> None:
    cluster = Cluster(directories, user=f"{USER}@")
    for node in cluster.nodes:
        node.command("ACL", "SETUSER", "shop", "on", ">secret", *CLUSTER_RULES.split())
    try:
        host, *others = cluster.url.partition(f"{USER}@")[2].split(",")
        urls = [cluster.url, f"redis+cluster://{USER}@" + ",".join([*others, host])]
        listeners = [*await start(listen, urls[0], 2, app_id="shop"), *await start(listen, urls[1], 1, app_id="shop")]
        await check_together(*listeners)  # from node to node
        cluster.nodes[0].kill()
        await until_all_are_back(listeners[:2])
        await check_together(*listeners)
        await until(lambda: "cluster_state:fail" in str(cluster.nodes[1].command("CLUSTER", "INFO")))
        await check_together(*listeners)
        assert listeners[2].events == ["joined"], "who was at another node has noticed nothing"
        if ALL:
            cluster.nodes[0].start()
            cluster.wait()
            cluster.nodes[1].freeze()
            await until_all_are_back(listeners[:2], 2)
            await until_all_are_back(listeners[2:])
            cluster.nodes[1].thaw()
            await check_together(*listeners)
    finally:
        cluster.remove()


async def test_a_node_that_is_cut_off_from_its_cluster_is_left(
    cluster: Cluster, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes what is published, and only those hear it who are at the same node."""
    (listener,) = await start(listen, cluster.url, 1)
    for node in cluster.nodes[1:]:
        node.freeze()
    try:
        await listener.until_joined(joined=False)
        assert "no connection to most of the others" in caplog.text
    finally:
        cluster.thaw()
    await listener.until_joined()
    await check_together(listener)


async def test_a_user_who_may_not_ask_for_the_clusters_state(cluster: Cluster, listen: Listen) -> None:
    for node in cluster.nodes:
        node.command("ACL", "SETUSER", "blind", "on", ">pass", *RULES.replace("shop", "blind").split())
    (listener,) = await start(listen, cluster.url.replace("//", "//blind:pass@"), 1, app_id="blind")
    await check_together(listener)


async def test_a_redis_that_is_no_node_of_a_cluster(
    server: RedisServer, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    listener = listen(f"redis+cluster://127.0.0.1:{server.port}")
    await listener.start()
    await until(lambda: "This Redis server is not a node of a cluster" in caplog.text)
    assert "redis://HOST:PORT" in caplog.text


@pytest.mark.parametrize(
    ("state", "fail", "pfail", "joined"),
    [
        ("ok", 0, 0, True),
        ("ok", 0, 5461, True),
        ("ok", 5461, 0, True),
        ("fail", 5461, 0, True),
        ("fail", 0, 5461, False),
        ("fail", 5461, 5461, False),
        ("fail", 0, 0, False),
    ],
)
def test_states_of_clusters(state: str, fail: int, pfail: int, joined: bool) -> None:
    answer = f"cluster_state:{state}\r\ncluster_slots_pfail:{pfail}\r\ncluster_slots_fail:{fail}\r\n".encode()
    if joined:
        assert check_cluster(answer)["cluster_state"] == state
    else:
        with pytest.raises(CutOffError):
            check_cluster(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"*0\r\n",
        b"*3\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n2\r\n",
        b"*2\r\n:1\r\n:2\r\n",
        b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
        b"*2\r\n$1\r\n\xff\r\n$1\r\n1\r\n",
        b"+OK\r\n",
        b":1\r\n",
        b"\xff\x00\xfe garbage\r\n",
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        b"-IDONTKNOW No such master\r\n",
        b"-BUSY hush\r\n",
    ],
)
async def test_answers_that_no_sentinel_gives(listen: Listen, caplog: pytest.LogCaptureFixture, answer: bytes) -> None:
    scripted = await ScriptedRedis.open(answer)
    try:
        listener = listen(f"redis+sentinel://127.0.0.1:{scripted.port}/mymaster?protocol=2")
        await listener.start()
        await until(lambda: "cannot connect to the bus" in caplog.text)
        assert "entinel" in caplog.text
        assert not listener.bus.connected
        await listener.bus.stop()
    finally:
        await scripted.close()
