"""A secret is replaced by reloads alone, under traffic over HTTP and sockets, in several workers: nobody is refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import httpx
import jwt
import pytest
import websockets
from tests.gateway.reloading.playing import Reloaded
from tests.support.redis import RedisServer
from tests.support.tokens import claims_of
from tests.support.waiting import until
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from pathlib import Path

OLD: Final = "the old secret, of more than 32 bytes"
NEW: Final = "the new secret, of more than 32 bytes"
KEPT_SECONDS: Final = 0.6
"""How long those who ask keep a token."""
WATCH: Final = 'subscription { userChanged(id: "alice") { name version } }'


class Traffic:
    """Those who ask all the time with tokens of whoever signs now, and what they were told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.signs = OLD
        self.statuses: Counter[int] = Counter()
        self.events: Counter[str] = Counter()
        self.renewals = 0
        self.closed: list[str] = []
        self.over = asyncio.Event()

    def token(self) -> str:
        claims = claims_of("alice", exp=int(time.time()) + 600, jti=str(time.monotonic_ns()))
        return jwt.encode(claims, self.signs, algorithm="HS256")

    async def ask(self) -> None:
        token, made = "", 0.0
        while not self.over.is_set():
            # Each time by a new connection, so that both workers are met.
            async with httpx.AsyncClient(verify=False, timeout=20) as http:  # noqa: S501 - there is no TLS
                for query in ("{ app { id } }", '{ user(id: "alice") { name } }'):
                    if time.monotonic() - made > KEPT_SECONDS:
                        token, made = self.token(), time.monotonic()
                    headers = {"authorization": f"Bearer {token}"}
                    answer = await http.post(self.url + "/graphql", json={"query": query}, headers=headers)
                    self.statuses[answer.status_code] += 1
            await asyncio.sleep(0.05)

    async def write(self) -> None:
        number = 0
        async with httpx.AsyncClient(verify=False, timeout=20) as http:  # noqa: S501 - there is no TLS
            while not self.over.is_set():
                number += 1
                query = f'mutation {{ setUser(id: "alice", input: {{name: "{number}"}}) {{ changed }} }}'
                headers = {"authorization": f"Bearer {self.token()}"}
                answer = await http.post(self.url + "/graphql", json={"query": query}, headers=headers)
                self.statuses[answer.status_code] += 1
                assert "errors" not in answer.json(), answer.text
                await asyncio.sleep(0.1)

    async def watch(self, name: str) -> None:
        """Watch by a socket, and renew its token in time, as PROTOCOL.md says."""
        url = self.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"token": self.token()}}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            await socket.send(json.dumps({"type": "subscribe", "id": "w", "payload": {"query": WATCH}}))
            renewing = asyncio.create_task(self._renew(socket))
            try:
                while not self.over.is_set():
                    message = json.loads(await asyncio.wait_for(socket.recv(), 20))
                    if message["type"] == "next":
                        self.events[name] += 1
                        assert "errors" not in message["payload"]
                    elif message["type"] == "pong":
                        self.renewals += "expiresAt" in (message.get("payload") or {})
                    else:
                        self.closed.append(str(message))
            except websockets.ConnectionClosed as closed:
                self.closed.append(f"{name}: {closed}")
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, socket: Any) -> None:
        while True:
            await asyncio.sleep(KEPT_SECONDS)
            await socket.send(json.dumps({"type": "ping", "payload": {"token": self.token()}}))


async def open_socket(traffic: Traffic) -> Any:
    url = traffic.url.replace("http", "ws") + "/graphql"
    socket = await connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None)
    await socket.send(json.dumps({"type": "connection_init", "payload": {"token": traffic.token()}}))
    assert json.loads(await socket.recv())["type"] == "connection_ack"
    return socket


@pytest.mark.parametrize("by", ["a file of secrets", "two settings"])
async def test_nobody_is_refused_while_a_secret_is_replaced(tmp_path: Path, by: str) -> None:
    redis = RedisServer(tmp_path)
    secrets = tmp_path / "secrets"

    def values(*lines: str) -> dict[str, object]:
        if by == "two settings":
            return dict(zip(("SECRET", "SECOND_SECRET"), lines, strict=False))
        secrets.write_text("".join(f"{line}\n" for line in lines))
        return {"SECRET_FILE": str(secrets)}

    flags = ("--workers", "2", "--bus-url", redis.url)
    gateway = await asyncio.to_thread(Reloaded, tmp_path, values(OLD), *flags)
    traffic = Traffic(gateway.gateway.url)
    playing = [
        asyncio.create_task(work)
        for work in (
            traffic.ask(),
            traffic.ask(),
            traffic.write(),
            *(traffic.watch(f"w{number}") for number in range(4)),
        )
    ]
    stale = await open_socket(traffic)
    try:
        await until(lambda: len(traffic.events) == 4)
        for signs, lines in ((OLD, (OLD, NEW)), (NEW, (NEW, OLD)), (NEW, (NEW,))):
            gateway.write(values(*lines))
            assert "were reloaded" in await asyncio.to_thread(gateway.tell)
            await asyncio.sleep(1)  # until all workers have it; the log has told that it was read
            traffic.signs = signs
            seen = traffic.renewals
            await until(lambda seen=seen: traffic.renewals >= seen + 8)  # type: ignore[misc]
            await asyncio.sleep(KEPT_SECONDS)
        await asyncio.wait_for(stale.wait_closed(), 20)
        assert (stale.close_code, stale.close_reason) == (4410, "Token no longer valid")
        before = traffic.events.total()
        await until(lambda: traffic.events.total() > before)
        assert traffic.closed == []
        assert set(traffic.statuses) == {200}, "nobody is refused"
        assert traffic.statuses[200] > 50
        traffic.signs = OLD
        old = {"authorization": f"Bearer {traffic.token()}"}
        traffic.signs = NEW
        body = {"query": "{ app { id } }"}
        await asyncio.to_thread(gateway.until, lambda: gateway.ask("POST", "/graphql", old, body).status_code == 401)
    finally:
        traffic.over.set()
        await asyncio.gather(*playing, return_exceptions=True)
        await stale.close()
        await asyncio.to_thread(gateway.stop)
        redis.remove()
    assert all(task.exception() is None for task in playing)
    assert OLD not in gateway.gateway.log
    assert NEW not in gateway.gateway.log
