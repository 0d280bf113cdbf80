"""What is answered again and again from what was made before is what is so now, whatever happens in between."""

from __future__ import annotations

import asyncio
import time
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jwt
import orjson
import pytest
import uvicorn

from tests.server.test_repeated import Transport, request
from tests.support.tokens import SECRET, claims_of, token_of
from userline.execution.cost import OperationLimits
from userline.gateway.auth import authenticator
from userline.gateway.runtime import Runtime
from userline.gateway.server import _renew_protocol, make_config
from userline.settings.settings import load_settings
from userline.users.patch import parse_patch
from userline.users.rules import Rules
from userline.users.viewer import Viewer, ViewerKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from userline.server.repeated import Whole

STEPS = 1500
SERVER = Viewer(ViewerKind.APP)
IDS = ("ann", "bob")
OTHER_SECRET = "another secret of 32 bytes or more"
TEXTS = {
    "alone": '{{ user(id: "{}") {{ name }} }}',
    "with another": '{{ user(id: "{}") {{ name }} app {{ id }} }}',
    "renamed": '{{ user(id: "{}") {{ n: name }} }}',
}


class World:
    """A gateway without sockets, some connections to it, and what it has to answer."""

    def __init__(self, runtime: Runtime, config: uvicorn.Config) -> None:
        self.runtime = runtime
        self.config = config
        self.names: dict[str, str | None] = dict.fromkeys(IDS)
        self.is_rotated = self.is_limited = False
        self.server_state = uvicorn.Server(config).server_state
        self.connections = [self.connect() for _ in range(3)]
        self.at_rest = 0
        self.read_from_store = 0

    def connect(self) -> tuple[Any, Transport]:
        transport, kind = Transport(), self.config.http_protocol_class
        protocol: Any = kind(config=self.config, server_state=self.server_state, app_state={})  # type: ignore[call-arg]
        protocol.connection_made(transport)
        return protocol, transport

    async def ask(self, number: int, data: bytes, pieces: int = 1) -> bytes:
        """Return the answer to a request that comes in so many pieces."""
        protocol, transport = self.connections[number]
        transport.written = b""
        self.at_rest += protocol._is_at_rest
        for piece in (data[: len(data) // pieces], data[len(data) // pieces :]):
            if piece:
                protocol.data_received(bytes(bytearray(piece)))
        async with asyncio.timeout(10):
            while not transport.written or protocol._is_answering or protocol._under_way():
                await asyncio.sleep(0)
        return transport.written

    async def happen(self, chance: Random) -> None:
        """Have something happen that changes what is right, or by which way it is found."""
        runtime, user_id = self.runtime, chance.choice(IDS)
        name = f"Name {chance.randrange(1000)}"
        match chance.randrange(9):
            case 0:
                await runtime.users.set(user_id, {"name": name}, viewer=SERVER)
                self.names[user_id] = name
            case 1:  # by another gateway
                result = await runtime.store.patch(user_id, parse_patch({"name": name}, Rules()))
                runtime.hub.hear(result.after.snapshot)
                self.names[user_id] = name
            case 2:
                await runtime.users.delete(user_id, viewer=SERVER)
                self.names[user_id] = None
            case 3:
                runtime.hub.doubt_all()
            case 4:
                runtime.hub.lose_touch()
                await self.ask_something(chance)
                runtime.hub.regain_touch()
            case 5:
                self.is_rotated = not self.is_rotated
                runtime.authenticator.use_secrets(
                    [OTHER_SECRET.encode()] if self.is_rotated else runtime.settings.secrets
                )
            case 6:
                self.is_limited = not self.is_limited
                runtime.engine.limit(
                    OperationLimits(root_fields=1 if self.is_limited else 50),
                    max_characters=10_000,
                    max_tokens=1000,
                    seconds=5,
                )
            case 7:
                runtime.browser_rules.use(runtime.settings)
                _renew_protocol(self.config, runtime.settings)
            case _:
                protocol = self.connections[chance.randrange(3)][0]
                protocol.pause_writing()
                protocol.resume_writing()

    async def ask_something(self, chance: Random) -> None:
        """Ask, and compare the answer with what is right."""
        user_id, kind, who = chance.choice(IDS), chance.choice([*TEXTS]), chance.choice(TOKENS)
        data = request(TEXTS[kind].format(user_id), f"authorization: Bearer {who}")
        answer = await self.ask(chance.randrange(3), data, pieces=chance.choice((1, 1, 1, 1, 2)))
        head, _, body = answer.partition(b"\r\n\r\n")
        what = orjson.loads(body)
        if self.is_rotated:
            assert head.startswith(b"HTTP/1.1 401"), answer
            return
        assert head.startswith(b"HTTP/1.1 200"), answer
        assert b"content-length: %d" % len(body) in head
        if self.is_limited and kind == "with another":
            assert what["errors"][0]["extensions"]["code"] == "OPERATION_TOO_COMPLEX"
            return
        name = self.names[user_id]
        user = None if name is None else {"n" if kind == "renamed" else "name": name}
        assert what["data"]["user"] == user


TOKENS = [token_of(None), token_of("ann")]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    values = {"store_url": f"sqlite:///{tmp_path}/users.db", "access_log": False, "secret": SECRET}
    runtime = Runtime(load_settings({**values, "rate_limit_per_second": 0, "bad_tokens_per_second": 0}))
    config = make_config(runtime.settings, runtime.make_app(), runtime.drain, runtime.lane)
    config.load()
    async with runtime.running():
        world = World(runtime, config)
        yield world
        for protocol, _ in world.connections:
            protocol.connection_lost(None)


async def test_what_is_answered_again_is_what_is_so_now(world: World) -> None:
    chance = Random(7)
    for _ in range(STEPS):
        if chance.random() < 0.1:
            await world.happen(chance)
        await world.ask_something(chance)
    assert world.at_rest > STEPS / 10, "known requests have to be answered without a look at the connection"


async def asked_often(world: World) -> bytes:
    """Return a request that is known on a connection at rest."""
    await world.runtime.users.set("ann", {"name": "Ann"}, viewer=SERVER)
    data = request(TEXTS["alone"].format("ann"), f"authorization: Bearer {TOKENS[0]}")
    for _ in range(5):
        assert b"Ann" in await world.ask(0, data)
    known: Whole = world.connections[0][0].known_requests.get(data)
    assert known.meaning.bound is not None
    assert world.connections[0][0]._is_at_rest
    return data


async def test_a_token_that_expires_is_refused_on_a_connection_at_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = await asked_often(world)
    later = time.time() + 100_000
    monkeypatch.setattr(authenticator, "time", SimpleNamespace(time=lambda: later))
    assert (await world.ask(0, data)).startswith(b"HTTP/1.1 401")


async def test_a_connection_at_rest_ends_when_the_gateway_stops(world: World) -> None:
    data = await asked_often(world)
    world.runtime.drain.begun = True
    answer = await world.ask(0, data)
    assert b"\r\nconnection: close\r\n" in answer
    assert world.connections[0][1].closed
    world.runtime.drain.begun = False


async def test_each_answer_is_counted_and_has_an_id_of_its_own(world: World) -> None:
    data = await asked_often(world)
    runtime = world.runtime
    before = runtime.metrics.requests["unnamed", "OK"], runtime.hub.hits, world.server_state.total_requests
    ids = {(await world.ask(0, data)).partition(b"x-request-id: ")[2][:21] for _ in range(10)}
    assert len(ids) == 10
    after = runtime.metrics.requests["unnamed", "OK"], runtime.hub.hits, world.server_state.total_requests
    assert [late - early for early, late in zip(before, after, strict=True)] == [10, 10, 10]


async def test_a_request_keeps_nothing_of_a_document_that_is_forgotten(world: World) -> None:
    data = await asked_often(world)
    known = world.connections[0][0].known_requests.get(data).meaning
    world.runtime.engine.documents._documents.clear()
    assert known.is_forgotten
    assert not any(hasattr(known, part) for part in ("bound", "name", "text"))
    assert b"Ann" in await world.ask(0, data)


async def test_a_client_that_does_not_read_is_given_nothing_more(world: World) -> None:
    data = await asked_often(world)
    protocol, transport = world.connections[0]
    protocol.pause_writing()
    transport.written = b""
    protocol.data_received(data)
    assert not transport.written
    protocol.resume_writing()
    await asyncio.sleep(0.01)
    assert b"Ann" in transport.written


@pytest.mark.parametrize("is_left", [False, True], ids=["to be read", "left to the application"])
async def test_what_is_known_waits_for_the_answer_before(world: World, *, is_left: bool) -> None:
    authenticator, (protocol, transport) = world.runtime.authenticator, world.connections[0]
    authenticator.use_secrets([SECRET.encode(), OTHER_SECRET.encode()])
    first = await asked_often(world)
    other = jwt.encode(claims_of(None), OTHER_SECRET, algorithm="HS256")
    second = request("{ app { id } }", f"authorization: Bearer {other}")
    for _ in range(5):
        await world.ask(0, second)
    if is_left:
        authenticator.use_secrets([OTHER_SECRET.encode()])
    else:
        world.runtime.hub.doubt_all()
    assert protocol._is_at_rest
    transport.written = b""
    protocol.data_received(first)
    protocol.data_received(second)
    async with asyncio.timeout(10):
        while transport.written.count(b"HTTP/1.1 ") < 2 or protocol._under_way():
            await asyncio.sleep(0)
    assert transport.written.index(b"UNAUTHENTICATED" if is_left else b"Ann") < transport.written.index(b'"app"')
