"""Sockets by the thousand make no collection of garbage long, and when they have gone, nothing of them is left."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import httpx
import orjson
import pytest
from bench.http_load import connect, post
from bench.site import GATEWAY, Site, make_token
from bench.watch_work import watching

if TYPE_CHECKING:
    from pathlib import Path

    from bench.servers import Server

pytestmark = pytest.mark.alone

SOCKETS = 1500
LONGEST = 50.0
"""Of CPU time, in ms, so that a busy machine does not count. With 1,500 sockets Python's own plan takes over 100."""

PATIENT = ["--ping-seconds", "0", "--connection-init-seconds", "60"]
"""However busy the machine is, the gateway ends no socket by itself: the watchers read when they are told to."""

_NOTES = """
import gc, sys, time
if "serve" in sys.orig_argv:
    began = 0.0
    notes = open({file!r}, "w", buffering=1)
    def note(phase, info):
        global began
        if phase == "start":
            began = time.thread_time()
        else:
            print((time.thread_time() - began) * 1000, gc.get_freeze_count(), file=notes)
    gc.callbacks.insert(0, note)
"""


class Notes:
    """What a gateway notes of each collection: how long it took, and how much is set aside."""

    def __init__(self, directory: Path, server: Server) -> None:
        self._file = directory / "collections"
        self._server = server

    def took(self) -> list[float]:
        return [float(line.split()[0]) for line in self._file.read_text().splitlines()]

    async def set_aside(self) -> int:
        """Return how much is set aside now: reads of users who do not exist make the gateway collect."""
        noted = len(self.took())
        while len(self.took()) == noted:
            await read_nobody(self._server)
        return int(self._file.read_text().splitlines()[-1].split()[1])


READS_THAT_FILL_THE_HUB = 12
"""Of 1,000 users each; it holds 10,000 who are not watched."""


async def read_nobody(server: Server) -> None:
    """Read a thousand users who do not exist, and whom nobody has read before."""
    connection = await connect(server.address)
    ids = [f"nobody-{time.monotonic_ns()}-{number}" for number in range(1000)]
    query = "query($ids: [ID!]!) { users(ids: $ids) { name } }"
    await connection.ask(post(orjson.dumps({"query": query, "variables": {"ids": ids}}), make_token()))
    connection.close()


async def all_have_gone(server: Server) -> None:
    """Wait until the gateway has ended every socket: it hears of 1,500 at once, and takes its time."""
    host, port = server.address
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
        while True:
            metrics = (await client.get(f"http://{host}:{port}/metrics")).text
            if re.search(r"^userline_sockets 0(\.0)?$", metrics, re.MULTILINE):
                return
            await asyncio.sleep(0.05)


async def warm_up(server: Server) -> None:
    """Have everything made that is made once, and the hub hold as many as it holds."""
    async with watching(server.address) as watchers:
        await watchers.open(10, 10, 2 * SOCKETS)
    await all_have_gone(server)
    for _ in range(READS_THAT_FILL_THE_HUB):
        await read_nobody(server)


async def test_sockets_make_no_collection_long_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_NOTES.format(file=str(tmp_path / "collections")))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "site").mkdir()
    async with Site(tmp_path / "site") as site, site.running(GATEWAY, "memory", PATIENT) as server:
        notes = Notes(tmp_path, server)
        await warm_up(server)
        serving, at_first = len(notes.took()), await notes.set_aside()
        held, left = [], []
        for first in (0, SOCKETS):
            async with watching(server.address) as watchers:
                await watchers.open(SOCKETS, SOCKETS, first)
                await watchers.obey("spread", 1)
                held.append(await notes.set_aside() - at_first)
            await all_have_gone(server)
            left.append(await notes.set_aside() - at_first)
    assert max(notes.took()[serving:]) < LONGEST
    assert min(held) > 20 * SOCKETS
    assert abs(held[1] - held[0]) < max(held) / 10
    # Users whom the hub holds now in place of some who do not exist.
    assert max(left) < max(held) / 4
