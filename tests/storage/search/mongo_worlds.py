"""Gateways on a MongoDB: on a model of it, and on a server that speaks its protocol."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from unittest import mock

import pymongo.errors
from pymongo import MongoClient, WriteConcern

from tests.storage.search.calls import RULES, Seen, state_of
from tests.storage.search.model import ModelCollection
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.deletions import DELETIONS
from userline.storage.mongo.documents import decode_user, encode_user
from userline.storage.mongo.driver import DRIVERS, USERS, Driver, MotorDriver
from userline.storage.mongo.format import META

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.storage.search.stepping import Stepper
    from tests.storage.search.worlds import Clock, Edit
    from userline.storage.protocol import UserStore
    from userline.users.record import UserRecord


class Trouble:
    """What goes wrong with commands on their way to a server and back."""

    def __init__(self, stepper: Stepper, *, losses: bool, forgetful: bool, of: str = "") -> None:
        """``forgetful`` servers do commands twice: those alone whose names end with ``of``."""
        self.stepper = stepper
        self._losses = losses
        self._forgetful, self._of = forgetful, of
        self.late: set[asyncio.Task[None]] = set()

    async def command(self, label: str, effect: Callable[[], Awaitable[Any]], *, writes: bool = True) -> Any:
        """Have a command take effect and be answered when it is its turn, and as it happens."""
        stepper = self.stepper
        fate = "" if stepper.is_free else stepper.random.choice(self._fates(label, writes=writes))
        await stepper.gate(f"{label} {fate or 'takes effect'}")
        if fate == "is lost":
            raise pymongo.errors.AutoReconnect("lost")
        if fate == "is late":
            task = asyncio.create_task(self._late(label, effect))
            self.late.add(task)
            raise pymongo.errors.AutoReconnect("late")
        answer = await self._effect(effect)
        if fate == "is done twice":
            await stepper.gate(f"{label} takes effect again")
            answer = await self._effect(effect)
        await stepper.gate(f"{label} is answered")
        if fate == "loses its answer":
            raise pymongo.errors.AutoReconnect("lost answer")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _fates(self, label: str, *, writes: bool) -> list[str]:
        fates = [""] * 10
        if self._losses:
            fates += ["is lost", "is late", "loses its answer"] if writes else ["is lost"]
        if self._forgetful and writes and label.endswith(self._of):
            fates += ["is done twice"] * 4
        return fates

    async def _late(self, label: str, effect: Callable[[], Awaitable[Any]]) -> None:
        await self.stepper.gate(f"{label} takes effect late")
        await self._effect(effect)

    async def _effect(self, effect: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await effect()
        except pymongo.errors.PyMongoError as error:
            return error


class _HeldCursor:
    def __init__(self, find: Callable[[], Awaitable[Any]]) -> None:
        self._find = find

    async def to_list(self, length: int | None) -> Any:  # noqa: ARG002 - all of them
        return await self._find()


class _HeldCollection:
    """A collection of the model, by a line on which commands are held."""

    def __init__(self, inner: ModelCollection, trouble: Trouble, gateway: str) -> None:
        self._inner, self._trouble, self._gateway = inner, trouble, gateway

    def find(self, query: Any, fields: Any = None, **_: Any) -> _HeldCursor:
        async def find() -> Any:
            return self._inner.find_now(query)

        label = f"{self._gateway}: {'find' if fields is None else 'look'}"
        return _HeldCursor(lambda: self._trouble.command(label, find, writes=False))

    async def find_one(self, query: Any) -> Any:
        return next(iter(self._inner.find_now(query)), None)

    async def options(self) -> Any:
        return {}

    async def insert_one(self, document: Any) -> Any:
        return await self._send("insert", lambda: self._inner.insert_one(document))

    async def replace_one(self, query: Any, document: Any) -> Any:
        return await self._send("replace", lambda: self._inner.replace_one(query, document))

    def with_options(self) -> _HeldCollection:
        return _HeldCollection(self._inner, self._trouble, self._gateway)

    async def delete_one(self, query: Any) -> Any:
        return await self._send("delete", lambda: self._delete(query))

    async def _delete(self, query: Any) -> Any:
        return await self._inner.delete_one(query)

    async def delete_many(self, query: Any) -> Any:
        return await self._send("delete many", lambda: self._inner.delete_many(query))

    async def find_one_and_update(self, query: Any, update: Any, *, upsert: bool = False) -> Any:
        return await self._send("update", lambda: self._inner.find_one_and_update(query, update, upsert=upsert))

    async def insert_many(self, documents: Any, *, ordered: bool) -> Any:
        assert not ordered
        return await self._send("insert many", lambda: self._inner.insert_many(documents, between=self._between))

    async def bulk_write(self, operations: Any, *, ordered: bool) -> Any:
        assert not ordered
        return await self._send("bulk", lambda: self._inner.bulk_write(operations, between=self._between))

    async def _between(self, label: str) -> None:
        await self._trouble.stepper.gate(f"{self._gateway}: {label} takes effect")

    async def _send(self, name: str, effect: Callable[[], Awaitable[Any]]) -> Any:
        return await self._trouble.command(f"{self._gateway}: {name}", effect)


class _ModelDriver(Driver):
    def __init__(self, collections: Mapping[str, _HeldCollection]) -> None:
        self.most_commands = 100
        self._database = collections
        self._users = collections[USERS]

    @property
    def round_trip(self) -> float:
        return 0.0

    async def close(self) -> None:
        pass


class ModelWorld:
    """Gateways on a MongoDB in memory."""

    def __init__(self, stepper: Stepper, *, losses: bool = False, forgetful: bool = False, of: str = "") -> None:
        self._trouble = Trouble(stepper, losses=losses, forgetful=forgetful, of=of)
        self.late = self._trouble.late
        self._collections: dict[str, ModelCollection] = {name: ModelCollection() for name in (USERS, META, DELETIONS)}

    def gateway(self, name: str, clock: Clock) -> UserStore:
        collections = {each: _HeldCollection(inner, self._trouble, name) for each, inner in self._collections.items()}
        return _held_store("mongodb://model/", lambda _: _ModelDriver(collections), clock)

    def by_hand(self, user_id: str, edit: Edit, *, forgets: bool = False) -> Seen:
        documents = self._collections[USERS].documents
        before, after, document = _edited(documents.pop(user_id, None), edit, forgets=forgets)
        if document is not None:
            documents[user_id] = document
        return Seen(state_of(before), state_of(after))


class _HeldRealCollection:
    """A real collection, by a line on which commands are held."""

    def __init__(self, inner: Any, trouble: Trouble, gateway: str) -> None:
        self.inner, self._trouble, self._gateway = inner, trouble, gateway
        self.delegate = inner.delegate

    def with_options(self) -> _HeldRealCollection:
        return _HeldRealCollection(self.inner.with_options(), self._trouble, self._gateway)

    def __getattr__(self, name: str) -> Any:
        async def send(*arguments: Any, **options: Any) -> Any:
            async def effect() -> Any:
                # Driver's arguments are its own; what PyMongo adds to a document is not to be seen by another try.
                return await self._trouble.stepper.work_outside(
                    getattr(self.inner, name)(*deepcopy(arguments), **options)
                )

            return await self._trouble.command(f"{self._gateway}: {name}", effect)

        return send


class _RealDriver(MotorDriver):
    def __init__(self, url: Any, trouble: Trouble, gateway: str) -> None:
        super().__init__(url)
        self._trouble, self._gateway = trouble, gateway
        real = self._database
        self._real_users = real[USERS]
        self._users = _HeldRealCollection(self._real_users, trouble, gateway)
        self._database = {
            USERS: self._users,
            META: _HeldRealCollection(real[META], trouble, gateway),
            DELETIONS: _HeldRealCollection(real[DELETIONS], trouble, gateway),
        }

    async def find_in(self, collection: str, ids: Any) -> Any:
        async def effect() -> Any:
            finding = self._database[collection].inner.find({"_id": {"$in": ids}}).to_list(None)
            return await self._trouble.stepper.work_outside(finding)

        return await self._trouble.command(f"{self._gateway}: find deletions", effect, writes=False)

    async def _find(self, query: Any, batch_size: int, fields: Any = None) -> Any:
        async def effect() -> Any:
            held, self._users = self._users, self._real_users
            try:
                finding = MotorDriver._find(self, query, batch_size, fields)
                return await self._trouble.stepper.work_outside(finding)
            finally:
                self._users = held

        return await self._trouble.command(f"{self._gateway}: find", effect, writes=False)

    async def close(self) -> None:
        await self._trouble.stepper.work_outside(super().close())

    @property
    def round_trip(self) -> float:
        """As near as a server may be: how long it takes is no part of a schedule."""
        return 0.0


class RealWorld:
    """Gateways on a server that speaks MongoDB's protocol. A bulk takes effect in one go."""

    def __init__(
        self,
        stepper: Stepper,
        url: str,
        client: MongoClient[dict[str, Any]],
        *,
        losses: bool = False,
        forgetful: bool = False,
    ) -> None:
        self._trouble = Trouble(stepper, losses=losses, forgetful=forgetful)
        self.late = self._trouble.late
        self._url = url
        # As acknowledged as a gateway's writes are, or its reads might not see them yet.
        self._users = client.get_default_database().get_collection(USERS, write_concern=WriteConcern("majority"))

    def gateway(self, name: str, clock: Clock) -> UserStore:
        return _held_store(self._url, lambda url: _RealDriver(url, self._trouble, name), clock)

    def by_hand(self, user_id: str, edit: Edit, *, forgets: bool = False) -> Seen:
        before, after, document = _edited(self._users.find_one({"_id": user_id}), edit, forgets=forgets)
        self._users.delete_one({"_id": user_id})
        if document is not None:
            self._users.insert_one(document)
        return Seen(state_of(before), state_of(after))


def _held_store(url: str, driver: Callable[[Any], Driver], clock: Clock) -> MongoUserStore:
    options = "timeoutMS=60000&maxPoolSize=100&maxConnecting=2"
    store = MongoUserStore(f"{url}{'&' if '?' in url else '?'}{options}", RULES, "motor", clock)
    opening = store.open

    async def open_held(*, create: bool = True) -> None:
        with mock.patch.dict(DRIVERS, motor=driver):
            await opening(create=create)

    store.open = open_held  # type: ignore[method-assign]
    return store


def _edited(
    document: dict[str, Any] | None, edit: Edit, *, forgets: bool
) -> tuple[UserRecord | None, UserRecord | None, dict[str, Any] | None]:
    """Return the user before and after an edit by another program, and the document that it leaves.

    One that edits keeps the fields that it does not know. One that creates leaves out what it can.
    """
    before = decode_user(document) if document is not None else None
    after = edit(before)
    if after is None:
        return before, None, None
    written = encode_user(after)
    if document is not None:
        return before, after, written if forgets else {**document, **written}
    for name in ("version", "createdAt", "updatedAt", "custom"):
        if not written[name]:
            del written[name]
    return before, after, written
