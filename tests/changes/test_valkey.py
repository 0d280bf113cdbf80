"""Valkey as a bus, by itself, behind Sentinels and as a cluster."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.changes.test_redis_kinds import start, until_all_are_back
from tests.changes.test_redis_roles import check_together
from tests.support.redis import RedisServer
from tests.support.redis_kinds import RULES, USER, Cluster, Sentinels

if TYPE_CHECKING:
    from tests.changes.conftest import Directories, Listen

VALKEY = os.environ.get("USERLINE_TEST_VALKEY", "")

pytestmark = pytest.mark.skipif(
    not VALKEY, reason="USERLINE_TEST_VALKEY names no valkey-server, which Debian 12 does not have"
)


async def test_by_itself(directories: Directories, listen: Listen) -> None:
    server = RedisServer(directories("valkey"), program=VALKEY)
    try:
        server.command("ACL", "SETUSER", "shop", "on", ">secret", *RULES.split())
        listeners = await start(listen, f"valkey://{USER}@127.0.0.1:{server.port}", app_id="shop")
        await check_together(*listeners)
        server.kill()
        server.start()
        server.command("ACL", "SETUSER", "shop", "on", ">secret", *RULES.split())
        await until_all_are_back(listeners)
        await check_together(*listeners)
    finally:
        server.remove()


async def test_with_sentinels(directories: Directories, listen: Listen) -> None:
    watched = Sentinels(directories, replicas=1, program=VALKEY)
    try:
        listeners = await start(listen, watched.url.replace("redis+", "valkey+"))
        watched.redis[0].kill()
        await until_all_are_back(listeners)
        await check_together(*listeners)
    finally:
        watched.remove()


async def test_in_a_cluster(directories: Directories, listen: Listen) -> None:
    cluster = Cluster(directories, program=VALKEY)
    try:
        listeners = await start(listen, cluster.url.replace("redis+", "valkey+"))
        cluster.nodes[0].kill()
        await until_all_are_back(listeners)
        await check_together(*listeners)
    finally:
        cluster.remove()
