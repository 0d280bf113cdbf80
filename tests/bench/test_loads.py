"""Both loads of HTTP, by wrk and from Python, notice an answer that is not as it should be."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from bench import users
from bench.http_load import PythonLoad, connect, post
from bench.servers import BenchError
from bench.site import Site
from bench.wrk import WrkLoad
from tests.support.needed import program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bench.sample import Load
    from bench.servers import Address

pytestmark = pytest.mark.alone

BODIES = [users.read(number).body for number in range(20)]
REFUSED = b"{}"

LOADS = ["python", "wrk"]


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[tuple[Address, int, int]]:
    """Run Ariadne: its address, and the sizes of an answer's head and body."""
    async with Site(directory) as site, site.running("ariadne", "memory") as server:
        connection = await connect(server.address)
        body = len(await connection.ask(post(BODIES[0], "-")))
        connection.close()
        yield server.address, connection.head_size, body


def load_of(kind: str, address: Address, head: int, body: int, bodies: list[bytes]) -> Load:
    if kind == "wrk":
        program("wrk")
        return WrkLoad(address, 2, bodies, head + body, "-")
    return PythonLoad(address, 2, [post(each, "-") for each in bodies], body)


@pytest.mark.parametrize("kind", LOADS)
async def test_good_answers_are_counted(tmp_path: Path, kind: str) -> None:
    async with served(tmp_path) as (address, head, body):
        sample = await load_of(kind, address, head, body, BODIES).run(0.3)
    assert sample.count > 10
    assert 0 < sample.p50 <= sample.p99
    assert 0.2 < sample.seconds < 10
    assert sample.busy > 0


@pytest.mark.parametrize("kind", LOADS)
async def test_answers_of_another_size_are_noticed(tmp_path: Path, kind: str) -> None:
    async with served(tmp_path) as (address, head, body):
        with pytest.raises(BenchError, match="bytes"):
            await load_of(kind, address, head, body + 10, BODIES).run(0.3)


@pytest.mark.parametrize("kind", LOADS)
async def test_refusals_are_noticed(tmp_path: Path, kind: str) -> None:
    async with served(tmp_path) as (address, head, body):
        with pytest.raises(BenchError, match="refused"):
            await load_of(kind, address, head, body, [*BODIES[:2], REFUSED]).run(0.3)


@asynccontextmanager
async def recorded() -> AsyncIterator[tuple[Address, list[bytes]]]:
    """Answer every request alike: the address, and the bodies that have come."""
    bodies: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                assert length is not None
                bodies.append(await reader.readexactly(int(length[1])))
                await asyncio.sleep(0.01)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname(), bodies
        for writer in writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.mark.parametrize("kind", LOADS)
async def test_a_load_goes_on_where_it_was(kind: str) -> None:
    """Then what it writes is never what is there already."""
    wanted = [b"%d" % number for number in range(10_000)]
    async with recorded() as (address, bodies):
        load = load_of(kind, address, len(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), 2, wanted)
        for _ in range(2):
            await load.run(1 if kind == "wrk" else 0.2)
    assert len(bodies) > 20
    assert len(set(bodies)) == len(bodies)
    assert max(map(int, bodies)) < 10_000 - 1
