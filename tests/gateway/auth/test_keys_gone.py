"""A key that is gone from the JWKS: what it allowed ends in time, on every door, and nothing else does."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.clients.wire import LEGACY, TRANSPORT
from tests.support.gateway import RunningGateway
from tests.support.tokens import APP, KeyServer, Signer, claims_of
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from userline.gateway.auth.authenticator import Authenticator
from userline.gateway.auth.key_set import KeySet
from userline.gateway.auth.tokens import Terms
from userline.gateway.websocket.protocol import CloseCode
from userline.users.errors import StoreUnavailable, Unauthenticated

if TYPE_CHECKING:
    from pathlib import Path

    from userline.users.viewer import Viewer

LONG = os.environ.get("USERLINE_TEST_LONG") == "1"
SECONDS: Final = 1.0
SLACK: Final = 0.5 if LONG else 2.0
"""What the machine may take beside, which others use too."""

STEPS: Final = 40 if LONG else 5
IDS: Final = ("a", "b", "c")
WATCH: Final = {"query": 'subscription { userChanged(id: "nobody") { name } }'}
WATCH_WITHOUT_A_PLAN: Final = {"query": 'subscription { userOnlineChanged(id: "nobody") }'}
ASK: Final = {"query": "{ app { id } }"}
SIGNERS: Final = [Signer.new("ES256" if number % 2 else "EdDSA", "") for number in range(12)]


def as_key(signer: Signer, key_id: str | None) -> dict[str, Any]:
    return {name: value for name, value in (signer.jwk | {"kid": key_id}).items() if value is not None}


# In this process: sequences of key sets, and what must hold after each.


class Opened:
    """A socket, as the authenticator sees one."""

    def __init__(self, viewer: Viewer, signer: Signer) -> None:
        self.viewer = viewer
        self.signer = signer
        self.ended = 0

    @property
    def shown_by(self) -> Viewer | None:
        return None if self.ended else self.viewer

    def end_token(self) -> None:
        self.ended += 1


class Model:
    """A key set that is changed, and an authenticator that follows it."""

    def __init__(self) -> None:
        self.there: dict[str, Signer] = {}
        self.is_down = False
        self.unused = iter(SIGNERS * 10)
        self.keys = KeySet("http://keys.invalid/", pause=1e9)
        self.keys._download = self.download  # type: ignore[method-assign]
        self.authenticator = Authenticator(Terms.of(APP), self.keys)
        self.remembered: dict[str, Signer] = {}
        self.opened: list[Opened] = []
        self.known: dict[str, Signer] = {}
        """The keys of the last fetch that was answered."""

    async def download(self) -> bytes:
        if self.is_down:
            raise OSError("the login service is away")
        return json.dumps({"keys": [as_key(signer, name) for name, signer in self.there.items()]}).encode()

    async def do(self, step: str, name: str) -> None:
        match step:
            case "show":
                await self.show(name)
            case "open":
                await self.open(name)
            case "leave":
                if self.opened:
                    self.authenticator.live.leave(self.opened.pop())
            case _:
                self.change(step, name)
                await self.fetch()

    def change(self, step: str, name: str) -> None:
        match step:
            case "add" | "replace":
                self.there[name] = next(self.unused)
            case "remove":
                self.there.pop(name, None)
            case "rename":
                if name in self.there:
                    self.there[f"{name}'"] = self.there.pop(name)
            case "rotate":
                self.there = {name: next(self.unused)}
            case "clear":
                self.there = {}
            case "down":
                self.is_down = True
            case "up":
                self.is_down = False

    async def fetch(self) -> None:
        try:
            await self.keys.load()
            self.known = dict(self.there)
        except StoreUnavailable:
            assert self.is_down
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def show(self, name: str) -> Viewer | None:
        """Show a token of the key with this name, and see that it is taken if the key is there."""
        signer = self.known.get(name)
        if signer is None:
            return None
        token = signer.sign(claims_of("alice", jti=len(self.remembered)), kid=name)
        viewer = await self.authenticator.viewer(token)
        self.remembered[token] = signer
        return viewer

    async def open(self, name: str) -> None:
        viewer = await self.show(name)
        if viewer is not None:
            self.opened.append(Opened(viewer, self.known[name]))
            self.authenticator.live.enter(self.opened[-1])

    async def check(self) -> None:
        keys = list(self.known.values())
        for opened in self.opened:
            assert opened.ended == (opened.signer not in keys), "exactly those end whose key is gone, once"
        for token, signer in list(self.remembered.items()):
            if signer in keys and token in self.remembered:
                try:
                    await self.authenticator.viewer(token)
                except Unauthenticated:
                    pytest.fail("a token was forgotten whose key is there")
            else:
                with pytest.raises((Unauthenticated, StoreUnavailable)):
                    await self.authenticator.viewer(token)
                del self.remembered[token]
        self.opened = [opened for opened in self.opened if not opened.ended]


STEP = st.tuples(
    st.sampled_from(
        ["add", "replace", "remove", "rename", "rotate", "clear", "down", "up", "show", "open", "open", "leave"]
    ),
    st.sampled_from(IDS),
)


@given(st.lists(STEP, max_size=30))
@settings(max_examples=2000 if LONG else 150, deadline=None)
def test_exactly_what_gone_keys_allowed_ends(steps: list[tuple[str, str]]) -> None:
    async def run() -> None:
        model = Model()
        for step, name in steps:
            await model.do(step, name)
            await model.check()
        await model.authenticator.close()

    asyncio.run(run())


async def test_what_is_let_in_while_its_key_goes_ends_at_once(key_server: KeyServer, signer: Signer) -> None:
    """A stream is opened some turns after its token was looked at."""
    keys = KeySet(key_server.url)
    authenticator = Authenticator(Terms.of(APP), keys)
    viewer = await authenticator.viewer(signer.sign(claims_of("alice")))
    key_server.show(Signer.new("ES256", "first"))
    await keys.load()
    late = Opened(viewer, signer)
    authenticator.live.enter(late)
    assert late.ended == 1
    await authenticator.close()


async def test_thousands_of_sockets_end_in_turns() -> None:
    model = Model()
    await model.do("add", "a")
    viewer = await model.show("a")
    assert viewer is not None
    opened = [Opened(viewer, model.known["a"]) for _ in range(2000)]
    for one in opened:
        model.authenticator.live.enter(one)
    model.there = {}
    await model.keys.load()
    turns = 0
    while not all(one.ended for one in opened):
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 2000 / 50 - 3
    assert model.authenticator.live.ended == 2000
    await model.authenticator.close()


# Through the doors of a gateway.


@dataclass
class Client:
    """Somebody with a token of one key: sockets, streams, and requests again and again with the same token."""

    signer: Signer
    token: str
    sockets: list[ClientConnection] = field(default_factory=list)
    streams: list[asyncio.Task[str]] = field(default_factory=list)


class Door:
    """A gateway that follows a key set, and its clients."""

    def __init__(self, gateway: RunningGateway, server: KeyServer, http: httpx.AsyncClient) -> None:
        self.gateway = gateway
        self.server = server
        self.http = http
        self.there: dict[str, Signer] = {}
        self.clients: list[Client] = []
        self.stack = AsyncExitStack()
        self.numbers = 0

    def show(self) -> None:
        keys = [as_key(signer, name) for name, signer in self.there.items()]
        self.server.answer = json.dumps({"keys": keys}).encode()

    async def status(self, token: str) -> int:
        answer = await self.http.post("/graphql", json=ASK, headers={"authorization": f"Bearer {token}"})
        return answer.status_code

    async def join(self, name: str) -> None:
        """Have a client come with a token of this key."""
        self.numbers += 1
        signer = self.there[name]
        client = Client(signer, signer.sign(claims_of("alice", jti=self.numbers), kid=name))
        deadline = time.monotonic() + SECONDS + SLACK
        while await self.status(client.token) != 200:
            assert time.monotonic() < deadline, "a new key is taken as soon as an old one is refused"
            await asyncio.sleep(0.05)
        for protocol, watch in ((TRANSPORT, WATCH), (TRANSPORT, WATCH_WITHOUT_A_PLAN), (LEGACY, WATCH)):
            client.sockets.append(await self.socket(client, protocol, watch))
        for accept in ("text/event-stream", "multipart/mixed;subscriptionSpec=1.0"):
            started = asyncio.Event()
            client.streams.append(asyncio.create_task(self.stream(client, accept, started)))
            await asyncio.wait_for(started.wait(), 10)
        self.clients.append(client)

    async def socket(self, client: Client, protocol: str, watch: dict[str, str]) -> ClientConnection:
        made = await self.stack.enter_async_context(
            connect(self.gateway.websocket_url, subprotocols=[Subprotocol(protocol)], proxy=None)
        )
        await made.send(json.dumps({"type": "connection_init", "payload": {"token": client.token}}))
        assert json.loads(await made.recv())["type"] == "connection_ack"
        await made.send(
            json.dumps({"type": "start" if protocol == LEGACY else "subscribe", "id": "1", "payload": watch})
        )
        while json.loads(await made.recv())["type"] == "ka":
            pass
        return made

    async def stream(self, client: Client, accept: str, started: asyncio.Event) -> str:
        headers = {"authorization": f"Bearer {client.token}", "accept": accept}
        text = ""
        async with self.http.stream("POST", "/graphql", json=WATCH, headers=headers) as answer:
            assert answer.status_code == 200
            async for part in answer.aiter_text():
                text += part
                if "userChanged" in text:
                    started.set()
        return text

    async def check(self, changed_at: float) -> None:
        """See within the time that exactly those are gone whose key is."""
        gone = [client for client in self.clients if client.signer not in self.there.values()]
        waiting = [client.token for client in gone]
        while waiting:  # they keep using it
            waiting = [token for token in waiting if await self.status(token) != 401]
            assert time.monotonic() < changed_at + SECONDS + SLACK, "a key that is gone is still taken"
            await asyncio.sleep(0.02)
        for client in gone:
            for opened in client.sockets:
                left = changed_at + SECONDS + SLACK - time.monotonic()
                await asyncio.wait_for(opened.wait_closed(), max(left, 0.2))
                assert (opened.close_code, opened.close_reason) == (CloseCode.TOKEN_EXPIRED, "Token no longer valid")
            for stream in client.streams:
                left = changed_at + SECONDS + SLACK - time.monotonic()
                text = await asyncio.wait_for(stream, max(left, 0.2))
                assert "UNAUTHENTICATED" in text
                assert "The token is not valid any more" in text
            self.clients.remove(client)
        await asyncio.sleep(max(changed_at + SECONDS + 0.1 - time.monotonic(), 0))
        for client in self.clients:
            assert await self.status(client.token) == 200
            assert not any(stream.done() for stream in client.streams)
            for opened in client.sockets:
                await asyncio.wait_for(await opened.ping(), 5)


@pytest.mark.parametrize(
    "flags", [(), ("--no-fast-lane",), ("--no-fast-lane", "--no-plans")], ids=["lane", "shortcut", "plain"]
)
def test_on_every_door(tmp_path: Path, flags: tuple[str, ...]) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    server = KeyServer()
    wanted = ("--jwks-url", server.url, "--jwks-seconds", str(SECONDS), "--jwks-pause-seconds", "3600")
    gateway = RunningGateway(tmp_path, *wanted, "--bad-tokens-per-second", "0", *flags)

    async def run() -> None:
        unused = iter(chance.sample(SIGNERS, len(SIGNERS)) * 20)
        async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as http:
            door = Door(gateway, server, http)
            async with door.stack:
                door.there = {"a": next(unused), "b": next(unused)}
                door.show()
                for _ in range(STEPS):
                    for name in door.there:
                        if chance.random() < 0.8:
                            await door.join(name)
                    name = chance.choice(IDS)
                    match chance.choice(["add", "remove", "replace", "rotate", "away"]):
                        case "add" | "replace":
                            door.there[name] = next(unused)
                        case "remove":
                            door.there.pop(chance.choice(list(door.there) or ["a"]), None)
                        case "rotate":
                            door.there = {name: next(unused)}
                        case "away":
                            server.status = 500
                            await asyncio.sleep(SECONDS * 1.5)
                            for client in door.clients:
                                assert await door.status(client.token) == 200, "the keys at hand stay"
                            server.status = 200
                            await asyncio.sleep(SECONDS)
                    door.show()
                    await door.check(time.monotonic())
                door.there = {}
                door.show()
                await door.check(time.monotonic())
                assert not door.clients
            assert gateway.metric("userline_tokens_ended_total") >= 1
            assert gateway.metric("userline_jwks_keys") == 0
            assert gateway.metric("userline_jwks_age_seconds") < SECONDS + SLACK

    try:
        asyncio.run(run())
    finally:
        code = gateway.stop()
        server.stop()
    assert code == 0, gateway.log
    assert "Traceback" not in gateway.log, gateway.log


def test_a_client_that_does_not_read_its_stream_is_cut_off(tmp_path: Path) -> None:
    signer = Signer.new("ES256", "a")
    server = KeyServer(signer)
    gateway = RunningGateway(tmp_path, "--jwks-url", server.url, "--jwks-seconds", "1", "--ping-seconds", "0")
    try:
        back_end = {"authorization": f"Bearer {signer.sign(claims_of(None))}"}
        token = signer.sign(claims_of("alice"))

        def write(number: int) -> None:
            patch = {"name": "S", "custom": {f"key {key}": f"{number} " + "a" * 500 for key in range(100)}}
            assert gateway.http.put("/v1/userline/users/s", json=patch, headers=back_end).status_code == 200

        write(0)
        address = ("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(address)
            body = json.dumps({"query": 'subscription { userChanged(id: "s") { custom } }'})
            stuck.sendall(
                "POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
                f"Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            assert b"200 OK" in stuck.recv(4096)
            for number in range(1, 60):
                write(number)
            assert gateway.metric("userline_streams") == 1
            server.show()
            gone_at = time.monotonic()
            while gateway.metric("userline_streams"):
                assert time.monotonic() - gone_at < 1 + 0.5 + SLACK, "it is still there"
                time.sleep(0.05)
    finally:
        assert gateway.stop() == 0
        server.stop()
    assert "Traceback" not in gateway.log
