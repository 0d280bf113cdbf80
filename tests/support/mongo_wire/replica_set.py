"""A replica set of proxies: one server behind them all, and elections at a word."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode

from bson import ObjectId
from bson.int64 import Int64

from tests.support.mongo_wire.errors import error
from tests.support.mongo_wire.proxy import HELLOS, WireProxy, hello_of

if TYPE_CHECKING:
    from tests.support.mongo_wire.messages import Document, Message
    from tests.support.mongo_wire.proxy import Forward

_NOT_PRIMARY: Final = 10107
_NOT_PRIMARY_NO_SECONDARY_OK: Final = 13435
_WRITES: Final = frozenset({"insert", "update", "delete", "findAndModify", "bulkWrite"})
_ANYWHERE: Final = frozenset({"ping", "endSessions", "killCursors", "buildInfo", "getMore"})
_OF_SESSIONS: Final = ("lsid", "txnNumber", "$clusterTime")
_MOST_TRANSACTIONS: Final = 1000
_LONGEST_HELLO_SECONDS: Final = 10.0


class ReplicaSet:
    """Members that all lead to one server, of which at most one is the primary.

    Drivers use sessions and retry writes with it. Whether a write that comes again by the same transaction number gets
    the answer that it got first, as MongoDB does it, or is done again, is ``remembers``.
    """

    def __init__(self, *, remembers: bool) -> None:
        self.name = "made-up"
        self.remembers = remembers
        self.members: list[WireProxy] = []
        self.primary: int | None = 0
        self._elections = 1
        self._process = ObjectId()
        self._counter = 0
        self._changed = asyncio.Condition()
        self.transactions: OrderedDict[tuple[bytes, int], Document] = OrderedDict()

    @classmethod
    async def open(cls, upstream: int | None, *, members: int = 2, remembers: bool = True) -> ReplicaSet:
        made = cls(remembers=remembers)
        for number in range(members):
            made.members.append(await WireProxy.open(upstream, players=[_Member(made, number)]))
        return made

    @property
    def hosts(self) -> list[str]:
        return [f"127.0.0.1:{member.port}" for member in self.members]

    def url(self, database: str, **options: object) -> str:
        return f"mongodb://{','.join(self.hosts)}/{database}?{urlencode({'replicaSet': self.name, **options})}"

    async def step_down(self) -> None:
        """Have no primary until one is elected."""
        await self._turn(None)

    async def elect(self, member: int) -> None:
        """Make a member the primary."""
        self._elections += 1
        await self._turn(member)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        for member in self.members:
            await member.close()

    async def _turn(self, primary: int | None) -> None:
        async with self._changed:
            self.primary = primary
            self._counter += 1
            self._changed.notify_all()

    async def hello(self, member: int, command: Document) -> Document:
        """Return what a member says of itself; as soon as it is news, where the driver waits for that."""
        known = command.get("topologyVersion")
        if isinstance(known, dict) and known.get("processId") == self._process:
            seconds = min(command.get("maxAwaitTimeMS", 0) / 1000, _LONGEST_HELLO_SECONDS)
            try:
                async with asyncio.timeout(seconds), self._changed:
                    await self._changed.wait_for(lambda: self._counter != known["counter"])
            except TimeoutError:
                pass
        is_primary = member == self.primary
        more: dict[str, Any] = {
            "setName": self.name,
            "setVersion": 1,
            "hosts": self.hosts,
            "me": self.hosts[member],
            "isWritablePrimary": is_primary,
            "ismaster": is_primary,
            "secondary": not is_primary,
            "logicalSessionTimeoutMinutes": 30,
            "topologyVersion": {"processId": self._process, "counter": Int64(self._counter)},
        }
        if self.primary is not None:
            more["primary"] = self.hosts[self.primary]
        if is_primary:
            more["electionId"] = ObjectId(self._elections.to_bytes(12, "big"))
        return hello_of(**more)


class _Member:
    def __init__(self, replica_set: ReplicaSet, number: int) -> None:
        self._set = replica_set
        self._number = number

    async def play(self, message: Message, forward: Forward) -> Message | None:
        if message.command in HELLOS:
            return message.answered(await self._set.hello(self._number, message.body))
        if message.command not in _ANYWHERE and self._number != self._set.primary:
            if message.command in _WRITES:
                # Servers since 4.4 say themselves what may be sent again, to those who sent a transaction number.
                labels = ["RetryableWriteError"] if "txnNumber" in message.body else []
                return message.answered(error(_NOT_PRIMARY, labels=labels))
            if message.body.get("$readPreference", {}).get("mode", "primary") == "primary":
                return message.answered(error(_NOT_PRIMARY_NO_SECONDARY_OK))
        key = _transaction(message) if self._set.remembers else None
        if key is not None and key in self._set.transactions:
            return message.answered(self._set.transactions[key])
        answer = await forward(message.without(*_OF_SESSIONS))
        if key is not None:
            self._set.transactions[key] = answer.body
            if len(self._set.transactions) > _MOST_TRANSACTIONS:
                self._set.transactions.popitem(last=False)
        return message.answered(answer.body)


def _transaction(message: Message) -> tuple[bytes, int] | None:
    number = message.body.get("txnNumber")
    return None if number is None else (bytes(message.body["lsid"]["id"]), int(number))
