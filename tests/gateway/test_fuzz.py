"""Messages that make no sense, by the thousand: no 500, no traceback, closes with a code and a reason, flat memory."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from contextlib import closing, suppress
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.support.fuzz import frame, handshake, http_request, socket_frames, socket_message, to_json
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MESSAGES = 100_000 if os.environ.get("USERLINE_TEST_LONG") == "1" else 3000
AT_ONCE = 8
PATIENCE = 0.3
"""How long an answer is waited for; what was sent may be half a request."""

UPGRADE = (
    b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: PROTOCOL\r\n\r\n"
)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[RunningGateway]:
    # Caches small enough to be full soon: what grows after that is a leak.
    flags = ("--document-cache", "100", "--persisted-documents", "100", "--cache-users", "100")
    more = ("--bad-tokens-per-second", "0", "--max-new-sockets-per-address", "0")
    running = RunningGateway(tmp_path, *flags, *more, env={"USERLINE_SECRET": SECRET})
    yield running
    assert running.stop() == 0


class Fuzzer:
    """Sends what is made of one number, and counts what came of it."""

    def __init__(self, gateway: RunningGateway, seed: int) -> None:
        self.port = int(gateway.url.rpartition(":")[2])
        self.chance = Random(seed)
        self.token = token_of(None)
        self.statuses: Counter[int] = Counter()
        self.closes: Counter[int] = Counter()
        self.sent = 0

    async def run(self, messages: int) -> None:
        while self.sent < messages:
            await self.chance.choice((self.over_http, self.over_http, self.over_a_socket))()

    async def over_http(self) -> None:
        """Send requests one after the other, or all at once, over one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with closing(writer), suppress(ConnectionError):
            for _ in range(self.chance.randint(1, 10)):
                part = self.chance.random() < 0.9
                writer.write(http_request(self.token, self.chance) if part else handshake(self.chance))
                self.sent += 1
                if not await self.read_answer(reader):
                    return

    async def read_answer(self, reader: asyncio.StreamReader) -> bool:
        """Read an answer to its end, and return whether the connection can go on."""
        with suppress(TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                match = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
                assert match, head
                status = int(match[1])
                self.statuses[status] += 1
                length = re.search(rb"content-length: (\d+)", head.lower())
                body = await reader.readexactly(int(length[1])) if length else b""
                assert status < 500, (head, body)
                assert b"INTERNAL_SERVER_ERROR" not in body, body
                return b"connection: close" not in head.lower() and status != 101
        return False

    async def over_a_socket(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with closing(writer), suppress(ConnectionError):
            protocol = self.chance.choice((b"graphql-transport-ws", b"graphql-transport-ws", b"graphql-ws"))
            writer.write(UPGRADE.replace(b"PROTOCOL", protocol))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            if self.chance.random() < 0.9:
                writer.write(frame(1, to_json({"type": "connection_init", "payload": {"token": self.token}})))
            ways = (socket_message,) if self.chance.random() < 0.6 else (socket_message, socket_frames)
            for _ in range(self.chance.randint(1, 12)):
                writer.write(self.chance.choice(ways)(self.chance))
                self.sent += 1
            writer.write(frame(8, (1000).to_bytes(2, "big")))
            await self.read_frames(reader)

    async def read_frames(self, reader: asyncio.StreamReader) -> None:
        with suppress(TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    first, second = await reader.readexactly(2)
                    size = second
                    if size >= 126:
                        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
                    payload = await reader.readexactly(size)
                    assert b"INTERNAL_SERVER_ERROR" not in payload, payload
                    if first == 0x88:
                        self.note_close(payload)
                        return

    def note_close(self, payload: bytes) -> None:
        code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode()
        self.closes[code] += 1
        if code == 0:  # the answer to a close without a code, which can have none
            return
        assert len(payload[2:]) <= 123
        assert code in (1000, 1002, 1003, 1007, 1008, 1009) or 3000 <= code < 5000, (code, reason)
        assert reason or code == 1000, code


async def test_nothing_that_is_sent_breaks_anything(target: RunningGateway) -> None:
    fuzzers = [Fuzzer(target, seed) for seed in range(AT_ONCE)]
    memory = []
    parts = 10
    for part in range(1, parts + 1):
        await asyncio.gather(*(fuzzer.run(MESSAGES * part // parts // AT_ONCE) for fuzzer in fuzzers))
        memory.append(target.metric("process_resident_memory_bytes") / 1e6)
    statuses = sum((fuzzer.statuses for fuzzer in fuzzers), Counter[int]())
    closes = sum((fuzzer.closes for fuzzer in fuzzers), Counter[int]())
    if os.environ.get("USERLINE_TEST_REPORT") == "1":
        sent = sum(fuzzer.sent for fuzzer in fuzzers)
        print(f"FUZZ {sent} messages, statuses {dict(statuses)}, closes {dict(closes)}, MB {memory}")
    assert {200, 400, 401, 404, 405, 415} <= set(statuses)
    assert {1002, 1007, 4400} <= set(closes)
    assert memory[-1] - memory[parts // 2] < 10
    log = target.log
    assert "Traceback" not in log, log[log.index("Traceback") - 1000 :][:5000]
    assert not re.search(r"(GET|POST|PUT|WEBSOCKET) \S+ 5\d\d ", log)
    answer = target.http.post(
        "/graphql", json={"query": "{ app { id } }"}, headers={"authorization": f"Bearer {token_of(None)}"}
    )
    assert answer.json() == {"data": {"app": {"id": "userline"}}}
