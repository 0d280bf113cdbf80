"""A gateway whose Redis is a replica is not ready, says why, and is ready when it is a master."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer

if TYPE_CHECKING:
    from pathlib import Path


def test_a_gateway_that_starts_on_a_replica_is_ready_when_that_is_a_master(tmp_path: Path) -> None:
    (tmp_path / "replica").mkdir()
    master, replica = RedisServer(tmp_path), RedisServer(tmp_path / "replica")
    try:
        replica.follow(master)
        with ThreadPoolExecutor(1) as pool:
            starting = pool.submit(RunningGateway, tmp_path, "--bus-url", replica.url)
            deadline = time.monotonic() + 30
            while not any("cannot connect to the bus" in log.read_text() for log in tmp_path.glob("gateway-*.log")):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            time.sleep(2)
            assert not starting.done(), "it answers, but is not ready"
            replica.promote()
            gateway = starting.result(60)
        (said,) = [line for line in gateway.log.splitlines() if "cannot connect to the bus" in line]
        assert "This Redis is a replica" in said
        assert "Set USERLINE_BUS_URL to its master" in said
        replica.follow(master)
        deadline = time.monotonic() + 10
        while gateway.http.get("/readyz?strict=1").status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        gateway.set_user("alice", name="Alice")
        deadline = time.monotonic() + 10
        while not gateway.metric("userline_bus_waiting"):
            assert time.monotonic() < deadline, "the change does not wait"
            time.sleep(0.01)
        assert gateway.metric("userline_bus_published_total") == 0
        replica.promote()
        deadline = time.monotonic() + 10
        while gateway.metric("userline_bus_published_total") == 0 or not gateway.metric("userline_coherent"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert gateway.http.get("/readyz?strict=1").status_code == 200
        assert gateway.stop() == 0, gateway.log
        assert "Traceback" not in gateway.log
        assert gateway.log.count("cannot connect to the bus") == 1, gateway.log
    finally:
        master.kill()
        replica.kill()
