"""A line with a delay has it in both directions, keeps the order, and takes nothing from the throughput."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from bench.delay import delayed
from bench.servers import BenchError, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.alone

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
BUSY = 0.05
"""What a busy machine may add, in seconds."""


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def line_to(
    port: int, milliseconds: float, directory: Path
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect by a line in a process of its own."""
    command = [sys.executable, "-m", "bench.delay", "127.0.0.1", str(port), str(milliseconds)]
    async with running("delay", command, directory, ENVIRONMENT) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        try:
            yield reader, writer
        finally:
            writer.close()


@asynccontextmanager
async def line(
    milliseconds: float, directory: Path
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with echo() as port, line_to(port, milliseconds, directory) as ends:
        yield ends


@pytest.mark.parametrize("milliseconds", [0, 1, 5, 10, 40])
async def test_a_round_trip_takes_twice_the_delay(tmp_path: Path, milliseconds: float) -> None:
    took = []
    async with line(milliseconds, tmp_path) as (reader, writer):
        for _ in range(30):
            started = time.perf_counter()
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            took.append(time.perf_counter() - started)
    delay = milliseconds / 1000
    assert min(took[1:]) >= 2 * delay - 0.0015
    assert sorted(took)[10] <= 2 * delay + BUSY


async def test_pieces_travel_at_the_same_time_and_in_order(tmp_path: Path) -> None:
    async with line(40, tmp_path) as (reader, writer):
        started = time.perf_counter()
        for number in range(500):  # one after the other they would take 40 s
            writer.write(number.to_bytes(4))
            await asyncio.sleep(0)
        found = await reader.readexactly(2000)
        took = time.perf_counter() - started
    assert [int.from_bytes(found[at : at + 4]) for at in range(0, 2000, 4)] == list(range(500))
    assert 0.078 < took < 1.0


@pytest.mark.parametrize("milliseconds", [0, 10])
async def test_much_is_sent_as_fast_as_without_delay(tmp_path: Path, milliseconds: float) -> None:
    sent = os.urandom(2**20) * 32
    async with line(milliseconds, tmp_path) as (reader, writer):
        started = time.perf_counter()
        writer.write(sent)
        found = await reader.readexactly(len(sent))
        took = time.perf_counter() - started
    assert found == sent
    assert took < 5.0  # 64 KiB at a time would take 10 s


@pytest.mark.parametrize("who", ["client", "server"])
async def test_the_end_arrives_after_what_was_sent_before(tmp_path: Path, who: str) -> None:
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if who == "server":
            writer.write(b"x" * 100_000)
        else:
            assert await reader.read(-1) == b"x" * 100_000
        writer.close()
        closed.set()

    async with await asyncio.start_server(answer, "127.0.0.1") as target:
        port = target.sockets[0].getsockname()[1]
        async with line_to(port, 20, tmp_path) as (reader, writer):
            if who == "client":
                writer.write(b"x" * 100_000)
                writer.write_eof()
            assert len(await reader.read(-1)) == (100_000 if who == "server" else 0)
            await closed.wait()


async def test_a_server_that_is_not_there_ends_the_connection(tmp_path: Path) -> None:
    async with echo() as port:
        pass
    async with line_to(port, 10, tmp_path) as (reader, _):
        with contextlib.suppress(ConnectionError):
            assert await reader.read(1) == b""


async def test_a_url_is_the_same_but_for_the_server(tmp_path: Path) -> None:
    url = "mongodb://me:p%40ss@127.0.0.1:1/users?retryWrites=false"
    async with delayed(url, 5, tmp_path / "line", ENVIRONMENT) as found:
        before, after = urlsplit(url), urlsplit(found)
        assert (after.username, after.password, after.path) == (before.username, before.password, before.path)
        assert after.hostname == "127.0.0.1"
        assert after.port not in (None, 1)
        assert parse_qs(after.query) == {"retryWrites": ["false"], "directConnection": ["true"]}


@pytest.mark.parametrize("url", ["mongodb://a:1,b:2/users", "mongodb+srv://a/users"])
async def test_several_servers_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BenchError, match="one server"):
        async with delayed(url, 5, tmp_path / "line", {}):
            pass
