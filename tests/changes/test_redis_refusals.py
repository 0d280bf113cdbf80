"""A Redis that does not do what a bus needs: it is never joined, the log says why once an outage, and it is joined when
it does."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.changes.test_hub import snapshot
from tests.support.detour import Detour
from tests.support.ports import free_port
from tests.support.redis_kinds import RULES as RULES_OF_THE_DOCS
from tests.support.scripted_redis import ScriptedRedis
from tests.support.waiting import until
from userline.changes import bus, rejoining
from userline.changes.redis.refusals import explain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.changes.conftest import Listen, Serve
    from tests.changes.listening import Listener
    from tests.support.redis import RedisServer

PROTECTED = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    b"default user. In this mode connections are only accepted from the loopback interface. " + b"1) Disable. " * 50
)


class Scene:
    """A gateway's address of a Redis that leads to something else at first."""

    def __init__(self, server: RedisServer, listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
        self._server, self._listen, self._caplog = server, listen, caplog
        self._scripted: list[ScriptedRedis] = []
        self._detours: list[Detour] = []

    async def script(self, answer: bytes | Callable[[], bytes], *, ends: bool = False) -> ScriptedRedis:
        self._scripted.append(await ScriptedRedis.open(answer, ends=ends))
        return self._scripted[-1]

    async def listen_to(self, port: int, url: str = "redis://127.0.0.1:{}") -> Listener:
        """Start a gateway's end of the bus at an address that leads there."""
        self._detours.append(await Detour.open(port))
        listener = self._listen(url.format(self._detours[-1].port))
        await listener.start()
        return listener

    def complaints(self, listener: Listener) -> list[str]:
        """Return why it could not be joined, as the log has it."""
        assert not listener.bus.connected
        return [line for line in self._caplog.messages if "cannot connect to the bus" in line]

    async def heal(self) -> None:
        """Let the address lead to a Redis as it comes."""
        self._detours[-1].lead_to(self._server.port)
        for scripted in self._scripted:
            await scripted.close()

    async def close(self) -> None:
        for detour in self._detours:
            await detour.close()
        for scripted in self._scripted:
            await scripted.close()


@pytest.fixture
async def scene(server: RedisServer, listen: Listen, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Scene]:
    made = Scene(server, listen, caplog)
    yield made
    await made.close()


ANSWERS = [
    (b"-LOADING Redis is loading the dataset in memory", "Redis is loading its data"),
    (b"-READONLY You can't write against a read only replica.", "This Redis is a replica"),
    (b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "This Redis is a replica"),
    (b"-ERR max number of clients reached", "has reached its limit of clients (maxclients)"),
    (b"-OOM command not allowed when used memory > 'maxmemory'.", "Redis is out of memory"),
    (PROTECTED, "Redis is in protected mode"),
    (b"-CLUSTERDOWN The cluster is down", "a node of a cluster that is down"),
    (b"-MOVED 1234 10.0.0.2:6379", "redirects its clients to another node"),
    (b"-NOAUTH HELLO must be called with the client already authenticated", "does not accept this user name"),
    (b"-WRONGPASS invalid username-password pair or user is disabled.", "does not accept this user name"),
    (
        b"-NOPERM User app has no permissions to run the 'subscribe' command",
        "does not have the rights that a gateway needs",
    ),
    (b"-MISCONF Errors writing to the AOF file", "cannot save its data"),
    (b"-NOREPLICAS Not enough good replicas to write.", "too few replicas"),
    (b"-BUSY Redis is busy running a script.", "Redis refuses: BUSY"),
    (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n", "does not speak the protocol of Redis"),
    (b"\xff\x00\xfe garbage", "does not speak the protocol of Redis"),
    (b":notanumber", "does not speak the protocol of Redis"),
    (b"+OK", "does not speak the protocol of Redis"),
    (b"$-1", "does not"),
    (b"*0", "does not speak the protocol of Redis"),
    (b"%1\r\n+role\r\n+replica", "This Redis is a replica"),
    (b"%2\r\n+mode\r\n+sentinel\r\n+modules\r\n*0", "This is a Sentinel"),
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not joined at once is never joined here."""
    monkeypatch.setattr(bus, "START_PATIENCE_SECONDS", 0.1)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}?protocol=2", "redis://127.0.0.1:{}?protocol=3"])
@pytest.mark.parametrize(("answer", "says"), ANSWERS)
async def test_answers_that_are_none(scene: Scene, answer: bytes, says: str, url: str) -> None:
    if url.endswith("2") and answer.startswith(b"%"):
        says = "does not speak the protocol of Redis"  # that protocol has no maps
    scripted = await scene.script(answer + b"\r\n")
    listener = await scene.listen_to(scripted.port, url)
    await until(lambda: scripted.connections >= 5, 30)
    (said,) = scene.complaints(listener)
    assert says in said
    assert len(said) < 600
    await scene.heal()
    await listener.until_joined()
    listener.bus.publish(snapshot(1))
    await listener.until_version(1)


@pytest.mark.parametrize("ends", [False, True])
async def test_garbage_that_is_never_the_same_is_logged_once(scene: Scene, *, ends: bool) -> None:
    chance = secrets.SystemRandom()

    def garbage() -> bytes:
        kind = chance.choice([b"-ERR ", b"+", b":", b"$", b"*", b"%", b">", b"~", b"(", b",", b"#", b"!", b"="])
        return kind + chance.randbytes(40) + b"\r\n"

    scripted = await scene.script(garbage, ends=ends)
    listener = await scene.listen_to(scripted.port)
    await until(lambda: scripted.connections >= 30, 60)
    assert 1 <= len(scene.complaints(listener)) <= 10, "a kind each, and no more than ten"
    await scene.heal()
    await listener.until_joined(seconds=30)


async def test_hundreds_of_attempts_use_nothing_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejoining, "LONGEST_PAUSE_SECONDS", 0.001)
    scripted = await scene.script(b"-READONLY You can't write against a read only replica.\r\n")
    listener = await scene.listen_to(scripted.port)
    await until(lambda: scripted.connections >= 300, 60)
    await scene.heal()
    await listener.until_joined()


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_explanations_are_short_and_have_a_kind_whatever_was_said(said: bytes) -> None:
    for error in (redis.ResponseError, redis.InvalidResponse, redis.ConnectionError, OSError, ValueError):
        explanation = explain(error(said.decode(errors="replace") * 100))
        assert explanation.kind is not None
        assert 0 < len(explanation.text) < 400
        assert "\n" not in explanation.text


async def test_a_redis_that_has_all_its_clients(
    server: RedisServer, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    with redis.Redis(port=server.port, protocol=2) as operator:
        operator.config_set("maxclients", 1)
        listener = listen(server.url)
        await listener.start()
        assert not listener.bus.connected
        (said,) = [line for line in caplog.messages if "cannot connect to the bus" in line]
        assert "has reached its limit of clients (maxclients)" in said
        # One more is room enough to listen, but not to publish.
        operator.config_set("maxclients", 2)
        await asyncio.sleep(1)
        assert not listener.bus.connected
        operator.config_set("maxclients", 3)
        await listener.until_joined()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_sentinel(listen: Listen, caplog: pytest.LogCaptureFixture, tmp_path: Path, protocol: int) -> None:
    port = free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.touch()
    command = ["redis-server", str(configuration), "--sentinel", "--port", str(port), "--bind", "127.0.0.1"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        listener = listen(f"redis://127.0.0.1:{port}?protocol={protocol}")
        await listener.start()
        await until(lambda: "This is a Sentinel, which carries no messages" in caplog.text)
        assert not listener.bus.connected
        await listener.bus.stop()
    finally:
        process.kill()
        await process.wait()


RULES = ("resetchannels", "-@all")


async def test_a_user_with_the_rule_of_the_docs(
    server: RedisServer, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    command = server.command
    command("ACL", "SETUSER", "shop", "on", ">pass", *RULES_OF_THE_DOCS.split())
    url = server.url.replace("//", "//shop:pass@")
    for end in ("", "?protocol=2", "/3"):
        if end == "/3":
            command("ACL", "SETUSER", "shop", "+select")
        listeners = [listen(url + end, app_id="shop") for _ in range(2)]
        await asyncio.gather(*(listener.start() for listener in listeners))
        listeners[0].bus.publish(snapshot(1, user_id=end or "x"))
        for listener in listeners:
            await listener.until_heard(1)
            assert listener.events[-1] == "joined"
    with caplog.at_level(logging.DEBUG):
        foreign = listen(url, app_id="blog")
        await foreign.start()
    assert not foreign.bus.connected
    (said,) = [line for line in caplog.messages if "cannot connect to the bus" in line]
    assert "does not have the rights that a gateway needs" in said
    assert "ACL SETUSER: &PREFIX:APP:* +subscribe +publish" in said
    assert "does not tell" not in caplog.text, "everybody may say HELLO"
    command("ACL", "SETUSER", "shop", "&userline:blog:*")
    await foreign.until_joined()


@pytest.mark.parametrize("missing", ["subscribe", "publish"])
async def test_a_user_who_may_do_only_half_is_not_joined(
    server: RedisServer, listen: Listen, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    server.command("ACL", "SETUSER", "half", "on", ">pass", *RULES, "&*", *{"+subscribe", "+publish"} - {f"+{missing}"})
    listener = listen(server.url.replace("//", "//half:pass@"))
    await listener.start()
    assert not listener.bus.connected
    (said,) = [line for line in caplog.messages if "cannot connect to the bus" in line]
    assert f"'{missing}'" in said
    server.command("ACL", "SETUSER", "half", f"+{missing}")
    await listener.until_joined()
    caplog.clear()
    server.command("ACL", "SETUSER", "half", f"-{missing}")
    if missing == "publish":
        await listener.until_joined(joined=False)
        assert "does not have the rights that a gateway needs" in caplog.text


@pytest.mark.parametrize("hidden", [("HELLO",), ("HELLO", "INFO")])
async def test_a_redis_that_does_not_know_hello(
    serve: Serve, listen: Listen, caplog: pytest.LogCaptureFixture, hidden: tuple[str, ...]
) -> None:
    """As Redis before version 6, or one whose commands were renamed."""
    master = serve()
    server = serve(*(word for name in hidden for word in ("--rename-command", name, "")))
    listener = listen(server.url + "?protocol=2")
    await listener.start()
    listener.bus.publish(snapshot(1))
    await listener.until_version(1)
    unknown = [line for line in caplog.messages if "does not tell this user whether it is a master" in line]
    assert len(unknown) == (1 if "INFO" in hidden else 0)
    server.follow(master)
    if "INFO" in hidden:
        await asyncio.sleep(3)
        assert listener.events == ["joined"]
    else:
        await listener.until_joined(joined=False)
        assert "This Redis is a replica" in caplog.text
    server.promote()
    await listener.until_joined()
    assert len([line for line in caplog.messages if "does not tell" in line]) == len(unknown)
