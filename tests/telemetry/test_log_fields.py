"""Who has asked, from where and in which trace is in the lines of the log, whichever door has answered."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from userline.gateway.request_log import shown_client, trace_id_in

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT: Final = f"00-{TRACE}-b7ad6b7169203331-01"
TOKEN: Final = {"authorization": f"Bearer {token_of('alice')}"}
APP: Final = {"authorization": f"Bearer {token_of(None)}"}
QUERY: Final = {"query": "query Fields { app { id } }"}

# What a proxy says (None: nothing), and the client that the line has.
FORWARDED: Final[list[tuple[str | None, str]]] = [
    (None, "127.0.0.1"),
    ("203.0.113.7", "203.0.113.7"),
    ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
    ("203.0.113.7, 127.0.0.1", "203.0.113.7"),
    ("2001:db8::1", "2001:db8::1"),
    ("[2001:db8::1]:4711", "2001:db8::1"),
    ("203.0.113.7:4711", "203.0.113.7"),
    ("", "127.0.0.1"),
    ("a b=c \" ' ; d", "a%20b%3Dc%20%22%20%27%20%3B%20d"),
    ("x" * 3000, "x" * 64),
]


@pytest.fixture(scope="module", params=["json", "text"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    flags = ("--log-format", request.param, "--trusted-proxies", "127.0.0.1", "--no-log-probes")
    running = RunningGateway(tmp_path_factory.mktemp("fields"), *flags, env={"USERLINE_SECRET": SECRET})
    yield running
    assert running.stop() == 0, running.log


def lines_of(gateway: RunningGateway, request_id: str, count: int = 1) -> list[dict[str, str]]:
    """Return the fields of the lines with an id, as texts."""
    deadline = time.monotonic() + 20
    while True:
        lines = [line for line in gateway.log.splitlines() if request_id in line]
        if len(lines) >= count:
            break
        assert time.monotonic() < deadline, gateway.log[-2000:]
    if lines[0].startswith("{"):
        return [{name: str(value) for name, value in json.loads(line).items()} for line in lines]
    return [dict(re.findall(r" (\w+)=('(?:[^'\\]|\\.)*'|\S+)", line)) for line in lines]


def doors(gateway: RunningGateway, headers: dict[str, str]) -> Iterator[str]:
    """Ask at every door, and yield the request's id of each."""
    asked = headers | TOKEN
    with httpx.Client(base_url=gateway.url, timeout=20) as http:
        for _ in range(2):  # the second one by the lane, which remembers the head
            yield http.post("/graphql", json=QUERY, headers=asked).headers["x-request-id"]
        yield http.get("/graphql", params=QUERY, headers=asked).headers["x-request-id"]
        yield http.get("/v1/userline/users/nobody", headers=headers | APP).headers["x-request-id"]
        yield http.get("/nothing", headers=asked).headers["x-request-id"]
    with connect(
        gateway.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")], additional_headers=asked, proxy=None
    ) as opened:
        assert opened.response is not None
        yield opened.response.headers["x-request-id"]


@pytest.mark.parametrize(("forwarded", "client"), FORWARDED)
def test_the_client_is_the_one_that_a_trusted_proxy_tells(
    gateway: RunningGateway, forwarded: str | None, client: str
) -> None:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    asked = list(doors(gateway, headers))
    assert {lines_of(gateway, request_id)[-1]["client"] for request_id in asked} == {client}


@pytest.mark.parametrize(
    "parent", [None, PARENT, f"{PARENT}-more", PARENT.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01"]
)
def test_the_trace_is_the_one_that_the_caller_is_in(gateway: RunningGateway, parent: str | None) -> None:
    asked = list(doors(gateway, {} if parent is None else {"traceparent": parent}))
    expected = TRACE if parent is not None and parent.startswith(PARENT) else None
    assert {lines_of(gateway, request_id)[-1].get("trace_id") for request_id in asked} == {expected}


def test_an_audit_has_fields(gateway: RunningGateway) -> None:
    headers = APP | {"traceparent": PARENT, "x-request-id": "the-audit-1", "x-forwarded-for": "203.0.113.7"}
    odd = 'odd "id"\n'
    query = {
        "query": 'mutation($id: ID!) { setUser(id: $id, input: {name: "N"}) { created } }',
        "variables": {"id": odd},
    }
    assert "errors" not in gateway.http.post("/graphql", json=query, headers=headers).json()
    audit, access = lines_of(gateway, "the-audit-1", 2)
    assert (audit["viewer"], audit["action"]) == ("app", "write")
    assert (audit["client"], audit["trace_id"]) == (access["client"], access["trace_id"]) == ("203.0.113.7", TRACE)
    assert "odd" in audit["users"]


def test_probes_have_no_line_where_none_is_asked_for(gateway: RunningGateway) -> None:
    for path in ("/healthz", "/readyz", "/readyz?strict=1", "/metrics"):
        gateway.http.get(path, headers={"x-request-id": "the-probe"})
    gateway.http.get("/healthzz", headers={"x-request-id": "the-probe-2"})
    assert lines_of(gateway, "the-probe-2")
    assert not re.search(r'the-probe["\s]', gateway.log)


def test_a_refused_handshake_has_the_client_too(gateway: RunningGateway) -> None:
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), 20) as connection:
        connection.sendall(
            b"GET /graphql HTTP/1.1\r\nhost: x\r\nx-request-id: the-shake\r\nx-forwarded-for: 203.0.113.9\r\n"
            b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\norigin: http://evil.example\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 403")
    assert lines_of(gateway, "the-shake")[0]["client"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (PARENT, TRACE),
        (f"cc-{TRACE}-b7ad6b7169203331-00-later", TRACE),
        (f"ff-{TRACE}-b7ad6b7169203331-00", None),
        (f"00-{TRACE}-{'0' * 16}-00", None),
        (f"00-{TRACE}-b7ad6b7169203331", None),
        (f"00-{TRACE} -b7ad6b7169203331-01", None),
        ("", None),
    ],
)
def test_a_traceparent_is_read_strictly(value: str, expected: str | None) -> None:
    assert trace_id_in([(b"a", b"b"), (b"traceparent", value.encode())]) == expected


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "fe80::1%eth0", "unix", "a\nb", "\u202e", "\x00" * 100, "é" * 100]
)
def test_a_shown_client_has_nothing_odd(host: str) -> None:
    shown = shown_client(host)
    assert re.fullmatch(r"[\x21-\x7e]{1,400}", shown)
    assert shown == host or not host.isprintable() or not host.isascii()


def test_a_worker_says_its_number(tmp_path: Any) -> None:
    """In text and in JSON; ``tests/server/test_hanging_workers.py`` has workers themselves."""
    import subprocess  # noqa: PLC0415 - for this test alone
    import sys  # noqa: PLC0415 - likewise

    for log_format, says in (("json", '"worker":3'), ("text", "worker=3")):
        code = (
            "import logging\n"
            "from userline.telemetry.logs import configure_logging\n"
            "from userline.gateway.request_log import Asked, log_access\n"
            f"configure_logging({log_format!r}, 'info', worker=3)\n"
            "log_access('GET', '/', 200, 0.1, Asked('r', None, ()))\n"
            "logging.getLogger('x').info('y')\n"
            "logging.getLogger('x').info('y %s', 1, exc_info=ValueError())\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stderr.replace('": ', '":').count(says) == 3, done.stderr
