"""A secret is replaced by another on two gateways, under traffic, and nobody is refused."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from tests.support.gateway import RunningGateway
from tests.support.ports import free_port
from tests.support.tokens import APP, bad_tokens, claims_of

from userline.gateway.auth.authenticator import Authenticator
from userline.gateway.auth.keys import SharedSecret
from userline.gateway.auth.tokens import Terms
from userline.users.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OLD = "the old secret, of more than 32 bytes"
NEW = "the new secret, of more than 32 bytes"
ASK = {"query": "{ app { id } }"}


def signed(secret: str, **claims: Any) -> str:
    return jwt.encode(claims_of("alice", **claims), secret, algorithm="HS256")


async def test_a_token_of_any_secret_is_taken_and_of_no_other() -> None:
    secrets = [f"secret {number} of more than 32 bytes altogether" for number in range(10)]
    for count in (1, 2, 10):
        keys = SharedSecret(*(secret.encode() for secret in secrets[:count]))
        authenticator = Authenticator(Terms.of(APP), keys)
        for number, secret in enumerate(secrets):
            if number < count:
                assert (await authenticator.viewer(signed(secret))).user_id == "alice"
            else:
                with pytest.raises(Unauthenticated):
                    await authenticator.viewer(signed(secret))
        for token in bad_tokens().values():
            with pytest.raises(Unauthenticated):
                await authenticator.viewer(token)


@pytest.mark.parametrize("which", [0, 4, 9, None])
async def test_every_secret_is_tried_whichever_it_is(which: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [f"secret {number} of more than 32 bytes altogether" for number in range(10)]
    keys = SharedSecret(*(secret.encode() for secret in secrets))
    authenticator = Authenticator(Terms.of(APP), keys)
    tried = 0
    original = keys.is_signed

    def count(*arguments: Any) -> bool:
        nonlocal tried
        tried += 1
        return original(*arguments)

    monkeypatch.setattr(keys, "is_signed", count)
    try:
        await authenticator.viewer(signed("a stranger's, of more than 32 bytes" if which is None else secrets[which]))
    except Unauthenticated:
        assert which is None
    assert tried == 10


class Deployment:
    """Two gateways of one store, each on a port of its own, and those who ask them all the time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = [free_port(), free_port()]
        self.gateways: dict[int, RunningGateway] = {}
        self.signs = OLD
        self.answers: dict[int, int] = {}
        self.until = asyncio.Event()

    def start(self, port: int, env: dict[str, str]) -> None:
        directory = self.directory / str(port)
        directory.mkdir(exist_ok=True)
        self.gateways[port] = RunningGateway(directory, "--port", str(port), env=env)

    async def restart(self, port: int, env: dict[str, str]) -> None:
        assert await asyncio.to_thread(self.gateways[port].stop) == 0
        await asyncio.to_thread(self.start, port, env)

    async def ask(self, port: int, seconds: float) -> None:
        """Ask again and again, with tokens as a back end makes them: kept for some seconds."""
        number = 0
        token, made = "", 0.0
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            while not self.until.is_set():
                if time.monotonic() - made > seconds:
                    number += 1
                    token, made = (
                        signed(self.signs, exp=int(time.time()) + 60, jti=f"{port} {number}"),
                        time.monotonic(),
                    )
                try:
                    answer = await http.post("/graphql", json=ASK, headers={"authorization": f"Bearer {token}"})
                    self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
                except httpx.TransportError:
                    self.answers[0] = self.answers.get(0, 0) + 1  # it is being restarted
                await asyncio.sleep(0.01)


def by_variables(_: Path) -> list[dict[str, str]]:
    return [
        {"USERLINE_SECRET": OLD},
        {"USERLINE_SECRET": OLD, "USERLINE_SECOND_SECRET": NEW},
        {"USERLINE_SECRET": NEW},
    ]


def by_a_file(directory: Path) -> list[dict[str, str]]:
    found = []
    for number, lines in enumerate(([OLD], [OLD, NEW], [NEW])):
        file = directory / f"secrets {number}"
        file.write_text("".join(f"{line}\n" for line in lines))
        found.append({"USERLINE_SECRET_FILE": str(file)})
    return found


@pytest.mark.parametrize("recipe", [by_variables, by_a_file])
async def test_the_recipe_of_the_docs(tmp_path: Path, recipe: Callable[[Path], list[dict[str, str]]]) -> None:
    kept = 1.0
    before, meanwhile, after = recipe(tmp_path)
    deployment = Deployment(tmp_path)
    for port in deployment.ports:
        await asyncio.to_thread(deployment.start, port, before)
    asking = [asyncio.create_task(deployment.ask(port, kept)) for port in deployment.ports for _ in range(3)]
    try:
        await asyncio.sleep(0.5)
        for port in deployment.ports:  # 1. both are accepted, at one gateway after the other
            await deployment.restart(port, meanwhile)
        deployment.signs = NEW  # 2. who makes tokens signs with the new one
        await asyncio.sleep(kept + 0.5)  # 3. the last token of the old one is over
        for port in deployment.ports:  # 4. the old one is gone
            await deployment.restart(port, after)
        await asyncio.sleep(0.5)
    finally:
        deployment.until.set()
        await asyncio.gather(*asking)
        codes = [gateway.stop() for gateway in deployment.gateways.values()]
    assert codes == [0, 0]
    print(json.dumps(deployment.answers))
    assert deployment.answers[200] > 300
    assert set(deployment.answers) <= {0, 200}, "nobody is refused"


async def test_the_old_secret_is_refused_in_the_end(tmp_path: Path) -> None:
    gateway = await asyncio.to_thread(
        RunningGateway, tmp_path, env={"USERLINE_SECRET": OLD, "USERLINE_SECOND_SECRET": NEW}
    )
    try:
        for secret, status in ((OLD, 200), (NEW, 200), ("another, also of more than 32 bytes", 401)):
            headers = {"authorization": f"Bearer {signed(secret)}"}
            assert gateway.http.post("/graphql", json=ASK, headers=headers).status_code == status
    finally:
        assert gateway.stop() == 0
    gateway = await asyncio.to_thread(RunningGateway, tmp_path, env={"USERLINE_SECRET": NEW})
    try:
        for secret, status in ((OLD, 401), (NEW, 200)):
            headers = {"authorization": f"Bearer {signed(secret)}"}
            assert gateway.http.post("/graphql", json=ASK, headers=headers).status_code == status
    finally:
        assert gateway.stop() == 0
