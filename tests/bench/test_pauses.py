"""Sockets by the thousand make no collection of garbage long, and when they have gone, nothing of them is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import orjson
from bench.http_load import connect, post
from bench.site import GATEWAY, Site, make_token
from bench.watch_work import watching

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from bench.servers import Server

SOCKETS = 1500
LONGEST = 50.0
"""Of CPU time, in ms, so that a busy machine does not count. With 1,500 sockets Python's own plan takes over 100."""

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
        connection = await connect(self._server.address)
        while len(self.took()) == noted:
            ids = [f"nobody-{time.monotonic_ns()}-{number}" for number in range(1000)]
            query = "query($ids: [ID!]!) { users(ids: $ids) { name } }"
            await connection.ask(post(orjson.dumps({"query": query, "variables": {"ids": ids}}), make_token()))
        connection.close()
        return int(self._file.read_text().splitlines()[-1].split()[1])


async def test_sockets_make_no_collection_long_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_NOTES.format(file=str(tmp_path / "collections")))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "site").mkdir()
    async with Site(tmp_path / "site") as site, site.running(GATEWAY, "memory") as server:
        notes = Notes(tmp_path, server)
        await notes.set_aside()
        serving, at_first = len(notes.took()), await notes.set_aside()
        held = []
        for first in (0, SOCKETS):
            async with watching(server.address) as watchers:
                await watchers.open(SOCKETS, SOCKETS, first)
                await watchers.obey("spread", 1)
                held.append(await notes.set_aside() - at_first)
        left = await notes.set_aside() - at_first
    assert max(notes.took()[serving:]) < LONGEST
    assert min(held) > 20 * SOCKETS
    assert abs(held[1] - held[0]) < max(held) / 10
    # What is made once, and users, who are held for a while after nobody watches them. A leak would be all of it.
    assert left < max(held) * 0.6
