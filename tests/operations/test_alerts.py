"""Every alert is proven by causing what it is for: a real Prometheus scrapes real gateways, and it fires."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.support.gateway import RunningGateway
from tests.support.mongodb import MongoServer
from tests.support.ports import free_port
from tests.support.prometheus import PrometheusServer, find_tool, hastened
from tests.support.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = Path(__file__).parents[2] / "docs" / "operations" / "alerts.yaml"
ALERTS = set(re.findall(r"- alert: (\w+)", RULES.read_text()))

_PROVEN: set[str] = set()


def test_the_rules_are_good_ones() -> None:
    done = subprocess.run([find_tool("promtool"), "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


class Scene:
    """A gateway on a MongoDB stand-in and Redis, with small limits, and Prometheus beside it."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.redis = RedisServer(directory)
        stack.callback(self.redis.kill)
        self.mongodb = MongoServer("nx-27017", directory)
        self.mongodb.start()
        stack.callback(self.mongodb.stop)
        store = self.mongodb.url(timeoutMS=1500)
        limits = ["--max-sockets", "10", "--header-seconds", "0.5", "--cache-seconds", "0"]
        (directory / "a").mkdir()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))  # the gateway inherits it
        try:
            self.gateway = RunningGateway(directory / "a", "--store-url", store, "--bus-url", self.redis.url, *limits)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        stack.callback(self.gateway.kill)
        (directory / "b").mkdir()
        self.embedded = RunningGateway(directory / "b", "--cache-seconds", "0")
        stack.callback(self.embedded.kill)
        (directory / "c").mkdir()
        self.many = RunningGateway(directory / "c", "--workers", "2", "--bus-url", self.redis.url)
        stack.callback(self.many.stop)
        everybody = (self.gateway, self.embedded, self.many)
        targets = [gateway.url.removeprefix("http://") for gateway in everybody]
        (directory / "prometheus").mkdir()
        self.absent = free_port()
        self.prometheus = PrometheusServer(
            directory / "prometheus", [*targets, f"127.0.0.1:{self.absent}"], hastened(RULES.read_text())
        )
        stack.callback(self.prometheus.stop)

    def fires(self, *alerts: str) -> None:
        """Wait until each of the alerts fires."""
        for alert in alerts:
            self.prometheus.wait_for(alert)
            _PROVEN.add(alert)

    def quiet(self) -> None:
        """Wait until no alert fires any more but the one of the gateway that is not there."""
        deadline = time.monotonic() + 60
        while self.prometheus.firing() - {"UserlineDown"}:
            assert time.monotonic() < deadline, f"{self.prometheus.firing()} go on"
            time.sleep(0.2)

    @contextmanager
    def asking(self, gateway: RunningGateway, query: str) -> Iterator[None]:
        """Send one operation after the other meanwhile, whatever becomes of them."""
        stop = threading.Event()

        def ask() -> None:
            while not stop.wait(0.05):
                with suppress(httpx.TransportError):
                    httpx.post(f"{gateway.url}/graphql", json={"query": query}, timeout=10)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    find_tool("prometheus")
    with ExitStack() as stack:
        made = Scene(tmp_path_factory.mktemp("scene"), stack)
        made.gateway.set_user("alice", name="Alice")
        made.embedded.set_user("alice", name="Alice")
        made.prometheus.wait_for("UserlineDown")
        made.quiet()
        yield made


@pytest.fixture(autouse=True)
def calm(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing but what is caused fires, and what was caused ends."""
    yield
    if "scene" in request.fixturenames:
        request.getfixturevalue("scene").quiet()


def test_a_gateway_that_is_not_there(scene: Scene) -> None:
    scene.fires("UserlineDown")
    # A busy machine now and then misses the time of another one's scrape, too.
    deadline = time.monotonic() + 30
    while (away := {item["metric"]["instance"] for item in scene.prometheus.query("up == 0")}) != {
        f"127.0.0.1:{scene.absent}"
    }:
        assert time.monotonic() < deadline, away
        time.sleep(0.2)


def test_redis_away_and_changes_that_pile_up(scene: Scene) -> None:
    scene.redis.kill()
    try:
        scene.fires("UserlineBusLost", "UserlineCatchingUp")
        for start in range(0, 1100, 100):
            users = {f"u{number}": {"name": "U"} for number in range(start, start + 100)}
            answer = scene.gateway.http.put("/v1/userline/users", json=users)
            assert answer.status_code == 200, answer.text
        scene.fires("UserlineBusBacklog")
    finally:
        scene.redis.start()


def test_redis_that_is_slow(scene: Scene) -> None:
    scene.redis.freeze()
    thaw = threading.Timer(0.9, scene.redis.thaw)
    thaw.start()
    scene.gateway.set_user("alice", name="Alice the second")
    thaw.join()
    scene.fires("UserlineBusLag")


@pytest.mark.parametrize(("counted", "said"), [("nonsense", "nonsense"), ("foreign", '{"app":"another","body":[]}')])
def test_nonsense_on_the_bus(scene: Scene, counted: str, said: str) -> None:
    deadline = time.monotonic() + 20
    while not scene.prometheus.query(f"increase(userline_bus_{counted}_total[4s]) > 0"):
        assert time.monotonic() < deadline
        scene.redis.command("PUBLISH", "userline:userline:changes", said)
        time.sleep(0.2)
    scene.fires("UserlineBusNonsense")


def test_a_store_that_does_not_answer(scene: Scene) -> None:
    with scene.asking(scene.gateway, 'query Slow { user(id: "alice") { name } }'):
        scene.mongodb.freeze()
        try:
            scene.fires("UserlineStoreUnavailable", "UserlineStoreSlow", "UserlineSlow")
        finally:
            scene.mongodb.thaw()


def test_data_that_something_else_has_written(scene: Scene) -> None:
    with sqlite3.connect(scene.embedded.database) as connection:
        connection.execute("UPDATE users SET custom = '{'")
    with scene.asking(scene.embedded, 'query Odd { user(id: "alice") { name } }'):
        scene.fires("UserlineInternalErrors")
    with sqlite3.connect(scene.embedded.database) as connection:
        connection.execute("UPDATE users SET custom = '{}'")
    connection.close()


def test_an_event_loop_that_stands_still(scene: Scene) -> None:
    for _ in range(2):
        scene.gateway.process.send_signal(signal.SIGSTOP)
        time.sleep(0.8)
        scene.gateway.process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
    scene.fires("UserlineLoopBlocked")


def test_clients_that_are_cut_off(scene: Scene) -> None:
    address = ("127.0.0.1", int(scene.gateway.url.rpartition(":")[2]))
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(address)).sendall(b"GET /gra")
        scene.fires("UserlineClientsReaped")


def test_as_many_sockets_as_are_allowed(scene: Scene) -> None:
    with ExitStack() as stack:
        for _ in range(9):
            opening = connect(scene.gateway.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")])
            stack.enter_context(opening).send(json.dumps({"type": "connection_init"}))
        scene.fires("UserlineSocketsNearLimit")


def test_as_many_files_as_are_allowed(scene: Scene) -> None:
    address = ("127.0.0.1", int(scene.gateway.url.rpartition(":")[2]))
    with ExitStack() as stack:
        for _ in range(70):
            client = stack.enter_context(socket.create_connection(address))
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        scene.fires("UserlineFilesNearLimit")


def test_a_worker_that_dies(scene: Scene) -> None:
    parent = scene.many.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    workers = [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    scene.fires("UserlineWorkerReplaced")


def test_gateways_that_are_not_set_alike(scene: Scene) -> None:
    file = scene.embedded.directory / ".env"
    file.write_text("USERLINE_MAX_EMAILS=3\n")
    scene.embedded.process.send_signal(signal.SIGHUP)
    scene.fires("UserlineSettingsDiffer")
    file.write_text("")
    scene.embedded.process.send_signal(signal.SIGHUP)


def test_every_alert_was_caused(scene: Scene) -> None:
    assert scene.prometheus.firing() <= ALERTS
    assert ALERTS == _PROVEN
