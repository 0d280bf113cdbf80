"""Every metric is moved by what it counts, through the door of a real gateway."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.gateway import RunningGateway
from tests.support.raw_http import raw_connection, raw_post
from tests.support.redis import RedisServer
from tests.support.tokens import SECRET, KeyServer, Signer, claims_of, token_of
from tests.support.waiting import until
from tests.support.watching import Watching
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from websockets.sync.client import ClientConnection

PROTOCOL = Subprotocol("graphql-transport-ws")

MOVED: set[str] = set()


class Meters:
    """The metrics of a gateway, and what has become of them."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway

    def read(self) -> dict[tuple[str, str], float]:
        """Return all samples by name and labels."""
        families = text_string_to_metric_families(self.gateway.http.get("/metrics").text)
        return {
            (sample.name, ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def value(self, name: str, labels: str = "") -> float:
        return self.read().get((name, labels), 0.0)

    def moves(self, name: str, cause: Callable[[], object], by: float = 1, labels: str = "") -> None:
        """Assert that the cause, and nothing before it, adds ``by`` to a metric, soon."""
        before = self.value(name, labels)
        time.sleep(0.02)
        assert self.value(name, labels) == before, "it moves by itself"
        cause()
        deadline = time.monotonic() + 10
        while (value := self.value(name, labels)) != before + by:
            assert time.monotonic() < deadline, f"{name} went from {before} to {value}, not by {by}"
            time.sleep(0.02)
        MOVED.add(name)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[Meters]:
    flags = ["--header-seconds", "0.3", "--ping-seconds", "0", "--cache-seconds", "3600", "--max-sockets", "77"]
    running = RunningGateway(tmp_path_factory.mktemp("gateway"), "--bus-url", redis.url, *flags)
    yield Meters(running)
    assert running.stop() == 0, running.log
    assert "Traceback" not in running.log, running.log


def ask(meters: Meters, query: str) -> Callable[[], object]:
    return lambda: meters.gateway.execute(query)


@contextmanager
def open_socket(gateway: RunningGateway) -> Iterator[ClientConnection]:
    with connect(gateway.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")]) as client:
        client.send(json.dumps({"type": "connection_init"}))
        client.recv()
        yield client


def subscribe(client: ClientConnection, query: str) -> None:
    client.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
    client.recv()


def test_operations_and_their_time(meters: Meters) -> None:
    good, bad = 'query Good { user(id: "nobody") { id } }', 'query Bad { user(id: "") { id } }'
    ok = "code=OK,operation=Good"
    meters.moves("userline_requests_total", ask(meters, good), labels=ok)
    meters.moves("userline_request_seconds_count", ask(meters, good), labels="operation=Good")
    meters.moves("userline_requests_total", ask(meters, bad), labels="code=BAD_USER_INPUT,operation=Bad")
    broken = "code=GRAPHQL_PARSE_FAILED,operation=refused"
    meters.moves("userline_requests_total", ask(meters, "query Broken {"), labels=broken)
    meters.moves("userline_requests_total", ask(meters, "{ app { id } }"), labels="code=OK,operation=unnamed")

    def batch() -> None:
        meters.gateway.http.post("/graphql", json=[{"query": good}] * 3)

    meters.moves("userline_requests_total", batch, by=3, labels=ok)


def test_operations_on_sockets(meters: Meters) -> None:
    with open_socket(meters.gateway) as client:
        query = 'subscription Watch { userChanged(id: "nobody") { id } }'
        labels = "code=OK,operation=Watch"
        meters.moves("userline_requests_total", lambda: subscribe(client, query), labels=labels)
    with open_socket(meters.gateway) as client:
        query = 'subscription Watch { userChanged(id: "") { id } }'
        labels = "code=BAD_USER_INPUT,operation=Watch"
        meters.moves("userline_requests_total", lambda: subscribe(client, query), labels=labels)
    with open_socket(meters.gateway) as client:
        labels = "code=OK,operation=Query"
        meters.moves("userline_requests_total", lambda: subscribe(client, "query Query { app { id } }"), labels=labels)


def test_answers_to_http_requests(meters: Meters) -> None:
    labels = "method=GET,status=404"
    meters.moves("userline_http_responses_total", lambda: meters.gateway.http.get("/nothing"), labels=labels)
    labels = "method=other,status=405"
    meters.moves("userline_http_responses_total", lambda: meters.gateway.http.delete("/graphql"), labels=labels)


def test_reads_of_the_store(meters: Meters) -> None:
    users = iter(range(1000))

    def read() -> None:
        ids = [f"read{next(users)}" for _ in range(7)]
        meters.gateway.execute(f"{{ users(ids: {json.dumps(ids)}) {{ id }} }}")

    meters.moves("userline_store_reads_total", read)
    meters.moves("userline_store_read_ids_total", read, by=7)
    meters.moves("userline_store_batch_ids_sum", read, by=7)
    meters.moves("userline_store_batch_ids_bucket", read, labels="le=10.0")
    meters.moves("userline_store_seconds_count", read, labels="call=get_many")
    meters.moves("userline_cache_misses_total", read, by=7)
    meters.moves("userline_cached_users", read, by=7)
    meters.moves("userline_cache_hits_total", ask(meters, '{ users(ids: ["read0", "read1"]) { id } }'), by=2)


@pytest.mark.parametrize("call", ["patch", "create_if_not_exists", "patch_many", "list_users", "ping"])
def test_other_calls_of_the_store(meters: Meters, call: str) -> None:
    http = meters.gateway.http
    causes: dict[str, Callable[[], object]] = {
        "patch": lambda: meters.gateway.set_user("calls", name="A"),
        "create_if_not_exists": ask(
            meters, 'mutation { createUserIfNotExists(id: "calls", input: {name: "A"}) { created } }'
        ),
        "patch_many": lambda: http.put("/v1/userline/users", json={"calls": {"name": "B"}}),
        "list_users": lambda: http.get("/v1/userline/users"),
        "ping": lambda: http.get("/readyz"),
    }
    meters.moves("userline_store_seconds_count", causes[call], labels=f"call={call}")


def test_a_store_that_does_not_answer(tmp_path: Path) -> None:
    # The test of alerts has a store that hangs; here one has gone away under a gateway that has it open.
    gateway = RunningGateway(tmp_path, "--cache-seconds", "0")
    try:
        gateway.set_user("a", name="A")
        gateway.database.write_bytes(b"\0" * gateway.database.stat().st_size)
        for name in ("-wal", "-shm"):
            path = gateway.database.with_name(gateway.database.name + name)
            path.write_bytes(b"\0" * path.stat().st_size)
        meters = Meters(gateway)
        query = 'query Away { user(id: "b") { name } }'
        meters.moves("userline_store_errors_total", ask(meters, query), labels="call=get_many")
        labels = "code=STORE_UNAVAILABLE,operation=Away"
        meters.moves("userline_requests_total", ask(meters, query), labels=labels)
    finally:
        gateway.kill()


def test_keys_of_tokens(tmp_path: Path) -> None:
    signer = Signer.new("ES256", "first")
    server = KeyServer(signer)
    gateway = RunningGateway(tmp_path, "--jwks-url", server.url, "--jwks-seconds", "1")
    meters = Meters(gateway)

    def rises(name: str) -> None:
        before = meters.value(name)
        deadline = time.monotonic() + 10
        while meters.value(name) <= before:
            assert time.monotonic() < deadline, f"{name} stays at {before}"
            time.sleep(0.02)
        MOVED.add(name)

    try:
        assert meters.value("userline_jwks_keys") == 1
        rises("userline_jwks_fetches_total")
        rises("userline_jwks_age_seconds")
        server.status = 500
        rises("userline_jwks_failures_total")
        assert meters.value("userline_jwks_keys") == 1
        server.status = 200
        with connect(gateway.websocket_url, subprotocols=[PROTOCOL]) as client:
            token = signer.sign(claims_of("alice"))
            client.send(json.dumps({"type": "connection_init", "payload": {"token": token}}))
            client.recv()
            server.show()
            rises("userline_tokens_ended_total")
        assert meters.value("userline_jwks_keys") == 0
        MOVED.add("userline_jwks_keys")
    finally:
        server.stop()
        assert gateway.stop() == 0, gateway.log


def test_documents(meters: Meters) -> None:
    before = meters.value("userline_document_cache_bytes")
    meters.gateway.execute("{ heavy: app { id } }")
    assert meters.value("userline_document_cache_bytes") > before
    MOVED.add("userline_document_cache_bytes")
    texts = iter(range(1000))
    meters.moves(
        "userline_document_cache_misses_total", lambda: meters.gateway.execute(f"{{ a{next(texts)}: app {{ id }} }}")
    )
    meters.gateway.execute("{ known: app { id } }")
    meters.moves("userline_document_cache_hits_total", ask(meters, "{ known: app { id } }"))


async def test_sockets_watchers_and_deliveries(meters: Meters) -> None:
    url = meters.gateway.websocket_url
    before = {name: meters.value(name) for name in ("userline_sockets", "userline_tasks", "userline_watchers")}
    watching = await Watching.start(url, ["w1", "w2", "w3"])
    await until(lambda: all(watching.seen.values()))
    assert meters.value("userline_sockets") == before["userline_sockets"] + 1
    assert meters.value("userline_watchers") == before["userline_watchers"] + 3
    assert meters.value("userline_tasks") > before["userline_tasks"]
    delivered = meters.value("userline_deliveries_total")
    await asyncio.to_thread(meters.gateway.set_user, "w1", name="Now")
    await until(lambda: watching.last("w1") == "Now")
    assert meters.value("userline_deliveries_total") == delivered + 1
    await watching.stop()
    await until(lambda: meters.value("userline_watchers") == before["userline_watchers"])
    await until(lambda: meters.value("userline_sockets") == before["userline_sockets"])
    await until(lambda: meters.value("userline_tasks") == before["userline_tasks"])
    MOVED.update(("userline_sockets", "userline_tasks", "userline_watchers", "userline_deliveries_total"))


def test_connected_users(tmp_path: Path) -> None:
    guarded = RunningGateway(tmp_path, "--presence-seconds", "1", env={"USERLINE_SECRET": SECRET})
    meters = Meters(guarded)
    headers = {"Authorization": f"Bearer {token_of('ann')}"}
    body = {"query": "{ app { id } }"}
    meters.moves("userline_connected_users", lambda: guarded.http.post("/graphql", json=body, headers=headers))
    meters.moves("userline_connected_users", lambda: time.sleep(0.9), by=-1)
    assert guarded.stop() == 0, guarded.log


def test_streams(meters: Meters) -> None:
    body = {"query": 'subscription { userChanged(id: "streamed") { id } }'}
    before = meters.value("userline_streams")
    with (
        httpx.Client(base_url=meters.gateway.url) as http,
        http.stream("POST", "/graphql", json=body, headers={"Accept": "text/event-stream"}) as response,
    ):
        chunks = response.iter_raw()  # which closes the connection when it is gone
        next(chunks)
        assert meters.value("userline_streams") == before + 1
        del chunks
    deadline = time.monotonic() + 10
    while meters.value("userline_streams") != before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    MOVED.add("userline_streams")


def test_the_fast_lane(meters: Meters) -> None:
    query = 'query Lane { user(id: "lane") { id } }'
    meters.gateway.execute(query)
    request = raw_post(json.dumps({"query": query}).encode())

    def pass_by_the_lane() -> None:
        with raw_connection(meters.gateway) as connection:
            assert connection.ask(request).status == 200  # sent in one piece, as the lane wants it

    meters.moves("userline_fast_lane_requests_total", pass_by_the_lane)
    meters.moves("userline_requests_total", pass_by_the_lane, labels="code=OK,operation=Lane")
    meters.moves("userline_request_seconds_count", pass_by_the_lane, labels="operation=Lane")
    meters.moves("userline_http_responses_total", pass_by_the_lane, labels="method=POST,status=200")
    assert "operation=Lane" in meters.gateway.log


def test_the_shortcut(meters: Meters) -> None:
    query = 'query Short { user(id: "lane") { id } }'
    meters.gateway.execute(query)
    request = raw_post(json.dumps({"query": query}).encode(), b"Connection: close")

    def take_the_shortcut() -> None:
        with raw_connection(meters.gateway) as connection:
            assert connection.ask(request).status == 200

    meters.moves("userline_shortcut_requests_total", take_the_shortcut)
    meters.moves("userline_requests_total", take_the_shortcut, labels="code=OK,operation=Short")
    meters.moves("userline_request_seconds_count", take_the_shortcut, labels="operation=Short")
    meters.moves("userline_http_responses_total", take_the_shortcut, labels="method=POST,status=200")
    assert "operation=Short" in meters.gateway.log


def test_what_is_written_to_sockets_directly(meters: Meters) -> None:
    with open_socket(meters.gateway) as client:
        query = 'subscription { userChanged(id: "direct") { name } }'
        meters.moves("userline_direct_deliveries_total", lambda: subscribe(client, query))


def test_what_is_refused(tmp_path: Path) -> None:
    limits = ["--rate-limit-per-second", "0.01", "--rate-limit-burst", "1", "--max-new-sockets-per-address", "1"]
    gateway = RunningGateway(tmp_path, "--secret", SECRET, *limits)
    meters = Meters(gateway)

    def post(token: str) -> Callable[[], object]:
        headers = {"authorization": f"Bearer {token}"}
        return lambda: httpx.post(f"{gateway.url}/graphql", json={"query": "{ app { id } }"}, headers=headers)

    try:
        meters.moves("userline_bad_tokens_total", post("bad"))
        post(token_of("alice"))()
        meters.moves("userline_rate_limit_refusals_total", post(token_of("alice")))

        def say_much() -> None:
            with connect(gateway.websocket_url, subprotocols=[PROTOCOL]) as wordy:
                wordy.send(json.dumps({"type": "connection_init", "payload": {"token": token_of("bob")}}))
                wordy.recv()
                for _ in range(21):
                    wordy.send('{"type":"ping"}')
                for _ in range(21):
                    wordy.recv()

        meters.moves("userline_socket_pauses_total", say_much)

        def open_another() -> None:
            with connect(gateway.websocket_url, subprotocols=[PROTOCOL]) as refused, pytest.raises(ConnectionClosed):
                refused.recv()

        with connect(gateway.websocket_url, subprotocols=[PROTOCOL]):
            assert meters.value("userline_new_sockets") == 1
            meters.moves("userline_new_sockets_refused_total", open_another)
    finally:
        gateway.kill()
    MOVED.add("userline_new_sockets")


def test_snapshots_that_a_newer_one_replaces(meters: Meters) -> None:
    with open_socket(meters.gateway) as client:
        subscribe(client, 'subscription { userChanged(id: "fast") { welcomeMessage } }')
        before = meters.value("userline_coalesced_total")
        # Nobody reads the socket from here on, and what is on its way to it fills up.
        deadline = time.monotonic() + 30
        number = 0
        while number % 10 or meters.value("userline_coalesced_total") == before:
            assert time.monotonic() < deadline
            meters.gateway.set_user("fast", name="F", welcomeMessage=f"{number} " + "x" * 60_000)
            number += 1
    MOVED.add("userline_coalesced_total")


def test_clients_that_are_cut_off(meters: Meters) -> None:
    address = ("127.0.0.1", int(meters.gateway.url.rpartition(":")[2]))

    def send(data: bytes) -> Callable[[], object]:
        def cause() -> None:
            with socket.create_connection(address) as client:
                client.sendall(data)
                client.settimeout(5)
                client.recv(1000)

        return cause

    meters.moves("userline_reaped_total", send(b"GET /gra"), labels="reason=slow_request")
    large = b"GET / HTTP/1.1\r\nx: " + b"x" * 20_000 + b"\r\n\r\n"
    meters.moves("userline_reaped_total", send(large), labels="reason=large_headers")

    def flood() -> None:
        with open_socket(meters.gateway) as client:
            with suppress(ConnectionClosed, OSError):
                for _ in range(200):
                    client.pong(b"x")
            with pytest.raises((ConnectionClosed, OSError)):
                client.recv(5)

    meters.moves("userline_reaped_total", flood, labels="reason=flood")


def test_a_client_that_answers_no_ping(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--ping-seconds", "0.2")
    try:

        def shake_hands_and_say_nothing() -> None:
            lines = [
                "GET /graphql HTTP/1.1",
                "host: localhost",
                "upgrade: websocket",
                "connection: upgrade",
                "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
                "sec-websocket-version: 13",
                "sec-websocket-protocol: graphql-transport-ws",
            ]
            address = ("127.0.0.1", int(gateway.url.rpartition(":")[2]))
            with socket.create_connection(address) as client:
                client.sendall("\r\n".join([*lines, "", ""]).encode())
                time.sleep(1)

        Meters(gateway).moves("userline_reaped_total", shake_hands_and_say_nothing, labels="reason=silent")
    finally:
        assert gateway.stop() == 0


def test_the_bus(meters: Meters, redis: RedisServer) -> None:
    numbers = iter(range(1000))

    def change() -> None:
        meters.gateway.set_user("bus", name=f"N{next(numbers)}")

    meters.moves("userline_bus_published_total", change)
    meters.moves("userline_bus_heard_total", change)
    meters.moves("userline_bus_lag_seconds_count", change)
    channel = "userline:userline:changes"
    meters.moves("userline_bus_nonsense_total", lambda: redis.command("PUBLISH", channel, "nonsense"))
    foreign = '{"app":"another","body":[]}'
    meters.moves("userline_bus_foreign_total", lambda: redis.command("PUBLISH", channel, foreign))
    presence = "userline:userline:presence"
    meters.moves("userline_bus_foreign_total", lambda: redis.command("PUBLISH", presence, foreign))
    failures = meters.value("userline_bus_publish_failures_total")
    meters.moves("userline_bus_gaps_total", redis.kill)
    try:
        assert meters.value("userline_bus_connected") == 0
        assert meters.value("userline_coherent") == 0
        meters.moves("userline_bus_waiting", change)
        deadline = time.monotonic() + 10
        while meters.value("userline_bus_publish_failures_total") == failures:
            assert time.monotonic() < deadline
    finally:
        redis.start()
    deadline = time.monotonic() + 10
    while not meters.value("userline_coherent") or meters.value("userline_bus_waiting"):
        assert time.monotonic() < deadline
    assert meters.value("userline_bus_connected") == 1
    MOVED.update(("userline_bus_connected", "userline_coherent", "userline_bus_publish_failures_total"))


def test_users_read_again_after_a_gap(meters: Meters, redis: RedisServer) -> None:
    with open_socket(meters.gateway) as client:
        subscribe(client, 'subscription { userChanged(id: "again") { name } }')
        before = meters.value("userline_reread_ids_total")
        redis.command("CLIENT", "KILL", "TYPE", "pubsub")
        deadline = time.monotonic() + 10
        while meters.value("userline_reread_ids_total") == before:
            assert time.monotonic() < deadline
    MOVED.add("userline_reread_ids_total")


def test_waits_for_a_turn(meters: Meters) -> None:
    before = meters.value("userline_turn_wait_seconds_count")
    # More to validate than one turn has time for, so that all but the first wait.
    batch = [{"query": "{" + " app{roles{name settings}}" * 48 + f" b{number}: __typename }}"} for number in range(50)]
    assert meters.gateway.http.post("/graphql", json=batch).is_success
    assert meters.value("userline_turn_wait_seconds_count") > before
    MOVED.add("userline_turn_wait_seconds_count")


def test_what_is_set(meters: Meters) -> None:
    assert meters.value("userline_sockets_limit") == 77
    versions = [labels for name, labels in meters.read() if name == "userline_info"]
    assert len(versions) == 1
    assert re.fullmatch("fingerprint=[0-9a-f]{12},version=.*", ",".join(sorted(versions[0].split(","))))
    before = meters.value("userline_loop_lag_seconds_count")
    time.sleep(1)
    assert meters.value("userline_loop_lag_seconds_count") > before
    MOVED.update(
        ("userline_sockets_limit", "userline_info", "userline_setting_info", "userline_loop_lag_seconds_count")
    )


def test_the_workers_are_told_apart(tmp_path: Path, redis: RedisServer) -> None:
    gateway = RunningGateway(tmp_path, "--bus-url", redis.url, "--workers", "2")
    meters = Meters(gateway)
    try:
        deadline = time.monotonic() + 20
        while {labels for name, labels in meters.read() if name == "userline_sockets"} != {"worker=0", "worker=1"}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        asked = 0
        for _ in range(20):
            with httpx.Client(base_url=gateway.url) as http:  # a new connection may be taken by either
                asked += http.post("/graphql", json={"query": "query Shared { app { id } }"}).is_success
        samples = meters.read().items()
        labels = "code=OK,operation=Shared"
        counted = [value for (name, given), value in samples if name == "userline_requests_total" and labels in given]
        assert sum(counted) == asked == 20
    finally:
        assert gateway.stop() == 0, gateway.log


def test_every_metric_was_moved(meters: Meters) -> None:
    # Changes are dropped when 10,000 users wait for the bus, which tests/changes/test_outbox.py has in small; workers
    # are replaced in tests/server/test_hanging_workers.py.
    families = {name for name, _ in meters.read() if name.startswith("userline_")}
    ends = ("_bucket", "_count", "_sum")
    missing = families - MOVED - {"userline_bus_dropped_total", "userline_worker_replacements_total"}
    assert {name for name in missing if not name.endswith((*ends, "_created"))} == set()
    moved = {name.removesuffix(end) for name in MOVED for end in ends if name.endswith(end)}
    assert {name.removesuffix("_bucket") for name in families if name.endswith("_bucket")} == moved
