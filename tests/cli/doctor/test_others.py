"""``userline doctor --gateway``: what differs between the gateways of a deployment is found, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner
from tests.support.gateway import RunningGateway
from tests.support.ports import free_port

from userline import __version__
from userline.cli.doctor import command as cli_doctor
from userline.cli.doctor import others
from userline.cli.main import userline
from userline.settings.field import must_agree
from userline.settings.fingerprint import AGREEING, Fingerprints, of_all
from userline.settings.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")

SECRET: Final = "a secret of more than 32 bytes, for tests alone"
OTHER: Final = "another secret of more than 32 bytes, for tests"
BASE: Final[dict[str, Any]] = {"secret": SECRET}
DIFFERENT: Final[dict[str, dict[str, Any]]] = {
    "secret": {"secret": OTHER},
    "jwks_url": {"secret": None, "jwks_url": "https://login.example.com/keys"},
    "issuer": {"issuer": "https://login.example.com"},
    "audience": {"audience": "me"},
    "client_user_syncing": {"client_user_syncing": "any"},
    "self_deletion": {"self_deletion": True},
    "presence_seconds": {"presence_seconds": 11},
    "bus_prefix": {"bus_prefix": "other"},
    "app_id": {"app_id": "other"},
    "default_locale": {"default_locale": "de"},
    "roles": {"roles": "roles.json"},
    "max_record_bytes": {"max_record_bytes": 1000},
    "max_custom_keys": {"max_custom_keys": 1},
    "max_push_tokens": {"max_push_tokens": 1},
    "max_emails": {"max_emails": 1},
    "max_phones": {"max_phones": 1},
}


def settings_of(**values: Any) -> Settings:
    return load_settings({name: value for name, value in (BASE | values).items() if value is not None})


@pytest.fixture(autouse=True)
def roles_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_doctor, "configure_logging", lambda *_: None)
    (tmp_path / "roles.json").write_text('{"default": {}, "agent": {"a": 1}}')
    monkeypatch.chdir(tmp_path)


def metrics_of(version: str, *workers: dict[str, str]) -> str:
    lines = [f'userline_info{{version="{version}",fingerprint="x"}} 1.0']
    for number, told in enumerate(workers):
        lines += [
            f'userline_setting_info{{worker="{number}",setting="{name}",fingerprint="{value}"}} 1.0'
            for name, value in told.items()
        ]
    return "\n".join(lines) + "\n"


class Gateway:
    """Something that answers ``/metrics`` with a text, at a time of its own."""

    def __init__(self, text: str, *, ahead: float = 0.0, status: int = 200) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(status if self.path == "/metrics" else 404)
                self.send_header("date", email.utils.formatdate(time.time() + ahead, usegmt=True))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> str:
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


async def visit(settings: Settings, text: str, **options: Any) -> list[tuple[str, str]]:
    with Gateway(text, **options) as url:
        found = await others.examine_others(settings, [url])
    assert all(item.part in {"gateways", "clock"} for item in found)
    assert all(bool(item.advice) is (item.level != "ok") for item in found)
    return [(item.level.value, item.text) for item in found if item.part == "gateways" or item.level != "ok"]


def test_every_setting_that_must_agree_has_a_fingerprint() -> None:
    assert set(AGREEING) == {name for name, field in Settings.model_fields.items() if must_agree(field)}
    assert set(Fingerprints(settings_of()).now()) == set(AGREEING) == set(DIFFERENT)


@pytest.mark.parametrize("name", AGREEING)
async def test_what_differs_is_named_and_nothing_else(name: str) -> None:
    here, there = settings_of(), settings_of(**DIFFERENT[name])
    found = await visit(here, metrics_of(__version__, Fingerprints(there).now()))
    assert {level for level, _ in found} == {"problem"}
    named = {text.partition(" has another ")[2].split()[0] for _, text in found}
    expected = {"secret", "jwks_url"} if name == "jwks_url" else {name}
    assert named == {f"USERLINE_{one.upper()}" for one in expected}
    assert of_all(Fingerprints(here).now()) != of_all(Fingerprints(there).now())


async def test_gateways_that_are_alike() -> None:
    told = Fingerprints(settings_of(port=9999, log_level="debug", max_sockets=7)).now()
    ((level, text),) = await visit(settings_of(), metrics_of(__version__, told, told))
    assert level == "ok"
    assert "has the same values as this machine in all" in text


async def test_one_worker_that_is_left_behind_is_found() -> None:
    here = Fingerprints(settings_of()).now()
    behind = Fingerprints(settings_of(default_locale="de")).now()
    ((level, text),) = await visit(settings_of(), metrics_of(__version__, here, behind))
    assert (level, "USERLINE_DEFAULT_LOCALE" in text) == ("problem", True)


@pytest.mark.parametrize(
    ("there", "level"),
    [
        ({"secret": OTHER, "second_secret": SECRET}, "advice"),
        ({"second_secret": OTHER}, "advice"),
        ({"secret": OTHER}, "problem"),
    ],
)
async def test_a_secret_that_is_being_replaced(there: dict[str, Any], level: str) -> None:
    ((found, text),) = await visit(settings_of(), metrics_of(__version__, Fingerprints(settings_of(**there)).now()))
    assert found == level
    assert "secret" in text.lower()


@pytest.mark.parametrize(
    ("text", "options", "level", "says"),
    [
        (metrics_of("0.0.1", {}), {}, "advice", "is userline 0.0.1"),
        (metrics_of(__version__), {}, "advice", "has no fingerprints of its settings"),
        ("up 1.0\n", {}, "problem", "has no metrics of userline"),
        ("<html>{{", {}, "problem", "has no metrics of userline"),
        ("", {"status": 404}, "problem", "it answers 404"),
        (metrics_of(__version__, {}), {"ahead": 45}, "problem", "ahead, which is more than the 30 s"),
        (metrics_of(__version__, {}), {"ahead": -45}, "problem", "behind, which is more than the 30 s"),
        (metrics_of(__version__, {}), {"ahead": 8}, "advice", "ahead"),
    ],
)
async def test_what_else_is_found(text: str, options: dict[str, Any], level: str, says: str) -> None:
    assert any((found, says in said) == (level, True) for found, said in await visit(settings_of(), text, **options))


@pytest.mark.parametrize(("pause", "says"), [(0.0, "larger than"), (0.02, "TimeoutError")])
async def test_an_answer_without_an_end_is_not_read_for_ever(
    pause: float, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "_SECONDS", 1.0)
    monkeypatch.setattr(others, "_MOST_BYTES", 1 << 20)
    written, is_over = 0, asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        line = metrics_of(__version__, {}).encode() * (1 if pause else 1000)
        with contextlib.suppress(ConnectionError):
            while written < 1 << 26:
                writer.write(line)
                written += len(line)
                await writer.drain()
                await asyncio.sleep(pause)
            writer.close()
            await writer.wait_closed()
        is_over.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        (found,) = await others.examine_others(settings_of(), [f"127.0.0.1:{port}"])
        await is_over.wait()
    assert (found.level.value, says in found.text) == ("problem", True), found
    assert written < 1 << 24


def test_nobody_answers() -> None:
    done = CliRunner().invoke(
        userline, ["doctor", "--json", "--port", str(free_port()), "--gateway", f"127.0.0.1:{free_port()}"]
    )
    (found,) = [item for item in json.loads(done.stdout)["findings"] if item["part"] == "gateways"]
    assert (found["level"], done.exit_code) == ("problem", 1)
    assert "cannot be read" in found["text"]


def test_no_fingerprint_has_a_secret_or_what_is_quickly_tried() -> None:
    started = time.process_time()
    told = Fingerprints(settings_of(second_secret=OTHER)).now()["secret"]
    assert time.process_time() - started > 0.01, "trying many takes long"
    assert len(told.split("+")) == 2
    assert all(len(part) == 8 for part in told.split("+"))
    assert SECRET not in told
    assert Fingerprints(settings_of(app_id="other")).now()["secret"] not in told


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    gateway = RunningGateway(tmp_path_factory.mktemp("other"), env={"USERLINE_SECRET": SECRET})
    yield gateway
    assert gateway.stop() == 0


@pytest.mark.parametrize(("flags", "code"), [((), 0), (("--default-locale", "de"), 1)])
def test_a_real_gateway(running: RunningGateway, flags: tuple[str, ...], code: int) -> None:
    flags = ("--port", str(free_port()), "--secret", SECRET, "--gateway", running.url, *flags)
    done = CliRunner().invoke(userline, ["doctor", "--json", *flags])
    assert done.exit_code == code, done.stdout
    found = [item for item in json.loads(done.stdout)["findings"] if item["part"] == "gateways"]
    assert [item["level"] for item in found] == (["ok"] if code == 0 else ["problem"])
    assert SECRET not in done.stdout
