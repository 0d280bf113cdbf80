"""SIGHUP has a gateway read its settings again: in one process and in several, and it never ends any."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import jwt
import pytest
from tests.gateway.reloading.playing import Reloaded
from tests.support.gateway import RunningGateway
from tests.support.redis import RedisServer
from tests.support.tokens import claims_of

from userline.settings.problems import SettingsError
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OLD: Final = "the old secret, of more than 32 bytes"
NEW: Final = "the new secret, of more than 32 bytes"
DEEP: Final = '{ user(id: "u") { id name locale role photoUrl } }'
PAGE: Final = "https://page.example.com"


def bearer(secret: str = OLD, user_id: str | None = "alice", **claims: Any) -> str:
    return f"Bearer {jwt.encode(claims_of(user_id, **claims), secret, algorithm='HS256')}"


@pytest.fixture(scope="module", params=[1, 2])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reloaded]:
    directory = tmp_path_factory.mktemp("reloading")
    flags: tuple[str, ...] = ()
    redis = None
    if request.param > 1:
        redis = RedisServer(directory)
        flags = ("--workers", str(request.param), "--bus-url", redis.url)
    reloaded = Reloaded(directory, {"SECRET": OLD}, *flags)
    yield reloaded
    reloaded.stop()
    if redis is not None:
        redis.remove()


@pytest.fixture
def gateway(running: Reloaded) -> Iterator[Reloaded]:
    """The gateway, with nothing but its secret set before and after."""
    yield running
    if running.values != {"SECRET": OLD}:
        running.write({"SECRET": OLD})
        running.tell()
    authorization = bearer()
    running.until(lambda: "errors" not in running.post(DEEP, authorization=authorization).json())


def code_of(answer: httpx.Response) -> str:
    body = answer.json()
    return str(body["errors"][0]["extensions"]["code"]) if "errors" in body else "OK"


def put(gateway: Reloaded, **patch: object) -> int:
    path = f"/v1/userline/users/{time.monotonic_ns()}"
    return gateway.ask("PUT", path, {"authorization": bearer(user_id=None)}, patch).status_code


def batch(gateway: Reloaded) -> int:
    return gateway.ask("POST", "/graphql", {"authorization": bearer()}, [{"query": DEEP}] * 2).status_code


def allowed_origin(gateway: Reloaded) -> str | None:
    """Return what an answer tells a page, whichever door answers, if all doors agree."""
    preflight = {"origin": PAGE, "access-control-request-method": "POST"}
    url = gateway.gateway.url + "/graphql"
    authorization = bearer()
    told = {gateway.ask("OPTIONS", "/graphql", preflight).headers.get("access-control-allow-origin")}
    with httpx.Client(verify=False, timeout=20) as http:  # noqa: S501 - there is no TLS. From the second on by the lane
        for _ in range(3):
            answer = http.post(url, json={"query": DEEP}, headers={"origin": PAGE, "authorization": authorization})
            told.add(answer.headers.get("access-control-allow-origin"))
    return told.pop() if len(told) == 1 else str(told)


def line_of_no_http(gateway: Reloaded) -> bool:
    host, port = gateway.gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        return b"access-control-allow-origin: *" in connection.recv(4096)


def has_line(gateway: Reloaded) -> bool:
    request_id = f"line-{time.monotonic_ns()}"
    gateway.post(DEEP, authorization=bearer(), x_request_id=request_id)
    return request_id in gateway.gateway.log


def has_probe_line(gateway: Reloaded) -> bool:
    request_id = f"probe-{time.monotonic_ns()}"
    gateway.ask("GET", "/readyz", {"x-request-id": request_id})
    return request_id in gateway.gateway.log


def rate_limited(gateway: Reloaded) -> bool:
    authorization = bearer(user_id="quick")
    return 429 in {gateway.post(DEEP, authorization=authorization).status_code for _ in range(4)}


CHANGES: Final[list[tuple[dict[str, object], Callable[[Reloaded], object], object, object]]] = [
    ({"MAX_COST": 5}, lambda g: code_of(g.post(DEEP, authorization=bearer())), "OK", "OPERATION_TOO_COMPLEX"),
    (
        {"MAX_DOCUMENT_TOKENS": 5},
        lambda g: code_of(g.post(DEEP, authorization=bearer())),
        "OK",
        "OPERATION_TOO_COMPLEX",
    ),
    ({"MAX_BODY_BYTES": 20}, lambda g: g.post(DEEP, authorization=bearer()).status_code, 200, 413),
    ({"MAX_BATCH_OPERATIONS": 1}, batch, 200, 400),
    ({"MAX_CUSTOM_KEYS": 0}, lambda g: put(g, name="N", custom={"k": str(time.time())}), 200, 400),
    ({"MAX_RECORD_BYTES": 300}, lambda g: put(g, name="N", welcomeMessage="w" * 400), 200, 400),
    ({"CORS_ORIGINS": PAGE}, allowed_origin, None, PAGE),
    ({"CORS_ORIGINS": PAGE}, line_of_no_http, False, True),
    ({"ACCESS_LOG": "false"}, has_line, True, False),
    ({"LOG_LEVEL": "warning"}, has_line, True, False),
    ({"LOG_PROBES": "false"}, has_probe_line, True, False),
    ({"RATE_LIMIT_PER_SECOND": 0.01, "RATE_LIMIT_BURST": 1}, rate_limited, False, True),
    (
        {"CLIENT_USER_SYNCING": "off"},
        lambda g: code_of(g.post(SET, authorization=bearer())),
        "OK",
        "USER_SYNC_DISABLED",
    ),
    ({"SECRET": NEW}, lambda g: g.post(DEEP, authorization=bearer()).status_code, 200, 401),
]
SET: Final = 'mutation { setUser(id: "alice", input: {name: "A"}) { created } }'


IN_WORKERS: Final = (0, 4, 6, 9, 13)
"""The changes that several workers are tried with: how they are told is the same for all."""


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_what_changes_holds_at_once_and_is_taken_back(gateway: Reloaded, number: int) -> None:
    if gateway.has_workers and number not in IN_WORKERS:
        return
    change, look, before, after = CHANGES[number]
    assert look(gateway) == before
    log = gateway.reload(**change)
    if change.get("LOG_LEVEL") != "warning":
        assert f"USERLINE_{next(iter(change))} is" in log
    assert NEW not in gateway.gateway.log
    gateway.until(lambda: look(gateway) == after)
    gateway.reload(**(dict.fromkeys(change, ...) | ({"SECRET": OLD} if "SECRET" in change else {})))
    gateway.until(lambda: look(gateway) == before)


BAD: Final[list[dict[str, object]]] = [
    {"MAX_DEPTH": "deep"},
    {"MAX_DEPTH": -1, "LOG_LEVEL": "loud"},
    {"LOG_LEVEL": "error", "CORS_ORIGINS": "page.example.com/path"},
    {"SECRET_FILE": "/nowhere/secrets"},
    {"SECRET": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC", "LOG_LEVEL": "error"},
    {"SECRET": ..., "SECOND_SECRET": NEW},
    {"DEFAULT_LOCALE": "no locale", "LOG_LEVEL": "error"},
    {"ROLES": "/nowhere/roles.json"},
    {"ENV": "production", "ALLOW_OPEN": "true", "LOG_LEVEL": "error"},
    {"KEEP_ALIVE_SECONDS": 0, "ACCESS_LOG": "false"},
]


@pytest.mark.parametrize("values", BAD)
def test_a_bad_value_changes_nothing_and_is_told_as_at_the_start(
    gateway: Reloaded, values: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = gateway.reload(**values)
    monkeypatch.chdir(gateway.file.parent)
    for name in [name for name in os.environ if name.startswith("USERLINE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError) as told:
        load_settings({})
    for problem in told.value.problems:
        assert problem in log
    assert "and keep their values" in log
    assert "were reloaded" not in log
    gateway.until(lambda: has_line(gateway))
    assert gateway.post(DEEP, authorization=bearer()).status_code == 200


@pytest.mark.parametrize("how", ["gone", "no text", "a directory"])
def test_a_file_that_cannot_be_read_changes_nothing(gateway: Reloaded, how: str) -> None:
    gateway.file.unlink()
    if how == "no text":
        gateway.file.write_bytes(b"USERLINE_SECRET=\xff\xfe\n")
    elif how == "a directory":
        gateway.file.mkdir()
    assert "and keep their values" in gateway.tell()
    assert gateway.post(DEEP).status_code == 401
    assert gateway.post(DEEP, authorization=bearer()).status_code == 200
    if how == "a directory":
        gateway.file.rmdir()
    gateway.write({"SECRET": OLD})
    assert "nothing has changed" in gateway.tell()


def test_what_needs_a_restart_is_told_and_the_rest_is_taken(gateway: Reloaded) -> None:
    gateway.write(gateway.values | {"CACHE_USERS": 7, "ACCESS_LOG": "false"})
    log = gateway.tell("were reloaded")
    assert "USERLINE_CACHE_USERS is 7 (.env file). It needs a restart; until then it stays 10000." in log
    assert "The settings were reloaded. USERLINE_ACCESS_LOG is false (.env file)." in log
    gateway.until(lambda: not has_line(gateway))


def test_no_reload_opens_a_gateway(gateway: Reloaded) -> None:
    log = gateway.reload(SECRET=..., MAX_DEPTH=9)
    assert "USERLINE_SECRET is not set. It needs a restart" in log
    assert gateway.post(DEEP).status_code == 401
    assert gateway.post(DEEP, authorization=bearer()).status_code == 200


def test_signals_in_any_number_end_nobody(gateway: Reloaded) -> None:
    authorization = bearer()
    for number in range(60):
        gateway.hang_up()
        if not number % 10:
            assert gateway.post(DEEP, authorization=authorization).status_code == 200
    assert gateway.gateway.process.poll() is None
    assert "nothing has changed" in gateway.tell()


def test_the_whole_group_may_be_hung_up(tmp_path: Path) -> None:
    """A terminal that is closed signals all processes, those of workers too, whenever it is."""
    redis = RedisServer(tmp_path)
    try:
        gateway = RunningGateway(tmp_path, "--workers", "2", "--bus-url", redis.url, "--log-format", "json")
        children = _children_of(gateway.process.pid)
        assert len(children) >= 2
        for _ in range(5):
            for pid in [gateway.process.pid, *children]:
                os.kill(pid, signal.SIGHUP)
            time.sleep(0.1)
        assert gateway.data("{ app { id } }")
        gateway.process.send_signal(signal.SIGTERM)
        os.kill(gateway.process.pid, signal.SIGHUP)
        assert gateway.stop() == 0
        lines = [json.loads(line) for line in gateway.log.splitlines()]
        assert not [line for line in lines if "has ended" in line["event"]]
        assert [line for line in lines if "nothing has changed" in line["event"]]
    finally:
        redis.remove()


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.5])
def test_one_that_is_stopping_is_not_killed(tmp_path: Path, delay: float) -> None:
    gateway = RunningGateway(tmp_path)
    gateway.http.close()
    gateway.process.send_signal(signal.SIGTERM)
    time.sleep(delay)
    while gateway.process.poll() is None:
        gateway.process.send_signal(signal.SIGHUP)
        time.sleep(0.002)
    assert gateway.process.returncode == 0, gateway.log


def _children_of(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 - of this kernel
        return [int(child) for child in file.read().split()]
