"""Both loads of HTTP, by wrk and from Python, notice an answer that is not as it should be."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from bench import users
from bench.http_load import PythonLoad, connect, post
from bench.servers import BenchError
from bench.site import Site
from bench.wrk import WrkLoad, find_wrk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bench.sample import Load
    from bench.servers import Address

pytestmark = pytest.mark.alone

BODIES = [users.read(number).body for number in range(20)]
REFUSED = b"{}"

_MUST_RUN = os.environ.get("USERLINE_TEST_REQUIRE_ALL") == "1"
needs_wrk = pytest.mark.skipif(not (find_wrk() or _MUST_RUN), reason="there is no wrk on PATH")
LOADS = ["python", pytest.param("wrk", marks=needs_wrk)]


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
            await load_of(kind, address, head, body, [*BODIES, REFUSED]).run(0.3)
