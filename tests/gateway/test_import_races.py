"""An old export is imported while its users are deleted, created and written through gateways at the same moment."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections import Counter
from contextlib import AsyncExitStack, aclosing
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from tests.chaos.deployment import deployed
from tests.support.user_operations import CREATE, DELETE, READ, SET, VERSIONS
from tests.support.waiting import until
from tests.support.watching import CHANGED, Watching

from userline.moving import batches
from userline.moving.importing import Import, ImportOutcome, ImportPlan, OnDeleted, OnExisting
from userline.moving.json_lines import encode_line
from userline.storage.factory import make_store
from userline.users.replacement import Put
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.chaos.deployment import Deployment
    from tests.support.gateway import RunningGateway

    from userline.storage.protocol import UserStore
    from userline.users.record import UserRecord, UserSnapshot


FROM_EXPORT = "as it was"
DOOMED = [f"doomed {number}" for number in range(4)]
"""Users of the export who are deleted and never created again by anybody but an import."""
BUSY = [f"busy {number}" for number in range(6)]
"""Users of the export who are created, written and deleted."""
NEW = [f"new {number}" for number in range(3)]
"""Users of the file whom the store has never had, and to whom the same is done as to the busy ones."""
USERS = [*DOOMED, *BUSY, *NEW]
AT_ONCE = 4
IMPORTS = 3


class _Told:
    """A store that remembers what putting records did to each user."""

    def __init__(self, store: UserStore) -> None:
        self._store = store
        self.outcomes: list[tuple[str, Put]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put_many(self, records: Sequence[UserRecord], **options: bool) -> list[Put]:
        done = await self._store.put_many(records, **options)
        self.outcomes += [(record.snapshot.id, what) for record, what in zip(records, done, strict=True)]
        return done


async def import_file(path: Path, store: UserStore, number: int, **choices: Any) -> list[tuple[str, Put]]:
    """Import the file; return what became of each user. The counts and the report of the import say the same."""
    told, report = _Told(store), path.with_name(f"refused {number}.jsonl")
    with path.open("rb") as file:
        plan = ImportPlan(
            source=path,
            file=file,
            size=path.stat().st_size,
            rules=Rules(),
            skip_refused=True,
            dry_run=False,
            report=report,
            checkpoint=None,
            identity={},
            **choices,
        )
        work = Import(told, plan, stop=asyncio.Event(), screen=io.StringIO())
        assert await work.run() is ImportOutcome.DONE
    counts = Counter(what for _, what in told.outcomes)
    assert {what: work.counts[what] for what in Put} == {what: counts[what] for what in Put}
    assert work.counts["refused"] == 0
    assert counts.total() == work.counts["lines"] == len(USERS)
    refuses = {Put.KEPT} if plan.on_existing is OnExisting.REFUSE else set()
    refuses |= {Put.DELETED} if plan.on_deleted is OnDeleted.REFUSE else set()
    lines = report.read_bytes().splitlines() if report.exists() else []
    refused = sorted(orjson.loads(line)["id"] for line in lines)
    assert refused == sorted(user_id for user_id, what in told.outcomes if what in refuses)
    return told.outcomes


class Story:
    """What gateways and imports have said of the users so far."""

    def __init__(self, deployment: Deployment, http: httpx.AsyncClient, chance: Random) -> None:
        self._deployment, self._http, self._chance = deployment, http, chance
        self.made: Counter[str] = Counter()
        """How often a user was created, less how often one was deleted."""
        self.unsure: set[str] = set()
        """Of whom a write had no answer."""
        self.killed: int | None = None
        """The number of the gateway that was killed."""
        self.names: dict[str, dict[int, str]] = {user_id: {} for user_id in USERS}
        """The names that answers had, by their versions."""

    async def ask(self, gateway: int, query: str, **variables: str) -> Any:
        body = {"query": query, "variables": variables}
        url = self._deployment.gateways[gateway].url + "/graphql"
        try:
            answer = (await self._http.post(url, json=body)).json()
        except httpx.TransportError:
            assert gateway == self.killed, "the others answer"
            return None
        if "errors" in answer:
            (error,) = answer["errors"]
            assert error["extensions"]["code"] == "STORE_UNAVAILABLE", answer
            return None
        return next(iter(answer["data"].values()))

    async def act(self, user_id: str, query: str, name: str) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.2))
        gateway = self._chance.randrange(len(self._deployment.gateways))
        variables = {"id": user_id} if query == DELETE else {"id": user_id, "name": name}
        done = await self.ask(gateway, query, **variables)
        if (
            done is None
        ):  # on MongoDB nobody can tell what became of a write, if its user is deleted before one can look
            self.unsure.add(user_id)
            return
        if query == DELETE:
            self.made[user_id] -= done["deleted"]
            return
        self.made[user_id] += done["created"]
        self.see(user_id, done["user"])

    def see(self, user_id: str, user: dict[str, str] | None) -> None:
        if user is not None:
            shown = self.names[user_id].setdefault(int(user["version"]), user["name"])
            assert shown == user["name"], "one version is one state"

    def check(self, left: dict[str, dict[str, str] | None]) -> None:
        """Hold who is left against what was said."""
        for user_id, user in left.items():
            is_right = self.made[user_id] == (user is not None)
            assert is_right or user_id in self.unsure, "each deletion ends one creation"
            if user is not None:
                self.see(user_id, user)
                assert int(user["version"]) == max(self.names[user_id])
        assert self.killed is not None or len(self.unsure) < len(USERS) / 2

    async def agreed(self, watchers: list[Watching], store: UserStore) -> dict[str, dict[str, str] | None]:
        """Return who is left, when every gateway and watcher knows it."""
        records = await store.get_many(USERS)
        left: dict[str, dict[str, str] | None] = dict.fromkeys(USERS)
        for record in filter(None, records):
            snapshot = record.snapshot
            left[snapshot.id] = {"name": snapshot.name, "version": str(snapshot.version)}
        for user_id, user in left.items():
            # A version that looks as the one before is told nobody.
            name = user and user["name"]
            await until(lambda u=user_id, n=name: all(w.last(u) == n for w in watchers), 30)  # type: ignore[misc]
            for gateway in range(len(self._deployment.gateways)):
                # What an import wrote, a gateway knows when it has read the user again.
                deadline = time.monotonic() + 30
                while (found := await self.ask(gateway, READ, id=user_id)) != user:
                    assert time.monotonic() < deadline, found
                    await asyncio.sleep(0.1)
        return left


async def exported(store: UserStore, path: Path) -> None:
    async with aclosing(store.walk(after=None)) as pages:
        lines = [encode_line(record) async for page in pages for record in page]
    assert len(lines) == len(DOOMED) + len(BUSY)
    lines += [orjson.dumps({"id": user_id, "name": FROM_EXPORT}) + b"\n" for user_id in NEW]
    path.write_bytes(b"".join(lines))


async def watch(
    stack: AsyncExitStack, deployment: Deployment, gateways: Sequence[RunningGateway], query: str
) -> list[Watching]:
    """Watch all users on these gateways, until the stack ends."""
    watchers = [
        await Watching.start(each.websocket_url, USERS, token=deployment.token_of(None), query=query)
        for each in gateways
    ]
    for watching in watchers:
        stack.push_async_callback(watching.stop)
    return watchers


def lives_of(versions: Sequence[str | None]) -> list[list[str]]:
    """Return the versions that a user had in each of its lives, the last of which may be none."""
    lives: list[list[str]] = [[]]
    for version in versions:
        if version is not None:
            lives[-1].append(version)
        elif lives[-1]:
            lives.append([])
    return lives


def acts(story: Story, chance: Random, turn: int) -> Iterable[Any]:
    for user_id in USERS:
        for number in range(AT_ONCE):
            query = DELETE if user_id in DOOMED else chance.choice((SET, CREATE, DELETE))
            yield story.act(user_id, query, f"{turn} {number}")


@pytest.mark.parametrize("on_deleted", OnDeleted)
@pytest.mark.parametrize("store_of", ["sqlite", "nx-27017/motor", "nx-27017/pymongo"])
@pytest.mark.parametrize("seed", range(int(os.environ.get("USERLINE_TEST_RACES", "1"))))
async def test_what_an_import_says_and_leaves_is_explained_by_an_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_of: str, on_deleted: OnDeleted, seed: int
) -> None:
    monkeypatch.setattr(batches, "LINES_A_BATCH", 4)
    chance = Random(f"{store_of} {on_deleted} {seed}")
    path = tmp_path / "users.jsonl"
    async with AsyncExitStack() as stack:
        # What an import writes is told nobody: gateways read it.
        deployment = await stack.enter_async_context(deployed(tmp_path, store_of, reread_seconds=1))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, headers=deployment.headers))
        driver: Any = store_of.partition("/")[2] or "motor"
        store = make_store(deployment.store_url, Rules(), mongodb_driver=driver)
        await store.open()
        stack.push_async_callback(store.close)
        story = Story(deployment, http, chance)
        await asyncio.gather(*(story.act(user_id, SET, FROM_EXPORT) for user_id in [*DOOMED, *BUSY]))
        await exported(store, path)
        of_names, of_versions = [
            await watch(stack, deployment, deployment.gateways, query) for query in (CHANGED, VERSIONS)
        ]

        async def imports(turn: int) -> None:
            for number in range(IMPORTS):
                choices = {"on_existing": chance.choice(list(OnExisting)), "on_deleted": on_deleted}
                done = await import_file(path, store, turn * IMPORTS + number, **choices)
                created = {user_id for user_id, what in done if what is Put.CREATED}
                story.made.update(created)
                # On MongoDB a record may be there for a moment, and stay if somebody writes the user then.
                is_exact = store_of == "sqlite" and on_deleted is not OnDeleted.RESTORE
                assert not is_exact or created <= set(NEW), "nobody brings back who was deleted"

        for turn in range(2):
            waiting = list(acts(story, chance, turn))
            chance.shuffle(waiting)
            await asyncio.gather(imports(turn), *waiting)
            left = await story.agreed(of_names, store)
            story.check(left)
            assert on_deleted is OnDeleted.RESTORE or not any(left[user_id] for user_id in DOOMED)
        for versions in (versions for watching in of_versions for versions in watching.seen.values()):
            lives = [[int(version) for version in life] for life in lives_of(versions)]
            assert all(life == sorted(life) for life in lives)
            # On MongoDB one who is created while somebody deletes it may be seen for a moment before it is raised.
            firsts = [life[0] for life in lives if life] if store_of == "sqlite" else []
            assert firsts == sorted(firsts)
            assert not lives[-1] or lives[-1][-1] == max(map(max, filter(None, lives)))


@pytest.mark.parametrize("on_deleted", [OnDeleted.RESTORE, OnDeleted.SKIP])
async def test_all_agree_after_a_gateway_has_died_during_imports_and_exports(
    tmp_path: Path, on_deleted: OnDeleted
) -> None:
    chance = Random(f"{on_deleted}")
    path = tmp_path / "users.jsonl"
    async with AsyncExitStack() as stack:
        deployment = await stack.enter_async_context(deployed(tmp_path, "nx-27017/pymongo", reread_seconds=1))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, headers=deployment.headers))
        store = make_store(deployment.store_url, Rules(), mongodb_driver="pymongo")
        await store.open()
        stack.push_async_callback(store.close)
        story = Story(deployment, http, chance)
        await asyncio.gather(*(story.act(user_id, SET, FROM_EXPORT) for user_id in [*DOOMED, *BUSY]))
        await exported(store, path)
        survivors = deployment.gateways[1:]
        of_names, of_versions = [await watch(stack, deployment, survivors, query) for query in (CHANGED, VERSIONS)]
        shown: dict[tuple[str, int], UserSnapshot] = {}

        async def export() -> None:
            """Walk through the users again and again: one version is one state."""
            for _ in range(5):
                async with aclosing(store.walk(after=None)) as pages:
                    for snapshot in [record.snapshot async for page in pages for record in page]:
                        assert shown.setdefault((snapshot.id, snapshot.version), snapshot).looks_like(snapshot)
                        story.see(snapshot.id, {"name": snapshot.name, "version": str(snapshot.version)})
                await asyncio.sleep(chance.uniform(0, 0.1))

        async def imports() -> None:
            for number in range(IMPORTS):
                await import_file(path, store, number, on_existing=OnExisting.SKIP, on_deleted=on_deleted)

        async def die() -> None:
            await asyncio.sleep(chance.uniform(0, 0.2))
            story.killed = 0
            await asyncio.to_thread(deployment.gateways[0].kill)
            deployment.gateways[0] = await asyncio.to_thread(deployment.start_again, 0)

        waiting = list(acts(story, chance, 0))
        chance.shuffle(waiting)
        await asyncio.gather(imports(), export(), die(), *waiting)
        of_names += await watch(stack, deployment, deployment.gateways[:1], CHANGED)
        left = await story.agreed(of_names, store)
        for user_id, user in left.items():
            story.see(user_id, user)
        for versions in (versions for watching in of_versions for versions in watching.seen.values()):
            lives = [[int(version) for version in life] for life in lives_of(versions)]
            assert all(life == sorted(life) for life in lives)
