"""Users are created, changed and deleted at random while a gateway is cut off, the store is away and a gateway dies.

What was done when is written down, and held against what the store has in the end, and what watchers were shown.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.support.tokens import SECRET
from tests.support.waiting import until
from tests.support.watching import Watching
from userline.storage.factory import make_store
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.chaos.deployment import Deployment
    from tests.support.gateway import RunningGateway
    from userline.users.record import UserRecord

_USERS: Final = 12
_AT_ONCE: Final = 8
"""How many write at the same time."""
_SECONDS: Final = 0.8
"""How long each of the parts takes."""
_PATIENCE: Final = 40.0

_VERSIONS: Final = "subscription($id: ID!) { userChanged(id: $id) { name: version } }"
_READ: Final = "query($ids: [ID!]!) { users(ids: $ids) { version } }"
_DONE: Final = "{ created user { version } }"
_MUTATIONS: Final[dict[str, tuple[str, int]]] = {
    "set": (f"setUser(id: $id, input: {{name: $text}}) {_DONE}", 30),
    "create": (f"createUserIfNotExists(id: $id, input: {{name: $text}}) {_DONE}", 20),
    "greet": (f"setUser(id: $id, input: {{welcomeMessage: $text}}) {_DONE}", 15),
    "delete": ("deleteUser(id: $id) { deleted }", 35),
}


@dataclass(slots=True)
class Act:
    """One write: what, of whom, with which text, which nobody else writes, and from when to when.

    ``done`` is whether it did something. Of what had no answer nobody knows whether, and when, it is done.
    """

    kind: str
    user: str
    text: str
    began: float
    ended: float = math.inf
    done: bool | None = None
    version: int = 0

    @property
    def may_be_done(self) -> bool:
        return self.done is not False

    def is_before(self, other: Act) -> bool:
        return self.ended < other.began


class History:
    """Writes through random gateways of a deployment, and what is known of them."""

    def __init__(self, deployment: Deployment, users: list[str]) -> None:
        self.deployment = deployment
        self.users = users
        self.acts: list[Act] = []
        self.gateways = list(deployment.gateways)
        self._chance = random.Random()
        self._http = httpx.AsyncClient(
            timeout=30, headers=deployment.headers, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._stopped = False
        self._writers = [asyncio.create_task(self._write()) for _ in range(_AT_ONCE)]

    async def stop(self) -> None:
        """Let what is under way end, and see that nothing had a wrong answer."""
        self._stopped = True
        await asyncio.gather(*self._writers)
        await self._http.aclose()

    async def _write(self) -> None:
        while not self._stopped:
            kind = self._chance.choices(list(_MUTATIONS), [share for _, share in _MUTATIONS.values()])[0]
            await self._act(Act(kind, self._chance.choice(self.users), str(len(self.acts)), time.monotonic()))
            await asyncio.sleep(self._chance.uniform(0, 0.01))

    async def _act(self, act: Act) -> None:
        self.acts.append(act)
        text = "" if act.kind == "delete" else ", $text: String!"
        body = {
            "query": f"mutation($id: ID!{text}) {{ told: {_MUTATIONS[act.kind][0]} }}",
            "variables": {"id": act.user, "text": act.text},
        }
        try:
            answer = (await self._http.post(self._chance.choice(self.gateways).url + "/graphql", json=body)).json()
        except httpx.TransportError:
            return
        codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
        if codes == ["STORE_UNAVAILABLE"]:
            return
        assert codes in ([], ["NAME_REQUIRED"]), answer
        act.ended = time.monotonic()
        if codes:
            assert act.kind == "greet"
            act.done = False
            return
        told = answer["data"]["told"]
        if act.kind == "delete":
            act.done = told["deleted"]
            return
        act.done = told["created"] or act.kind != "create"
        assert not (act.kind == "greet" and told["created"]), "a user came back without a name"
        act.version = int(told["user"]["version"])

    def judge(self, user: str, record: UserRecord | None, deleted: int) -> None:
        """Hold what the store has of a user, and the version of the deletion, against what was done."""
        acts = [act for act in self.acts if act.user == user]
        deletions = [act for act in acts if act.kind == "delete" and act.may_be_done]
        namings = [act for act in acts if act.kind in ("set", "create") and act.may_be_done]
        if record is None:
            for act in namings:
                if act.done:
                    assert any(not each.is_before(act) for each in deletions), f"{act} is lost"
            assert deleted or not any(act.done for act in namings), f"{user} has gone, and no deletion is known"
            assert deleted > max((act.version for act in acts), default=0) or not deleted
        else:
            (named,) = [act for act in namings if act.text == record.snapshot.name]
            for act in deletions:
                assert act.done is None or not named.is_before(act), f"{named} came back after {act}"
            for act in namings:
                assert act.kind == "create" or act.done is None or not named.is_before(act), f"{act} is lost"
            assert record.snapshot.version >= max(act.version for act in acts)
        versions = sorted((act for act in acts if act.version), key=lambda act: act.began)
        for number, act in enumerate(versions):
            for later in versions[number + 1 :]:
                assert not act.is_before(later) or later.version >= act.version, f"{later} is older than {act}"


async def delete_through_trouble(deployment: Deployment) -> float:
    """Write through all gateways while everything happens; return how long it took after that until all was told."""
    users = [f"user {number}" for number in range(_USERS)]
    survivors = deployment.gateways[1:]
    watchers = [
        await Watching.start(gateway.websocket_url, users, token=deployment.token_of(None), query=_VERSIONS)
        for gateway in survivors
    ]
    for watching in watchers:
        await until(lambda w=watching: all(w.seen.values()))  # type: ignore[misc]
    history = History(deployment, users)
    try:
        await _trouble(deployment, history)
    finally:
        await history.stop()
    stopped = time.monotonic()
    await _until_all_shown(deployment, survivors, watchers, users, stopped)
    seconds = time.monotonic() - stopped
    for watching in watchers:
        assert not watching.closed
        for user, seen in watching.seen.items():
            shown = [int(version) for version in seen if version is not None]
            assert shown == sorted(set(shown)), f"{user}: {seen}"
        await watching.stop()
    records, deleted = await _stored(deployment, users)
    for user in users:
        history.judge(user, records[user], deleted.get(user, 0))
    assert any(act.done for act in history.acts if act.kind == "delete")
    await asyncio.to_thread(_visit, deployment)
    return seconds


async def _trouble(deployment: Deployment, history: History) -> None:
    await asyncio.sleep(_SECONDS)
    assert deployment.detour is not None
    deployment.detour.hold()
    await asyncio.sleep(2 * _SECONDS)
    deployment.detour.release()
    await asyncio.sleep(_SECONDS)
    deployment.bus.kill()
    await asyncio.sleep(_SECONDS)
    deployment.bus.start()
    if deployment.mongo is not None:
        await asyncio.sleep(_SECONDS)
        await asyncio.to_thread(deployment.mongo.kill)
        await asyncio.sleep(_SECONDS)
        await asyncio.to_thread(deployment.mongo.start)
    await asyncio.sleep(_SECONDS)
    deployment.gateways[0].kill()
    await asyncio.sleep(0.1)
    del history.gateways[0]
    await asyncio.sleep(_SECONDS)


async def _until_all_shown(
    deployment: Deployment, gateways: list[RunningGateway], watchers: list[Watching], users: list[str], since: float
) -> None:
    """Wait until every watcher, and a read at every gateway, has what the store has. Late writes may still come."""
    while True:
        records, _ = await _stored(deployment, users)
        versions = {user: str(record.snapshot.version) if record else None for user, record in records.items()}
        differing = {
            f"watcher {number}, {user}": (watching.last(user), versions[user])
            for number, watching in enumerate(watchers)
            for user in users
            if watching.last(user) != versions[user]
        }
        if not differing:
            break
        assert time.monotonic() - since < _PATIENCE, differing
        await asyncio.sleep(0.1)
    async with httpx.AsyncClient(timeout=30, headers=deployment.headers) as http:
        for gateway in gateways:
            body = {"query": _READ, "variables": {"ids": users}}
            read = (await http.post(gateway.url + "/graphql", json=body)).json()["data"]["users"]
            assert [user and user["version"] for user in read] == list(versions.values())


async def _stored(deployment: Deployment, users: list[str]) -> tuple[dict[str, UserRecord | None], Mapping[str, int]]:
    """Return what the store has of users, and the versions of deletions that it knows."""
    store = make_store(deployment.store_url, Rules(), mongodb_driver="pymongo")
    await store.open(create=False)
    try:
        records = await store.get_many(users)
        return dict(zip(users, records, strict=True)), await store.deletions(users)
    finally:
        await store.close()


def _visit(deployment: Deployment) -> None:
    """Have the doctor look."""
    command = [sys.executable, "-m", "userline", "doctor", "--json", "--app-id", deployment.app_id]
    command += ["--store-url", deployment.store_url, "--bus-url", deployment.bus.url]
    directory = deployment.gateways[1].directory
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, check=False, env={"USERLINE_SECRET": SECRET}
    )
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["healthy"], done.stdout
