"""A gateway's life: starting, being used, being stopped and killed, and starting again with the same data."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.support.gateway import RunningGateway
from websockets.sync.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from pathlib import Path


def test_the_main_job_across_a_restart(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    created = gateway.data(
        'mutation { createUserIfNotExists(id: "alice", input: {name: "Alice", custom: {team: "blue"}}) { created } }'
    )
    assert created == {"createUserIfNotExists": {"created": True}}
    assert gateway.set_user("alice", custom={"team": None, "a.b": "$"}, locale="pt-BR")["changed"]
    ids = [f"user {number}" for number in range(999)] + ["alice"]
    found = gateway.data("query($ids: [ID!]!) { users(ids: $ids) { name custom } }", {"ids": ids})["users"]
    assert found == [None] * 999 + [{"name": "Alice", "custom": {"a.b": "$"}}]

    with connect(gateway.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send('{"type":"connection_init"}')
        assert json.loads(socket.recv())["type"] == "connection_ack"
        query = 'subscription { userChanged(id: "alice") { name } }'
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        assert json.loads(socket.recv())["payload"] == {"data": {"userChanged": {"name": "Alice"}}}
        gateway.set_user("alice", name="Alice B.")
        assert json.loads(socket.recv())["payload"] == {"data": {"userChanged": {"name": "Alice B."}}}

    assert gateway.stop() == 0
    assert "Stopped." in gateway.log

    again = RunningGateway(tmp_path)
    assert again.data('{ user(id: "alice") { name locale custom } }') == {
        "user": {"name": "Alice B.", "locale": "pt-BR", "custom": {"a.b": "$"}}
    }
    assert again.stop() == 0


@pytest.mark.parametrize("writes", [300, 600, 900])
def test_every_acknowledged_write_survives_a_kill(tmp_path: Path, writes: int) -> None:
    gateway = RunningGateway(tmp_path)
    gateway.set_user("storm", name="Storm")
    acknowledged: dict[str, int] = {}
    enough = threading.Event()

    def write(writer: int) -> None:
        with httpx.Client(base_url=gateway.url, timeout=30) as http:
            for number in range(100_000):
                body = {
                    "query": 'mutation($i: SetUserInput!) { setUser(id: "storm", input: $i) { changed } }',
                    "variables": {"i": {"custom": {f"writer {writer}": str(number)}}},
                }
                try:
                    answer = http.post("/graphql", json=body).json()
                except httpx.TransportError:
                    return
                assert answer == {"data": {"setUser": {"changed": True}}}
                acknowledged[f"writer {writer}"] = number
                if sum(list(acknowledged.values())) > writes:
                    enough.set()

    with ThreadPoolExecutor(8) as writers:
        storm = [writers.submit(write, writer) for writer in range(8)]
        assert enough.wait(60)
        gateway.kill()
    for writer in storm:
        writer.result()

    again = RunningGateway(tmp_path)
    custom = again.data('{ user(id: "storm") { custom } }')["user"]["custom"]
    again.stop()
    for key, number in acknowledged.items():
        assert int(custom[key]) >= number


def test_100_concurrent_patches_of_one_user_all_hold(gateway: RunningGateway) -> None:
    gateway.set_user("crowded", name="Crowded")
    query = 'mutation($i: SetUserInput!) { setUser(id: "crowded", input: $i) { changed } }'

    def patch(number: int) -> bool:
        body = {"query": query, "variables": {"i": {"custom": {f"key {number}": str(number)}}}}
        changed: bool = httpx.post(gateway.url + "/graphql", json=body, timeout=30).json()["data"]["setUser"]["changed"]
        return changed

    with ThreadPoolExecutor(25) as pool:
        assert all(pool.map(patch, range(100)))
    custom = gateway.data('{ user(id: "crowded") { custom } }')["user"]["custom"]
    assert custom == {f"key {number}": str(number) for number in range(100)}


def test_a_read_again_is_no_store_read(gateway: RunningGateway) -> None:
    gateway.data('{ user(id: "read again") { id } }')
    reads = gateway.metric("userline_store_reads_total")
    hits = gateway.metric("userline_cache_hits_total")
    gateway.data('{ user(id: "read again") { id } users(ids: ["read again"]) { id } }')
    assert gateway.metric("userline_store_reads_total") == reads
    assert gateway.metric("userline_cache_hits_total") == hits + 2


def test_a_busy_port_is_a_sentence(gateway: RunningGateway, tmp_path: Path) -> None:
    port = gateway.url.rpartition(":")[2]
    with pytest.raises(AssertionError) as caught:
        RunningGateway(tmp_path, "--port", port)
    assert f"Cannot listen on 127.0.0.1, port {port}" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_store_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "users.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(AssertionError) as caught:
        RunningGateway(tmp_path)
    assert "users.db" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_the_log_as_json(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, "--log-format", "json")
    gateway.http.get("/healthz", headers={"x-request-id": "look-for-me"})
    gateway.stop()
    lines = [json.loads(line) for line in gateway.log.splitlines()]
    assert {"timestamp", "level", "logger", "event"} <= set(lines[0])
    (access,) = (line for line in lines if line.get("request_id") == "look-for-me")
    assert access["event"].startswith("GET /healthz 200 ")
