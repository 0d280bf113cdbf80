"""What is listened on: several addresses, sockets in the file system, and how long a connection may be idle."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.sync.client import unix_connect
from websockets.typing import Subprotocol

from tests.support.gateway import RunningGateway
from userline.server.listeners import is_file, listening, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = {"query": "{ app { id } }"}


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="u") as directory:
        yield Path(directory)


@contextmanager
def serving(directory: Path, *flags: str) -> Iterator[list[str]]:
    """Serve, and yield the addresses that it says it serves at."""
    log = directory / "log"
    command = [sys.executable, "-m", "userline", "serve", "--store-url", f"sqlite:///{directory}/u.db", *flags]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, cwd=directory) as process:
        deadline = time.monotonic() + 60
        said: list[str] = []
        hosts = flags[flags.index("--host") + 1].split(",")
        while len(said) < len(hosts):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            said = re.findall(r" at (\S+)/graphql; stop", log.read_text())
            time.sleep(0.05)
        try:
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) in (0, 130), log.read_text()
        assert "Traceback" not in log.read_text()


class TestAddresses:
    def test_several_take_the_same_port(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--host", "127.0.0.1,::1", "--port", "0") as (one, other):
            assert one.startswith("http://127.0.0.1:")
            assert other == one.replace("127.0.0.1", "[::1]")
            for url in (one, other):
                assert httpx.post(f"{url}/graphql", json=APP).json() == {"data": {"app": {"id": "userline"}}}

    def test_workers_share_all_of_them(self, tmp_path: Path, short: Path) -> None:
        path = short / "s"
        bus = "postgres://nobody@127.0.0.1:1/none"  # one that is away is shared all the same
        flags = ("--port", "0", "--workers", "2", "--bus-url", bus)
        with serving(tmp_path, "--host", f"127.0.0.1,unix:{path}", *flags) as said:
            url = next(address for address in said if address.startswith("http"))
            assert httpx.post(f"{url}/graphql", json=APP).status_code == 200
            assert ask(path)[0] == 200


class TestFiles:
    def test_http_and_sockets_over_a_file(self, tmp_path: Path, short: Path) -> None:
        path = short / "s"
        with serving(tmp_path, "--host", f"unix:{path}") as said:
            assert said == [f"unix:{path}"]
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            assert ask(path) == (200, {"data": {"app": {"id": "userline"}}})
            wire = unix_connect(str(path), "ws://localhost/graphql", subprotocols=[Subprotocol("graphql-transport-ws")])
            with wire:
                wire.send('{"type": "connection_init"}')
                assert "connection_ack" in str(wire.recv(10))
        assert not path.exists()

    def test_whose_address_it_is_a_proxy_may_say(self, tmp_path: Path, short: Path) -> None:
        path = short / "s"
        limits = ("--rate-limit-per-second", "0.01", "--rate-limit-burst", "2")
        with serving(tmp_path, "--host", f"unix:{path}", *limits):
            assert [ask(path, f"10.0.0.{number}")[0] for number in range(4)] == [200, 200, 429, 429]
        with serving(tmp_path, "--host", f"unix:{path}", "--trusted-proxies", "unix", *limits):
            assert [ask(path, f"10.0.0.{number}")[0] for number in range(4)] == [200] * 4

    def test_one_that_nobody_listens_on_is_replaced(self, short: Path) -> None:
        path = short / "s"
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(path))
        left.close()
        with listening(f"unix:{path}", 0, backlog=1) as listener:
            assert url_of(listener) == f"unix:{path}"
        assert not path.exists()

    def test_one_that_somebody_listens_on_stays(self, short: Path) -> None:
        path = short / "s"
        with listening(f"unix:{path}", 0, backlog=1):
            with pytest.raises(OSError, match="already in use"), listening(f"unix:{path}", 0, backlog=1):
                pass
            assert path.exists()

    def test_what_is_no_socket_stays(self, short: Path) -> None:
        path = short / "s"
        path.write_text("mine")
        with pytest.raises(OSError, match="already in use"), listening(f"unix:{path}", 0, backlog=1):
            pass
        assert path.read_text() == "mine"

    def test_one_that_was_replaced_meanwhile_stays(self, short: Path) -> None:
        path = short / "s"
        with listening(f"unix:{path}", 0, backlog=1):
            path.unlink()
            path.write_text("another")
        assert path.read_text() == "another"

    def test_a_directory_that_is_not_there(self, short: Path) -> None:
        with pytest.raises(OSError, match="No such file"), listening(f"unix:{short}/none/s", 0, backlog=1):
            pass

    def test_which_addresses_are_files(self) -> None:
        assert is_file("unix:/x")
        assert not any(map(is_file, ("127.0.0.1", "::1", "unix", "localhost")))


def ask(path: Path, claimed: str | None = None) -> tuple[int, object]:
    """Ask over a socket in the file system."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as http:
        answer = http.post("/graphql", json=APP, headers={"x-forwarded-for": claimed} if claimed else {})
        return answer.status_code, answer.json()


class TestIdleConnections:
    def test_a_connection_is_kept_as_long_as_is_set(self, tmp_path: Path) -> None:
        gateway = RunningGateway(tmp_path, "--keep-alive-seconds", "1")
        connection = http.client.HTTPConnection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        for pause in (0.0, 0.6, 0.6):
            time.sleep(pause)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        kept = connection.sock
        assert kept is not None
        kept.settimeout(10)
        assert kept.recv(1) == b"", "it is closed"
        connection.close()
        assert gateway.stop() == 0

    def test_by_default_longer_than_balancers_do(self, gateway: RunningGateway) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        kept = connection.sock
        assert kept is not None
        kept.settimeout(8)
        with pytest.raises(TimeoutError):
            kept.recv(1)
        connection.close()


class TestHTTP10:
    @pytest.mark.parametrize(
        ("accept", "line"),
        [("text/event-stream", b"event: next"), ("multipart/mixed;subscriptionSpec=1.0", b'{"payload"')],
    )
    def test_streams_are_not_in_chunks(self, gateway: RunningGateway, accept: str, line: bytes) -> None:
        gateway.set_user("old", name="Old")
        body = json.dumps({"query": 'subscription { userChanged(id: "old") { name } }'}).encode()
        with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=10) as connection:
            connection.sendall(
                b"POST /graphql HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Accept: %b\r\nContent-Length: %d\r\n\r\n%b" % (accept.encode(), len(body), body)
            )
            seen = b""
            while line not in seen or b"Old" not in seen:
                got = connection.recv(65_536)
                assert got, seen
                seen += got
        head, _, rest = seen.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head
        assert re.match(rb"(:|event:|\r?\n?--)", rest), rest
