"""A bus is joined at a master alone, whatever becomes of the Redis that it is pointed to."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.changes.test_hub import snapshot
from tests.support.detour import Detour
from tests.support.ports import free_port
from tests.support.waiting import until
from userline.changes.redis.answers import ReplicaError, SentinelError, check_role

if TYPE_CHECKING:
    from tests.changes.conftest import Listen, Serve
    from tests.changes.listening import Listener
    from tests.support.redis import RedisServer

NOTICED_WITHIN = 3.0
"""The heartbeat is every second, and the machine may be busy."""


@pytest.fixture(params=["", "?protocol=2", "?protocol=3"])
def protocol(request: pytest.FixtureRequest) -> str:
    """The end of a URL that makes redis-py speak one of Redis's protocols."""
    end: str = request.param
    return end


async def check_together(*listeners: Listener) -> None:
    """Each hears what is published through each."""
    for number, publisher in enumerate(listeners):
        user_id, version = f"{number} of {len(publisher.heard)}", random.randrange(1, 1_000_000)
        publisher.bus.publish(snapshot(version, user_id=user_id))
        for listener in listeners:
            await until(lambda one=listener, what=(user_id, version): what in {(c.id, c.version) for c in one.heard})  # type: ignore[misc]


async def test_a_replica_is_not_joined_until_it_is_a_master(
    serve: Serve, listen: Listen, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    master, replica = serve(), serve()
    replica.follow(master)
    listener = listen(replica.url + protocol)
    listener.bus.publish(snapshot(7))
    await listener.start()
    await asyncio.sleep(2)
    assert not listener.bus.connected
    assert (listener.events, listener.bus.published, listener.bus.waiting) == (["lost"], 0, 1)
    (said,) = [line for line in caplog.messages if "cannot connect to the bus" in line]
    assert "This Redis is a replica" in said
    assert "Set USERLINE_BUS_URL to its master" in said
    replica.promote()
    await listener.until_version(7)
    assert listener.events == ["lost", "joined"]
    await check_together(listener)


async def test_a_master_that_becomes_a_replica_is_left_and_joined_again_when_it_is_one(
    serve: Serve, listen: Listen, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    server, other = serve(), serve()
    listeners = [listen(server.url + protocol) for _ in range(3)]
    await asyncio.gather(*(listener.start() for listener in listeners))
    await check_together(*listeners)
    for turn in range(1, 4):
        server.follow(other)
        demoted = time.monotonic()
        await asyncio.gather(*(listener.until_joined(joined=False) for listener in listeners))
        assert time.monotonic() - demoted < NOTICED_WITHIN
        listeners[0].bus.publish(snapshot(1, user_id=f"written in turn {turn}"))
        await asyncio.sleep(0.5)
        server.promote()
        await asyncio.gather(*(listener.until_joined() for listener in listeners))
        for listener in listeners:
            assert listener.events == ["joined"] + ["lost", "joined"] * turn
        await check_together(*listeners)
        for listener in listeners:
            # It may have been published before another gateway had joined again, which reads it then.
            heard = {change.id for change in listener.heard}
            assert f"written in turn {turn}" in heard or listener is not listeners[0]
    assert (
        len([line for line in caplog.messages if "Lost the connection to the bus (This Redis is a replica" in line])
        == 9
    )


async def test_what_is_published_around_a_demotion_is_published_to_a_master_in_the_end(
    serve: Serve, listen: Listen
) -> None:
    """What a replica took counts as not published."""
    server, other = serve(), serve()
    publisher = listen(server.url)
    elsewhere = listen(other.url)
    await publisher.start()
    await elsewhere.start()
    for version in range(1, 51):
        if version == 20:
            server.follow(other)
        publisher.bus.publish(snapshot(version))
        await asyncio.sleep(0.02)
    assert publisher.bus.waiting == 1
    assert publisher.bus.published <= 20
    assert elsewhere.heard == []
    server.promote()
    await publisher.until_version(50)


async def test_an_address_that_moves_to_the_new_master_is_followed(serve: Serve, listen: Listen) -> None:
    first, second = serve(), serve()
    second.follow(first)
    address = await Detour.open(first.port)
    listeners = [listen(f"redis://127.0.0.1:{address.port}") for _ in range(2)]
    await asyncio.gather(*(listener.start() for listener in listeners))
    await check_together(*listeners)
    for old, new in ((first, second), (second, first), (first, second)):
        new.promote()
        old.follow(new)
        await asyncio.gather(*(listener.until_joined(joined=False) for listener in listeners))
        listeners[0].bus.publish(snapshot(1, user_id=f"written before {new.port}"))
        address.lead_to(new.port)
        await asyncio.gather(*(listener.until_joined() for listener in listeners))
        await check_together(*listeners)
        assert f"written before {new.port}" in {change.id for change in listeners[0].heard}
    for listener in listeners:
        assert listener.events == ["joined"] + ["lost", "joined"] * 3
    await asyncio.gather(*(listener.bus.stop() for listener in listeners))
    await address.close()


async def test_gateways_with_an_address_each_meet_at_the_master_alone(serve: Serve, listen: Listen) -> None:
    first, second = serve(), serve()
    second.follow(first)
    at_first, at_second = listen(first.url), listen(second.url)
    await asyncio.gather(at_first.start(), at_second.start())
    assert (at_first.bus.connected, at_second.bus.connected) == (True, False)
    first.follow(second)
    second.promote()
    await at_second.until_joined()
    await at_first.until_joined(joined=False)
    assert not at_first.bus.connected


async def test_two_redis_by_turns_behind_one_address_are_no_bus(
    serve: Serve, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are masters, and what is published at the one is not heard at the other."""
    ports = [serve().port, serve().port]

    class ByTurns(Detour):
        async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ports.reverse()
            self.lead_to(ports[0])
            await super()._accept(reader, writer)

    address = ByTurns(0)
    address._server = await asyncio.start_server(address._accept, "127.0.0.1", 0)
    listener = listen(f"redis://127.0.0.1:{address._server.sockets[0].getsockname()[1]}")
    await listener.start()
    await until(lambda: any("was not received" in line for line in caplog.messages))
    assert not listener.bus.connected
    await listener.bus.stop()
    await address.close()


async def test_a_publisher_that_is_cut_off_is_a_gap_as_well(server: RedisServer, listen: Listen) -> None:
    """A new connection might lead elsewhere, so what listens is connected anew with what publishes."""
    listener = listen(server.url)
    await listener.start()
    for turn in range(1, 6):
        server.command("CLIENT", "KILL", "TYPE", "normal")
        await until(lambda turn=turn: listener.events == ["joined"] + ["lost", "joined"] * turn)  # type: ignore[misc]
        await check_together(listener)


async def test_a_replica_in_a_cluster_is_as_good_as_a_master(serve: Serve, listen: Listen) -> None:
    """There every node hands on what is published to all others."""
    cluster = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port")
    master_port = str(free_port())
    master, replica = serve(*cluster, master_port), serve(*cluster, str(free_port()))
    master.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    replica.command("CLUSTER", "MEET", "127.0.0.1", str(master.port), master_port)
    name = str(master.command("CLUSTER", "MYID"), "ascii")  # type: ignore[call-overload]
    deadline = time.monotonic() + 20
    while True:
        try:
            replica.command("CLUSTER", "REPLICATE", name)
        except Exception:  # noqa: BLE001 - they have not met yet
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        else:
            break
    listeners = [listen(master.url), listen(replica.url)]
    await asyncio.gather(*(listener.start() for listener in listeners))
    await asyncio.gather(*(listener.until_joined() for listener in listeners))
    await until(lambda: "cluster_state:ok" in str(master.command("CLUSTER", "INFO")))
    await check_together(*listeners)


@pytest.mark.parametrize(
    "answer",
    [
        {b"mode": b"standalone", b"role": b"replica"},
        {"role": "slave"},
        [b"server", b"redis", b"mode", b"standalone", b"role", b"replica", b"modules", []],
        b"# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\n",
        "role:slave",
    ],
)
def test_answers_of_replicas(answer: object) -> None:
    with pytest.raises(ReplicaError):
        check_role(answer)


@pytest.mark.parametrize(
    "answer",
    [
        {b"mode": b"standalone", b"role": b"master"},
        {b"mode": b"cluster", b"role": b"replica"},
        [b"mode", b"standalone", b"role", b"master"],
        [b"mode", b"standalone", b"role", b"active-replica"],
        b"# Replication\r\nrole:master\r\nconnected_slaves:0\r\n",
    ],
)
def test_answers_of_those_where_gateways_may_meet(answer: object) -> None:
    assert check_role(answer)["role"]


def test_the_answer_of_a_sentinel() -> None:
    with pytest.raises(SentinelError):
        check_role({b"mode": b"sentinel", b"role": b"sentinel"})
