"""The MongoDB store of several gateways on the model of a server, without the drivers and their threads."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pymongo.errors

from tests.simulation.history import state_of
from tests.storage.search.model import ModelCollection
from tests.storage.search.mongo_worlds import _HeldCollection, _ModelDriver
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.documents import decode_user
from userline.storage.mongo.driver import DRIVERS, USERS
from userline.storage.mongo.format import META
from userline.storage.mongo.writing import Writing
from userline.storage.protocol import WriteResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.simulation.history import History, State
    from tests.simulation.store import StoreLine
    from userline.users.record import UserSnapshot
    from userline.users.rules import Rules

_LATE_SECONDS: Final = (0.1, 3.0)
"""When a command is done that was thought to be lost."""


class _Users(ModelCollection):
    """The users. The history is told of each change, as soon as others may see it."""

    def __init__(self, history: History, user_ids: Sequence[str]) -> None:
        super().__init__()
        self._history = history
        self._user_ids = user_ids
        self._expected: dict[tuple[str, State | None, State | None], list[UserSnapshot]] = {}

    async def insert_one(self, document: Any) -> Any:
        done = await super().insert_one(document)
        self._note()
        return done

    async def replace_one(self, query: Any, document: Any, *, upsert: bool = False) -> Any:
        done = await super().replace_one(query, document, upsert=upsert)
        self._note()
        return done

    async def update_one(self, query: Any, update: Any, **options: Any) -> Any:
        done = await super().update_one(query, update, **options)
        self._note()
        return done

    async def delete_one(self, query: Any) -> Any:
        deleting: Any = super().delete_one(query)
        done = await deleting
        self._note()
        return done

    def find_now(self, query: Any) -> Any:
        wanted = query.get("_id")
        if isinstance(wanted, dict) and "$gt" in wanted:
            return [deepcopy(self.documents[key]) for key in sorted(self.documents) if key > wanted["$gt"]]
        return super().find_now(query)

    def expect(self, user_id: str, outcomes: Sequence[Any]) -> None:
        """Take note of what becomes of a user if writes that are done together hold: all of it happens at once."""
        done = [outcome for outcome in outcomes if isinstance(outcome, WriteResult) and outcome.changed]
        if len(done) > 1:
            before = state_of(done[0].before.snapshot if done[0].before is not None else None)
            steps = [outcome.after.snapshot for outcome in done]
            self._expected[user_id, before, state_of(steps[-1])] = steps

    def _note(self) -> None:
        for user_id in self._user_ids:
            document = self.documents.get(user_id)
            if document is None:
                self._history.note({user_id: None})
                continue
            snapshot = decode_user(document).snapshot
            change = (user_id, self._history.now(user_id), state_of(snapshot))
            for step in self._expected.get(change, [snapshot]):
                self._history.note({user_id: step})


class MongoDeployment:
    """What is stored."""

    def __init__(self, history: History, user_ids: Sequence[str]) -> None:
        self.users = _Users(history, user_ids)
        self.collections: dict[str, ModelCollection] = {USERS: self.users, META: ModelCollection()}


class _Way:
    """One gateway's way to the server: commands take their time there and back, and some are lost."""

    def __init__(self, line: StoreLine) -> None:
        self._line = line
        self.stepper = self

    async def gate(self, _: str) -> None:
        """Wait between two statements of one command."""
        await asyncio.sleep(self._line.pause())

    async def command(self, label: str, effect: Callable[[], Awaitable[Any]], *, writes: bool = True) -> Any:
        """Have a command take effect, and return its answer. Raises PyMongoError."""
        self._line.under_way += 1
        try:
            return await self._command(label, effect, writes=writes)
        finally:
            self._line.under_way -= 1

    async def _command(self, label: str, effect: Callable[[], Awaitable[Any]], *, writes: bool) -> Any:
        line = self._line
        await asyncio.sleep(line.pause())
        while line.hangs:
            await asyncio.sleep(0.25)
        if line.is_severed:
            raise pymongo.errors.AutoReconnect("nobody is there any more")
        if line.failures and line.random.random() < line.failures:
            if writes and line.random.random() < 0.3:
                line.under_way += 1
                asyncio.get_running_loop().create_task(self._late(effect), name=f"late {label}")
            raise pymongo.errors.AutoReconnect("lost")
        answer = await self._outcome(effect)
        if writes and line.lost_answers and line.random.random() < line.lost_answers:
            raise pymongo.errors.AutoReconnect("lost answer")
        await asyncio.sleep(line.pause())
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _late(self, effect: Callable[[], Awaitable[Any]]) -> None:
        await asyncio.sleep(self._line.random.uniform(*_LATE_SECONDS))
        if not self._line.is_severed:
            await self._outcome(effect)
        self._line.under_way -= 1

    @staticmethod
    async def _outcome(effect: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await effect()
        except pymongo.errors.PyMongoError as error:
            return error


class _Writing(Writing):
    """Tells the model what it is about to write."""

    users: _Users

    def _outcomes(self, user_id: str, *rest: Any) -> Any:
        outcomes, after = super()._outcomes(user_id, *rest)
        self.users.expect(user_id, outcomes)
        return outcomes, after


class _Held(dict[str, _HeldCollection]):
    """The collections as one gateway has them, which are made when they are asked for."""

    def __init__(self, deployment: MongoDeployment, way: Any) -> None:
        super().__init__()
        self._deployment = deployment
        self._way = way

    def __missing__(self, name: str) -> _HeldCollection:
        inner = self._deployment.collections.setdefault(name, ModelCollection())
        held = self[name] = _HeldCollection(inner, self._way, "")
        return held


class SimulatedMongoStore(MongoUserStore):
    """The store of one gateway."""

    def __init__(self, deployment: MongoDeployment, line: StoreLine, rules: Rules, clock: Callable[[], int]) -> None:
        super().__init__("mongodb://model/?timeoutMS=1500", rules, "motor", clock)
        self._writing = writing = _Writing(self._connected, rules, clock)
        writing.users = deployment.users
        way: Any = _Way(line)
        self._held = _Held(deployment, way)

    async def open(self, *, create: bool = True) -> None:
        """Open it, with the model in the place of the driver."""
        with mock.patch.dict(DRIVERS, motor=lambda *_: _ModelDriver(self._held)):
            await super().open(create=create)
