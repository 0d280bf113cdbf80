"""Deleting users at every door, with who watches them at several gateways."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.chaos.deployment import deployed
from tests.clients.wire import new_id
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from tests.support.user_operations import DELETE, READ
from tests.support.waiting import until
from tests.support.watching import CHANGED, Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.deployment import Deployment


WITH_FRAGMENT = "mutation($id: ID!) { a: deleteUser(id: $id) { ...F } } fragment F on DeleteUserPayload { deleted }"
SET = 'mutation($id: ID!) { setUser(id: $id, input: {name: "A"}) { created user { version } } }'
ONLINE = "subscription($id: ID!) { userOnlineChanged(id: $id) { name: user { name } } }"


@pytest.fixture(scope="module", params=["servers alone", "users too", "no plans"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    flags = {"users too": ["--self-deletion"], "no plans": ["--no-plans"]}.get(request.param, [])
    running = RunningGateway(tmp_path_factory.mktemp("gateway"), *flags, env={"USERLINE_SECRET": SECRET})
    running.self_deletion = request.param == "users too"  # type: ignore[attr-defined]
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log


def ask(gateway: RunningGateway, viewer: str | None, query: str, user_id: str) -> Any:
    """Return what the first field of an operation has, or the code of its error."""
    headers = {"authorization": f"Bearer {token_of(viewer)}"}
    body = {"query": query, "variables": {"id": user_id}}
    answer = gateway.http.post("/graphql", json=body, headers=headers).json()
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["code"]
    return next(iter(answer["data"].values()))


def rest(gateway: RunningGateway, method: str, user_id: str, **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {token_of(None)}"}
    return gateway.http.request(method, f"/v1/userline/users/{user_id}", headers=headers, **more)


@pytest.mark.parametrize("query", [DELETE, WITH_FRAGMENT])
def test_a_server_deletes_anybody_and_repeats_it(guarded: RunningGateway, query: str) -> None:
    user_id = new_id("gone")
    assert ask(guarded, None, query, user_id) == {"deleted": False}
    versions = []
    for _ in range(3):
        written = ask(guarded, None, SET, user_id)
        assert written["created"]
        versions.append(int(written["user"]["version"]))
        assert ask(guarded, None, READ, user_id)["name"] == "A"
        assert ask(guarded, None, query, user_id) == {"deleted": True}
        assert ask(guarded, None, READ, user_id) is None
        assert ask(guarded, None, query, user_id) == {"deleted": False}
    assert versions == sorted(set(versions))
    assert ask(
        guarded, None, 'mutation($id: ID!) { setUser(id: $id, input: {locale: "en"}) { created } }', user_id
    ) == ("NAME_REQUIRED")


def test_what_a_users_own_token_may_delete(guarded: RunningGateway) -> None:
    me, other = new_id("me"), new_id("other")
    for user_id in (me, other):
        ask(guarded, None, SET, user_id)
    assert ask(guarded, me, DELETE, other) == "FORBIDDEN"
    own = ask(guarded, me, DELETE, me)
    if guarded.self_deletion:  # type: ignore[attr-defined]
        assert own == {"deleted": True}
        assert ask(guarded, me, DELETE, me) == {"deleted": False}
    else:
        assert own == "FORBIDDEN"
    assert (ask(guarded, None, READ, me) is None) is guarded.self_deletion  # type: ignore[attr-defined]
    assert ask(guarded, None, READ, other)["name"] == "A"


def test_over_rest(guarded: RunningGateway) -> None:
    user_id = new_id("rest")
    assert (rest(guarded, "DELETE", user_id).status_code, rest(guarded, "DELETE", user_id).json()) == (
        200,
        {"deleted": False},
    )
    rest(guarded, "PUT", user_id, json={"name": "A", "email": ["gone@example.com"]})
    read = rest(guarded, "GET", user_id).json()
    assert rest(guarded, "DELETE", user_id).json() == {"deleted": True}
    assert rest(guarded, "GET", user_id).status_code == 404
    assert rest(guarded, "PUT", user_id, json=read).status_code == 400, "what was read before does not bring it back"
    assert rest(guarded, "PUT", user_id, json={"name": "B"}).json() == {"created": True, "changed": True}
    new = rest(guarded, "GET", user_id).json()
    assert (new["email"], int(new["version"]) > int(read["version"])) == ([], True)
    own = guarded.http.delete(f"/v1/userline/users/{user_id}", headers={"authorization": f"Bearer {token_of(user_id)}"})
    assert own.status_code == 403
    assert guarded.http.delete(f"/v1/userline/users/{user_id}").status_code == 401
    assert rest(guarded, "DELETE", "x" * 256).status_code == 400
    assert rest(guarded, "DELETE", user_id + "?x=1").status_code == 400
    assert guarded.http.get("/v1/userline/users/x").status_code == 401


def test_every_deletion_is_audited(guarded: RunningGateway) -> None:
    user_id = new_id("audited")
    ask(guarded, None, SET, user_id)
    ask(guarded, user_id, DELETE, user_id)
    ask(guarded, None, DELETE, user_id)
    rest(guarded, "DELETE", user_id)
    kinds = re.findall(rf"(\w+) token: deletion of 1 user .* users='\[\"{user_id}\"\]'", guarded.log)
    assert kinds == ["user", "app", "app"]


def test_a_bad_id_is_told_to_those_who_may_delete(guarded: RunningGateway) -> None:
    assert ask(guarded, None, DELETE, "") == "BAD_USER_INPUT"
    assert ask(guarded, "me", DELETE, "") == "FORBIDDEN"


def test_an_open_gateway_lets_everybody(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    gateway.set_user("alice", name="A")
    assert gateway.data(DELETE, {"id": "alice"}) == {"deleteUser": {"deleted": True}}
    assert gateway.http.delete("/v1/userline/users/alice").json() == {"deleted": False}
    for door in range(2):
        gateway.set_user("alice", name="secretly stored")
        if door:
            gateway.http.delete("/v1/userline/users/alice")
        else:
            gateway.data(DELETE, {"id": "alice"})
    files = {path.name: path.read_bytes() for path in tmp_path.glob("users.db*")}
    assert [name for name, data in files.items() if b"secretly stored" in data or b"alice" in data] == []
    assert gateway.stop() == 0
    doctor = [sys.executable, "-m", "userline", "doctor", "--store-url", f"sqlite:///{gateway.database}"]
    told = subprocess.run(doctor, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "0 problems" in told.stdout, told.stdout + told.stderr


async def test_several_gateways(tmp_path: Path) -> None:
    """Over one deployment, which takes long to start: the bus, the command, and a gateway that is cut off."""
    # So long that nothing but the bus, and what comes after a gap, can be in time.
    async with deployed(tmp_path, "sqlite", reread_seconds=300, detour=True) as deployment:
        await watchers_at_every_gateway_get_null_and_whoever_comes_next(deployment)
        await the_command_tells_running_gateways(deployment, tmp_path)
        await a_gateway_that_was_cut_off_finds_out_and_brings_nobody_back(deployment)


async def do(deployment: Deployment, gateway: int, query: str, user_id: str) -> Any:
    async with httpx.AsyncClient(timeout=30, headers=deployment.headers) as http:
        body = {"query": query, "variables": {"id": user_id}}
        answer = (await http.post(deployment.gateways[gateway].url + "/graphql", json=body)).json()
    assert "errors" not in answer, answer
    return next(iter(answer["data"].values()))


async def watch(deployment: Deployment, users: list[str], query: str = CHANGED) -> list[Watching]:
    token = deployment.token_of(None)
    watchers = [
        await Watching.start(each.websocket_url, users, token=token, query=query) for each in deployment.gateways
    ]
    for watching in watchers:
        await until(lambda w=watching: all(w.seen.values()), 30)  # type: ignore[misc]
    return watchers


async def watchers_at_every_gateway_get_null_and_whoever_comes_next(deployment: Deployment) -> None:
    users = [f"user {number}" for number in range(6)]
    for user_id in users:
        await do(deployment, 0, SET, user_id)
    watchers = await watch(deployment, users)
    online = await watch(deployment, users, ONLINE)
    assert all(seen == [{"name": "A"}] for each in online for seen in each.seen.values())
    try:
        await asyncio.gather(*(do(deployment, number % 3, DELETE, user_id) for number, user_id in enumerate(users)))
        await until(lambda: all(seen[-1] is None for each in (*watchers, *online) for seen in each.seen.values()), 10)
        for gateway in range(3):
            assert [await do(deployment, gateway, READ, user_id) for user_id in users] == [None] * len(users)
        await asyncio.gather(*(do(deployment, number % 3, SET, user_id) for number, user_id in enumerate(users)))
        await until(lambda: all(seen[-1] == "A" for each in watchers for seen in each.seen.values()), 10)
        for watching in watchers:
            assert set(map(tuple, watching.seen.values())) == {("A", None, "A")}
    finally:
        await asyncio.gather(*(each.stop() for each in (*watchers, *online)))


async def the_command_tells_running_gateways(deployment: Deployment, tmp_path: Path) -> None:
    users = [f"user {number} of the command" for number in range(4)]
    for user_id in users:
        await do(deployment, 0, SET, user_id)
    watchers = await watch(deployment, users)
    try:
        (tmp_path / "gone.txt").write_text(f'{users[1]}\n"{users[2]}"\n{{"id": "{users[3]}"}}\n')
        command = [sys.executable, "-m", "userline", "delete", users[0], "nobody", "--from", "gone.txt"]
        command += ["--store-url", f"sqlite:///{deployment.gateways[0].database}", "--bus-url", deployment.bus.url]
        command += ["--app-id", deployment.app_id]
        ended = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert (ended.returncode, ended.stderr.splitlines()[-1]) == (0, "4 users deleted, 1 did not exist."), (
            ended.stderr
        )
        await until(lambda: all(seen[-1] is None for each in watchers for seen in each.seen.values()), 10)
    finally:
        await asyncio.gather(*(each.stop() for each in watchers))


async def a_gateway_that_was_cut_off_finds_out_and_brings_nobody_back(deployment: Deployment) -> None:
    """What it wrote before the deletion, and tells of only afterwards, is older than the deletion."""
    users = [f"user {number} cut off" for number in range(6)]
    for user_id in users:
        await do(deployment, 0, SET, user_id)
    watchers = await watch(deployment, users)
    last = len(deployment.gateways) - 1
    assert deployment.detour is not None
    rename = 'mutation($id: ID!) { setUser(id: $id, input: {name: "written while cut off"}) { changed } }'
    try:
        deployment.detour.hold()
        for user_id in users:
            await do(deployment, last, rename, user_id)
        for user_id in users:
            assert await do(deployment, 0, DELETE, user_id) == {"deleted": True}
        others = watchers[:last]
        await until(lambda: all(seen[-1] is None for each in others for seen in each.seen.values()), 10)
        deployment.detour.release()  # all that was held comes through now, in its own time
        await until(lambda: all(seen[-1] is None for each in watchers for seen in each.seen.values()), 20)
        await deployment.until_ready()
        await asyncio.sleep(1)
        for each in others:
            for seen in each.seen.values():
                assert seen[-1] is None
                assert "written while cut off" not in seen
        assert [seen[-1] for seen in watchers[last].seen.values()] == [None] * len(users)
        for gateway in range(3):
            assert [await do(deployment, gateway, READ, user_id) for user_id in users] == [None] * len(users)
    finally:
        await asyncio.gather(*(each.stop() for each in watchers))
