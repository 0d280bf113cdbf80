"""One user with many tabs, each with a thousand watches, whose network comes and goes: all is fresh again at once.

The tabs do what any client does, and know nothing of this gateway: they say again what they want to see, and swap a row
now and then while the list scrolls.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from tests.support.waiting import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.alone

RUNS = int(os.environ.get("USERLINE_TEST_STORMS", "1"))
TABS = 5
WATCHES = 1000
DROPS = 3
BETWEEN_SECONDS = 3.0
FRESH_SECONDS = 3.0 if RUNS > 1 else 10.0
"""Not so long where nothing else happens on the machine, which the default run cannot know."""
SWAP_SECONDS = 0.5

WATCH = "subscription($id: ID!) { userChanged(id: $id) { id name } }"
WATCH_MANY = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id } }"


class Tab:
    """A list of users that scrolls. ``refused`` has every message that is no event, and every close by the gateway."""

    def __init__(self, url: str, token: str, first: int, *, one_by_one: bool) -> None:
        self._url = url
        self._token = token
        self._one_by_one = one_by_one
        listed = WATCHES if one_by_one else WATCHES - 1  # the row that comes and goes is one more
        self._rows = {f"row {number}": f"user {number}" for number in range(first, first + listed)}
        self._numbers = itertools.count(first + WATCHES)
        self._last = "none yet"
        self._socket: ClientConnection | None = None
        self.refused: list[str] = []
        self.swaps = 0
        self.told: set[str] = set()
        """The users who were told of since the last connection."""

    @property
    def is_fresh(self) -> bool:
        return self.told.issuperset(self._rows.values())

    async def run(self) -> None:
        """Connect again and again, as soon as the connection is lost."""
        while True:
            self.told.clear()
            with contextlib.suppress(ConnectionClosed):
                async with connect(self._url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
                    await self._watch(socket)
            if socket.close_code not in (None, 1006):
                self.refused.append(f"{socket.close_code} {socket.close_reason}")

    def drop(self) -> None:
        """Lose the connection, without a word."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _watch(self, socket: ClientConnection) -> None:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"token": self._token}}))
        await socket.recv()
        self._socket = socket
        reading = asyncio.create_task(self._read(socket))
        try:
            if self._one_by_one:
                for row, user_id in list(self._rows.items()):
                    await self._subscribe(socket, row, WATCH, {"id": user_id})
            else:
                await self._subscribe(socket, "rows", WATCH_MANY, {"ids": list(self._rows.values())})
            while not reading.done():
                await asyncio.wait([reading], timeout=SWAP_SECONDS)
                await self._swap(socket)
        finally:
            reading.cancel()

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            if message["type"] != "next" or "errors" in message["payload"]:
                self.refused.append(str(text))
                continue
            for event in message["payload"]["data"].values():
                self.told.update(one["id"] for one in (event if isinstance(event, list) else [event]))

    async def _swap(self, socket: ClientConnection) -> None:
        """Scroll: a row goes, and there is a new one, which has an operation of its own."""
        row = next(iter(self._rows)) if self._one_by_one else self._last
        self._rows.pop(row, None)
        number = next(self._numbers)
        self._last = f"row {number}"
        user_id = self._rows[self._last] = f"user {number}"
        self.swaps += 1
        await socket.send(json.dumps({"id": row, "type": "complete"}))
        query, variables = (WATCH, {"id": user_id}) if self._one_by_one else (WATCH_MANY, {"ids": [user_id]})
        await self._subscribe(socket, self._last, query, variables)

    @staticmethod
    async def _subscribe(socket: ClientConnection, operation_id: str, query: str, variables: object) -> None:
        payload = {"query": query, "variables": variables}
        await socket.send(json.dumps({"id": operation_id, "type": "subscribe", "payload": payload}))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with the limits that it has by default, and users to watch."""
    running = RunningGateway(tmp_path_factory.mktemp("storm"), env={"USERLINE_SECRET": SECRET})
    headers = {"authorization": f"Bearer {token_of(None)}"}
    for first in range(0, 2 * WATCHES, 100):
        users = {f"user {number}": {"name": f"User {number}"} for number in range(first, first + 100)}
        assert running.http.put("/v1/userline/users", json=users, headers=headers).status_code == 200
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("one_by_one", [False, True], ids=["as one", "one by one"])
async def test_all_is_fresh_after_each_drop(gateway: RunningGateway, one_by_one: bool, run: int) -> None:
    token = token_of(f"viewer {one_by_one} {run}")
    tabs = [Tab(gateway.websocket_url, token, 100 * number, one_by_one=one_by_one) for number in range(TABS)]
    tasks = [asyncio.create_task(tab.run()) for tab in tabs]
    try:
        await until(lambda: all(tab.is_fresh for tab in tabs), 30)
        for _ in range(DROPS):
            began = time.monotonic()
            for tab in tabs:
                tab.told.clear()
                tab.drop()
            await until(lambda: all(tab.is_fresh for tab in tabs), 30)
            took = time.monotonic() - began
            print(f"fresh after {took:.2f} s")
            assert took < FRESH_SECONDS, f"{took:.1f} s"
            await asyncio.sleep(max(0.0, BETWEEN_SECONDS - took))
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes
    refused = Counter(text for tab in tabs for text in tab.refused)
    assert not refused, refused.most_common(3)
    assert min(tab.swaps for tab in tabs) >= DROPS * 3
