"""A head and a body are read once, whoever answers in the end, and an operation is counted once."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from userline.gateway.runtime import Runtime
from userline.gateway.server import make_config
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import FrameType

READERS = {
    ("json_values.py", "decode"): "body",
    ("heads.py", "parse_head"): "head",
    ("request.py", "parse_request"): "request",
    ("engine.py", "prepare"): "prepared",
}
READ = "query Read($id: ID!) { user(id: $id) { id name } }"
SET = 'mutation Set($input: SetUserInput!) { setUser(id: "ann", input: $input) { created } }'
ONCE = {"body": 1, "head": 1, "request": 1}


def asked(value: object) -> bytes:
    return value if isinstance(value, bytes) else orjson.dumps(value)


CASES: dict[str, tuple[object, dict[str, int], int]] = {
    # What is sent, how often what is read, and how many operations are counted.
    "a plan": ({"query": READ, "variables": {"id": "ann"}}, ONCE, 1),
    "a write": ({"query": SET, "variables": {"input": {"name": "Ann"}}}, ONCE, 1),
    "no plan": ({"query": "{ __schema { queryType { name } } a: app { id } }"}, ONCE, 1),
    "variables without a plan": ({"query": READ, "variables": {"id": None}}, ONCE, 1),
    "a bad document": ({"query": "{ nonsense }"}, ONCE, 1),
    "no document": ({"query": "{"}, ONCE, 1),
    "no such operation": ({"query": READ, "operationName": "Other"}, ONCE, 1),
    "a subscription over JSON": ({"query": 'subscription { userChanged(id: "ann") { id } }'}, ONCE, 0),
    "no request": ({"query": 5}, {"body": 1, "head": 1, "request": 2}, 0),
    "a string": ("text", {"body": 1, "head": 1, "request": 2}, 0),
    "no JSON": (b'{"query": ', {"body": 1, "head": 1}, 0),
    "a batch": ([{"query": READ, "variables": {"id": "ann"}}] * 3, {"body": 1, "head": 1, "request": 4}, 3),
}


class Reading:
    """Counts how often something is read while it is on."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Counter[str]:
        sys.setprofile(self._call)
        return self.counts

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _call(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            code = frame.f_code
            what = READERS.get((code.co_filename.rpartition("/")[2], code.co_name))
            if what is not None:
                self.counts[what] += 1


class Door:
    """A connection to a gateway in this process."""

    def __init__(self, runtime: Runtime, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.runtime = runtime
        self.port: int = writer.get_extra_info("peername")[1]
        self._reader = reader
        self._writer = writer

    async def ask(self, value: object, number: int, *, in_pieces: bool = False) -> bytes:
        """Return the body of the answer. No two requests have the same head."""
        body = asked(value)
        head = (
            b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"accept: application/json\r\nx-request-id: r%d\r\ncontent-length: %d\r\n\r\n" % (number, len(body))
        )
        self._writer.write(head if in_pieces else head + body)
        if in_pieces:
            await asyncio.sleep(0.05)
            self._writer.write(body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length: "))
        return await self._reader.readexactly(int(length.partition(b": ")[2]))

    def operations(self) -> int:
        return sum(self.runtime.metrics.requests.values())


@asynccontextmanager
async def opened(tmp_path: Path, **settings: Any) -> AsyncIterator[Door]:
    runtime = Runtime(load_settings({"store_url": f"sqlite:///{tmp_path}/users.db", "access_log": False, **settings}))
    config = make_config(runtime.settings, runtime.make_app(), runtime.drain, runtime.lane)
    config.load()
    state = uvicorn.Server(config).server_state
    make: Any = config.http_protocol_class
    async with runtime.running():
        await runtime.engine.load()  # who is the first to need it is prepared once more, when it is there
        listener = await asyncio.get_running_loop().create_server(
            lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1"
        )
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        try:
            yield Door(runtime, reader, writer)
        finally:
            writer.close()
            listener.close()
            await asyncio.sleep(0)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("flags", [{}, {"fast_lane": False}], ids=["lane", "no lane"])
@pytest.mark.parametrize("in_pieces", [False, True], ids=["whole", "in pieces"])
async def test_what_was_read_is_handed_on(tmp_path: Path, case: str, flags: dict[str, Any], *, in_pieces: bool) -> None:
    value, expected, operations = CASES[case]
    async with opened(tmp_path, **flags) as door:
        first = await door.ask(value, 1)
        for number in (2, 3):  # what is known by then is answered without the application
            before = door.operations()
            with Reading() as read:
                again = await door.ask(value, number, in_pieces=in_pieces)
            # The third time the bytes of a query with a plan are known, and nothing of them is read.
            del read["prepared"]
            assert dict(read) == ({"head": 1} if (case, number) == ("a plan", 3) else expected)
            assert door.operations() - before == operations
            assert again == first or case == "a write"


async def test_a_refused_request_takes_nothing_from_its_bucket(tmp_path: Path) -> None:
    """It is looked at twice, in front of the application and by it, and charged once at most."""
    settings = {"rate_limit_per_second": 0.001, "rate_limit_burst": 5}
    async with opened(tmp_path, **settings) as door:
        answers = [await door.ask(CASES["a plan"][0], number) for number in range(8)]
        refused = [b"RATE_LIMITED" in answer for answer in answers]
        assert refused == [False] * 5 + [True] * 3
        assert door.runtime.rate_limiter.refusals == 3


@pytest.mark.parametrize("case", CASES)
async def test_a_refused_request_is_read_once(tmp_path: Path, case: str) -> None:
    value, expected, _ = CASES[case]
    async with opened(tmp_path, rate_limit_per_second=0.001, rate_limit_burst=10) as door:
        for number in range(2):
            await door.ask(value, number)
        for number in range(2, 12):
            await door.ask(CASES["a plan"][0], number)
        with Reading() as read:
            assert b"RATE_LIMITED" in await door.ask(value, 12)
        assert read <= Counter(expected), read


ON_A_SOCKET: dict[str, tuple[object, str]] = {
    "a plan": ({"query": READ, "variables": {"id": "ann"}}, "next"),
    "a write": ({"query": SET, "variables": {"input": {"name": "Ann"}}}, "next"),
    "no plan": ({"query": "{ __schema { queryType { name } } a: app { id } }"}, "next"),
    "a bad document": ({"query": "{ nonsense }"}, "error"),
    "bad variables": ({"query": READ, "variables": {"id": None}}, "next"),
    "a watch": ({"query": 'subscription { userChanged(id: "ann") { id } }'}, "next"),
    "a watch without a plan": (
        {"query": 'subscription { a: userChanged(id: "ann") { id } ... on Subscription { __typename } }'},
        "error",
    ),
    "a bad id": ({"query": 'subscription { userChanged(id: "") { id } }'}, "next"),
}


@pytest.mark.parametrize("case", ON_A_SOCKET)
@pytest.mark.parametrize("flags", [{}, {"fast_lane": False}], ids=["lane", "no lane"])
async def test_an_operation_of_a_socket_is_prepared_and_counted_once(
    tmp_path: Path, case: str, flags: dict[str, Any]
) -> None:
    payload, expected = ON_A_SOCKET[case]
    async with opened(tmp_path, **flags) as door:
        url = f"ws://127.0.0.1:{door.port}/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], compression=None) as socket:
            await socket.send('{"type":"connection_init"}')
            assert orjson.loads(await socket.recv())["type"] == "connection_ack"
            for operation_id in ("1", "2"):
                before = door.operations()
                with Reading() as read:
                    await socket.send(
                        orjson.dumps({"id": operation_id, "type": "subscribe", "payload": payload}).decode()
                    )
                    answer = orjson.loads(await socket.recv())
                    await asyncio.sleep(0.02)
                assert (answer["id"], answer["type"]) == (operation_id, expected)
                assert read["prepared"] == 1
                assert door.operations() - before == 1
                if case != "a watch" and expected == "next":
                    assert orjson.loads(await socket.recv())["type"] == "complete"
