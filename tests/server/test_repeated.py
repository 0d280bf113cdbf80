"""Requests that come again: in whatever order and pieces, they are answered as by a server that remembers none."""

from __future__ import annotations

import asyncio
import re
from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import uvicorn

from tests.support.tokens import SECRET, token_of
from userline.execution.weighed import WeighedCache
from userline.gateway.runtime import Runtime
from userline.gateway.server import _renew_protocol, make_config
from userline.server.heads import parse_head
from userline.server.repeated import KnownRequests, Whole
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

SEQUENCES = 4
ORIGIN = "https://a.example"
OF_ONE_ANSWER = re.compile(rb'(x-request-id: |date: |"requestId":")[^\r"]*|[0-9a-f]{12}-[0-9a-f]{8}')


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False


def request(query: str, *lines: str) -> bytes:
    body = orjson.dumps({"query": query})
    head = ["POST /graphql HTTP/1.1", "host: a", "content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*head, *lines, "\r\n"]).encode() + body


def awaiting(length: int) -> bytes:
    """Return the head of a request whose body is still to come."""
    return request("", f"authorization: Bearer {token_of(None)}").replace(b"length: 12", b"length: %d" % length)[:-12]


def requests() -> list[bytes]:
    """Return some that are alike, and some that nobody may remember."""
    good, other, late = (f"authorization: Bearer {token_of(who)}" for who in ("ann", "bob", None))
    read, none = '{ user(id: "x") { name } }', '{ user(id: "nobody") { name } }'
    return [
        *(request(query, line) for query in (read, none) for line in (good, other, late)),
        request(read),
        request(read, "authorization: Bearer no.such.token"),
        request(read, good, f"origin: {ORIGIN}"),
        request(read, good, "x-request-id: mine"),
        request(read, good, "connection: close"),
        request(read, good, "expect: 100-continue"),
        request("{ user(id: 1", good),
        b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n",
        b"\r\n" + request(read, good),
    ]


def changed(data: bytes, chance: Random) -> bytes:
    """Return a request with another byte at some place."""
    place = chance.randrange(len(data))
    return data[:place] + bytes([chance.choice(b'x1"\r\n :')]) + data[place + 1 :]


class Side:
    """A connection to one of the two protocol classes."""

    def __init__(self, config: uvicorn.Config, kind: Any, state: Any) -> None:
        self.transport = Transport()
        self.protocol = kind(config=config, server_state=state, app_state={})
        self.protocol.connection_made(self.transport)

    def give(self, data: bytes) -> None:
        if not self.transport.closed:
            self.protocol.data_received(data)

    async def take(self, data: bytes) -> list[list[bytes]]:
        """Return the lines of each answer so far when nothing is under way any more.

        They are sorted: what is asked for the first time is answered by the application, with its order of headers.
        """
        self.give(data)
        quiet = 0
        for _ in range(2000):
            await asyncio.sleep(0)
            protocol = self.protocol
            is_busy = protocol._waits or protocol._is_answering or protocol._under_way()
            quiet = 0 if is_busy else quiet + 1
            if self.transport.closed or quiet > 3:
                break
            if is_busy:
                await asyncio.sleep(0.0005)
        answers = OF_ONE_ANSWER.sub(b"", self.transport.written).split(b"HTTP/1.1 ")
        return [sorted(answer.split(b"\r\n")) for answer in answers]


async def test_whatever_comes_is_answered_the_same_with_nothing_remembered(tmp_path: Path) -> None:  # noqa: C901, PLR0912, PLR0915
    values = {"store_url": f"sqlite:///{tmp_path}/users.db", "access_log": False, "secret": SECRET}
    settings = load_settings({**values, "rate_limit_per_second": 0, "bad_tokens_per_second": 0})
    allowing = load_settings({**values, "cors_origins": ORIGIN})
    runtime = Runtime(settings)
    config = make_config(settings, runtime.make_app(), runtime.drain, runtime.lane)
    config.load()
    state = uvicorn.Server(config).server_state
    remembering: Any = config.http
    forgetful = type("Forgetful", (remembering,), {"known_requests": KnownRequests()})
    found: list[bool] = []
    get = remembering.known_requests.get

    def looked_up(data: bytes) -> Whole | None:
        known: Whole | None = get(data)
        found.append(known is not None)
        return known

    remembering.known_requests.get = looked_up
    chance, templates = Random(5), requests()
    write = 'mutation { setUser(id: "written", input: {name: "W"}) { user { name } } }'
    writing = request(write, f"authorization: Bearer {token_of(None)}")
    asked = 0
    async with runtime.running():
        for _ in range(SEQUENCES):
            sides = [Side(config, kind, state) for kind in (remembering, forgetful)]
            for _ in range(40):
                event = chance.random()
                if event < 0.03:
                    runtime.authenticator.use_secrets([b"another secret of 32 bytes or more"])
                elif event < 0.08:
                    runtime.authenticator.use_secrets(settings.secrets)
                elif event < 0.12:
                    runtime.browser_rules.use(chance.choice((settings, allowing)))
                    _renew_protocol(config, settings)
                data = chance.choice(templates[: chance.choice((1, 1, 3, len(templates)))])
                if event > 0.9:
                    data = changed(data, chance)
                elif event > 0.8:
                    data += chance.choice(templates)
                cut = chance.randrange(len(data)) if event > 0.7 else 0
                pieces = [data[:cut], data[cut:]]
                if 0.12 < event < 0.2:
                    pieces = [awaiting(len(data)), data]  # what is in a body is no request
                elif 0.2 < event < 0.3:
                    for side in sides:
                        side.give(writing)  # and its answer comes first
                for piece in pieces:
                    if piece:
                        first, second = [await side.take(piece) for side in sides]
                        asked += 1
                        assert first == second
            for side in sides:
                side.protocol.connection_lost(None)
            runtime.authenticator.use_secrets(settings.secrets)
        sides = [Side(config, kind, state) for kind in (remembering, forgetful)]
        for runtime.drain.begun in (False, False, False, True):
            first, second = [await side.take(templates[0]) for side in sides]
            assert first == second
        assert all(side.transport.closed for side in sides)
        runtime.drain.begun = False
    assert asked > SEQUENCES * 40
    assert sum(found) > 20


def test_what_comes_once_is_not_kept_and_what_is_kept_is_bounded() -> None:
    cache: WeighedCache[bytes, Whole] = WeighedCache(100_000)
    known = KnownRequests(cache)
    made = [request(f"{{ a{number} }}") for number in range(5000)]

    def note(data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        known.note(bytes(bytearray(data)), Whole(parse_head(head + b"\r\n\r\n"), body))

    for data in made:
        note(data)
    assert not len(cache)
    for data in made[:100]:
        for _ in range(2):
            note(data)
    assert 10 < len(cache) < 100
    assert cache.weight <= 100_000
    assert len(known._seen) <= 2048
    for wrong in (request("{ a }", "x-request-id: 1"), request("{ a" + " " * 9000 + "}")):
        for _ in range(3):
            note(wrong)
        assert known.get(wrong) is None
    known.forget()
    assert not len(cache)
    assert not known._seen
