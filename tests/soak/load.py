"""The load of a soak: many kinds of clients, at a rate that leaves the machine some room."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.support.tokens import token_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.support.gateway import RunningGateway

_USERS: Final = 2000
_FIELDS: Final = "id name custom locale photoUrl role welcomeMessage"
_READ: Final = f"query Read($id: ID!) {{ user(id: $id) {{ {_FIELDS} }} }}"
_READ_MANY: Final = f"query Many($ids: [ID!]!) {{ users(ids: $ids) {{ {_FIELDS} }} }}"
_EDIT: Final = "mutation Edit($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { changed } }"
_WATCH: Final = f"subscription Watch($id: ID!) {{ userChanged(id: $id) {{ {_FIELDS} }} }}"
_MISTAKES: Final = ("{", "{ nobody }", '{ user(id: "") { id } }', "query($x: [ID!]!) { users(ids: $x) { id } }")
_STAYING: Final = 100


class Load:
    """All the clients. What they find wrong is in ``problems``, the first ten of it."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._chosen = random.Random(1)
        self._token = token_of(None)
        self._delays: list[float] = []
        self._loops: set[asyncio.Task[None]] = set()
        self.requests = 0
        self.events = 0
        self.sockets = 0
        self.problems: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be there until the end of the block."""
        headers = {"Authorization": f"Bearer {self._token}"}
        async with httpx.AsyncClient(base_url=self._gateway.url, headers=headers, timeout=30) as http:
            kinds: list[tuple[int, float, Callable[[httpx.AsyncClient], Awaitable[None]]]] = [
                (4, 0.02, self._read),
                (1, 0.1, self._read_many),
                (2, 0.05, self._edit),
                (1, 0.2, self._ask_rest),
                (1, 0.2, self._make_mistakes),
                (4, 0.1, self._come_and_go),
            ]
            for many, pause, do in kinds:
                for _ in range(many):
                    self._start(self._again_and_again(do, http, pause))
            for _ in range(_STAYING):
                self._start(self._stay())
            yield
            loops = [*self._loops]
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    def take_delays(self) -> list[float]:
        """Return how long each request since the last call took, in seconds."""
        delays, self._delays = self._delays, []
        return delays

    def _start(self, loop: Any) -> None:
        task = asyncio.create_task(loop)
        self._loops.add(task)
        task.add_done_callback(self._loops.discard)

    async def _again_and_again(
        self, do: Callable[[httpx.AsyncClient], Awaitable[None]], http: httpx.AsyncClient, pause: float
    ) -> None:
        while True:
            try:
                await do(http)
            except Exception as error:  # noqa: BLE001 - it is told at the end
                self._complain(f"{do.__name__}: {error!r}")
            await asyncio.sleep(self._chosen.uniform(0, 2 * pause))

    def _complain(self, problem: str) -> None:
        if len(self.problems) < 10:
            self.problems.append(problem)

    def _user(self) -> str:
        return f"user {self._chosen.randrange(_USERS)}"

    async def _post(self, http: httpx.AsyncClient, query: str, **variables: object) -> dict[str, Any]:
        started = time.monotonic()
        answer = await http.post("/graphql", json={"query": query, "variables": variables})
        self._delays.append(time.monotonic() - started)
        self.requests += 1
        body: dict[str, Any] = answer.json()
        return body

    async def _read(self, http: httpx.AsyncClient) -> None:
        assert "errors" not in await self._post(http, _READ, id=self._user())

    async def _read_many(self, http: httpx.AsyncClient) -> None:
        body = await self._post(http, _READ_MANY, ids=[self._user() for _ in range(100)])
        assert len(body["data"]["users"]) == 100

    async def _edit(self, http: httpx.AsyncClient) -> None:
        fields = {"name": f"Name {self._chosen.random()}", "custom": {"mood": str(self._chosen.randrange(10))}}
        body = await self._post(http, _EDIT, id=self._user(), input=fields)
        assert "errors" not in body, body

    async def _ask_rest(self, http: httpx.AsyncClient) -> None:
        answer = await http.get(f"/v1/users/{self._user()}")
        self.requests += 1
        assert answer.status_code in (200, 404), answer.text

    async def _make_mistakes(self, http: httpx.AsyncClient) -> None:
        assert "errors" in await self._post(http, self._chosen.choice(_MISTAKES))

    async def _come_and_go(self, http: httpx.AsyncClient) -> None:  # noqa: ARG002 - as its siblings
        async with self._socket() as socket:
            for number in range(5):
                await self._subscribe(socket, str(number))
                self._take(await socket.recv())
            if self._chosen.random() < 0.5:
                socket.transport.abort()

    async def _stay(self) -> None:
        async with self._socket() as socket:
            for number in range(3):
                await self._subscribe(socket, str(number))
            async for text in socket:
                self._take(text)

    @asynccontextmanager
    async def _socket(self) -> AsyncIterator[Any]:
        subprotocols = [Subprotocol("graphql-transport-ws")]
        async with connect(
            self._gateway.websocket_url, subprotocols=subprotocols, open_timeout=30, close_timeout=2
        ) as socket:
            self.sockets += 1
            payload = {"Authorization": f"Bearer {self._token}"}
            await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
            await socket.recv()
            yield socket

    async def _subscribe(self, socket: Any, operation_id: str) -> None:
        payload = {"query": _WATCH, "variables": {"id": self._user()}}
        await socket.send(json.dumps({"id": operation_id, "type": "subscribe", "payload": payload}))

    def _take(self, text: str | bytes) -> None:
        message = json.loads(text)
        self.events += 1
        if message["type"] not in ("next", "ping", "pong"):
            self._complain(str(message))
