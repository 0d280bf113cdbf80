"""The how-tos do what they say: tokens of a login service, an import from another system."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.running import Background, blocks, commands, environment, run, write_file
from tests.support.gateway import RunningGateway
from tests.support.needed import program
from tests.support.redis import RedisServer
from tests.support.tokens import SECRET, KeyServer, Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGIN = dict(blocks("docs/howto/login-service.md"))
MOVING = blocks("docs/howto/moving-in.md")


def here(command: str) -> str:
    programs = Path(sys.executable).parent
    return command.replace("python3 ", f"{sys.executable} ").replace("userline ", f"{programs}/userline ", 1)


@pytest.fixture
def login_service() -> Iterator[tuple[KeyServer, Signer]]:
    signer = Signer.new("ES256", "key-1")
    server = KeyServer(signer)
    yield server, signer
    server.stop()


def test_tokens_of_a_login_service(login_service: tuple[KeyServer, Signer], tmp_path: Path) -> None:
    program("curl")
    server, signer = login_service
    settings = dict(line.split("=", 1) for line in LOGIN["ini"].splitlines())
    # In production keys come by https alone, which a server on this machine has no certificate for.
    assert settings.pop("USERLINE_ENV") == "production"
    assert settings["USERLINE_JWKS_URL"].startswith("https://")
    gateway = RunningGateway(tmp_path, env=settings | {"USERLINE_JWKS_URL": server.url})
    claims = json.loads(LOGIN["json"])
    try:
        ((command, printed),) = commands(LOGIN["console"])
        command = command.replace("https://users.example.com", gateway.url)
        assert run(command, tmp_path, environment(TOKEN=signer.sign(claims))).strip() == printed.strip()
        for claim in ("iss", "aud", "sub", "tokenType"):
            for other in (
                {name: value for name, value in claims.items() if name != claim},
                claims | {claim: "?" * 300},
            ):
                headers = {"authorization": f"Bearer {signer.sign(other)}"}
                answer = gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers)
                assert answer.status_code == 401, (claim, other)
        with_token = {"authorization": f"Bearer {signer.sign(claims)}"}
        query = 'mutation { setUser(id: "alice", input: {name: "Alice"}) { created } }'
        answer = gateway.http.post("/graphql", json={"query": query}, headers=with_token)
        assert answer.json() == {"data": {"setUser": {"created": True}}}
    finally:
        gateway.stop()
    refusals = [line for line in gateway.log.splitlines() if "userline.auth" in line]
    assert refusals, gateway.log


def test_a_back_end_that_makes_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERLINE_SECRET", SECRET)
    spec = importlib.util.spec_from_file_location("tokens_of_a_back_end", write_file(LOGIN["python"], tmp_path))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    gateway = RunningGateway(tmp_path, env={"USERLINE_SECRET": SECRET})
    try:
        headers = {"authorization": f"Bearer {module.token_for('alice')}"}
        for user_id, code in (("alice", None), ("bob", "FORBIDDEN")):
            query = f'mutation {{ setUser(id: "{user_id}", input: {{name: "A"}}) {{ created }} }}'
            body = gateway.http.post("/graphql", json={"query": query}, headers=headers).json()
            assert (body["errors"][0]["extensions"]["code"] if "errors" in body else None) == code
    finally:
        gateway.stop()


def test_moving_in(tmp_path: Path) -> None:
    for kind, text in MOVING:
        if kind == "json":
            (tmp_path / "export.json").write_text(text)
        elif kind == "python":
            write_file(text, tmp_path)
        else:
            assert kind == "console"
            for command, printed in commands(text):
                assert run(f"({here(command)}) 2> errors", tmp_path, environment()).strip() == printed.strip(), command
    lines = run(here("userline export - 2> errors"), tmp_path, environment()).splitlines()
    users = {user["id"]: user for user in map(json.loads, lines)}
    assert set(users) == {"alice", "bob", "carol"}
    assert users["alice"]["custom"] == {"team": "blue", "availability": "back on Monday"}
    assert users["alice"]["locale"] == "pt-BR"
    assert users["alice"]["email"] == ["alice@example.com"]
    assert users["bob"]["phone"]
    assert [users[user_id]["createdAt"] for user_id in sorted(users)] == [1700000000000, 1700000001000, 1700000002000]


def test_several_gateways_with_redis(tmp_path: Path) -> None:
    """The flags of the page, with a store and a Redis of this machine: one gateway shows what changes at the other."""
    redis = RedisServer(tmp_path)
    flags = [
        command.replace("redis://bus.example.com", redis.url).split()[4:]
        for kind, text in blocks("docs/howto/redis.md")
        for command, _ in commands(text)
        if kind == "console"
    ]
    assert all(len(found) == 4 for found in flags)
    gateways = [RunningGateway(tmp_path, *found[2:]) for found in flags]
    try:
        first, second = gateways
        first.set_user("alice", name="Alice")
        watch = Background(
            f"{sys.executable} -c 'from userline_client.cli import main; main()' {second.websocket_url} alice --json",
            tmp_path,
            environment(PYTHONUNBUFFERED="1"),
        )
        assert watch.shows("}\n")
        first.set_user("alice", name="Alice B.")
        assert watch.shows("}\n", within="Alice B.")
        watch.stop()
    finally:
        for gateway in gateways:
            gateway.stop()
        redis.kill()
