"""What is measured, and against whom."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench import users
from bench.burst import BurstWork
from bench.cost import Cost, start_up_memory, start_up_time, subscriber_memory
from bench.http_work import HTTPWork
from bench.native import NATIVE
from bench.rate import Contender, Rate
from bench.site import OURS, SERVERS
from bench.watch_work import WatchWork


def _runs(length: int, step: int) -> list[range]:
    """Return runs of so many users, a ``step`` apart."""
    return [range(first, first + length) for first in range(0, users.READ_USERS, step)]


def _writes() -> list[users.Operation]:
    """Return writes that all change something: a user has another name in each third."""
    return [users.write(number, f"Name {name}") for name in range(3) for number in range(users.READ_USERS)]


def _everybody(first: int) -> users.Operation:
    return users.read_many([(first + number) % users.READ_USERS for number in range(1000)])


_READ: Final = HTTPWork(lambda: [users.read(number) for number in range(users.READ_USERS)])
_HUNDRED: Final = HTTPWork(lambda: [users.read_many(run) for run in _runs(100, 10)])
_ALIASES: Final = HTTPWork(lambda: [users.read_aliases(run) for run in _runs(100, 10)])
_THOUSAND: Final = HTTPWork(lambda: [_everybody(first) for first in range(0, 1000, 20)])
WRITE: Final = HTTPWork(_writes)


_COLD: Final = ("--cache-seconds", "0")

_DURABLE: Final = Contender("mercurius", "mercurius, on disk", store="sqlite")
"""Keeps what the gateway promises: a change is on disk when it is answered."""

_IN_MEMORY: Final = tuple(Contender(name, f"{name}, in memory", store="memory") for name in ("mercurius", *NATIVE))


def _cold_read(name: str, delay: float = 0) -> Rate:
    away = f", {delay:g} ms each way" if delay else ""
    return Rate(
        name,
        f"user(id) on MongoDB{away}, and nothing is held: every request needs the store",
        "requests",
        _all(*OURS, "mercurius"),
        _READ,
        store="mongodb",
        flags=_COLD,
        delay=delay,
    )


def _writes_on_mongodb(name: str, connections: int, delay: float = 0) -> Rate:
    away = f", {delay:g} ms each way" if delay else ""
    return Rate(
        name,
        f"setUser with a new name, {connections} connections, on MongoDB{away}",
        "requests",
        _all(*OURS, "mercurius"),
        HTTPWork(_writes, connections),
        store="mongodb",
        delay=delay,
        writes=True,
    )


def _fan_out(sockets: int) -> WatchWork:
    return WatchWork(sockets, 1, "fan_out")


def _subscriber(sockets: int, *names: str) -> Cost:
    return Cost(
        f"subscriber-{sockets}",
        f"memory of an idle socket with one subscription, when there are {sockets:,}",
        "KiB",
        _all(*(names or (*OURS, "strawberry-cached", "mercurius", *NATIVE, "graphql-ws", "bare-uvicorn"))),
        partial(subscriber_memory, sockets),
    )


def _list_subscriber(sockets: int) -> Cost:
    return Cost(
        f"list-subscriber-{sockets}",
        f"the same with a subscription to a list of users, when there are {sockets:,}",
        "KiB",
        _all(*OURS),
        partial(subscriber_memory, sockets, as_list=True),
    )


def _all(*names: str) -> tuple[Contender, ...]:
    return tuple(Contender(name) for name in names)


_ALL: Final[tuple[Rate | Cost, ...]] = (
    Rate(
        "read",
        "user(id) with seven fields, 1,000 users in turn, held in memory, 32 connections",
        "requests",
        _all(*(name for name in SERVERS if name != "graphql-ws")),
        _READ,
    ),
    _cold_read("cold-read"),
    *(_cold_read(f"cold-read-{delay}ms", delay) for delay in (1, 5, 10)),
    Rate(
        "reads-far",
        "1,000 different reads at the same moment, each on a connection of its own, 10 ms each way to MongoDB",
        "requests",
        _all(*OURS, "mercurius"),
        BurstWork(users.read_at_once),
        store="mongodb",
        flags=_COLD,
        delay=10,
    ),
    Rate(
        "records-far",
        "the same of whole records, by REST, which only the gateway has",
        "requests",
        _all(*OURS),
        BurstWork(users.records_at_once),
        store="mongodb",
        flags=_COLD,
        delay=10,
    ),
    Rate(
        "users-100",
        "users(ids) with 100 ids and seven fields, in memory, 32 connections",
        "requests",
        (
            *_all(*OURS, "strawberry-cached", "apollo-server", "mercurius", *NATIVE),
            Contender("mercurius", "mercurius, 100 aliases", _ALIASES),
        ),
        _HUNDRED,
    ),
    Rate(
        "users-1000",
        "users(ids) with 1,000 ids and seven fields, in memory, 32 connections",
        "requests",
        _all(*OURS, "apollo-server", "mercurius", *NATIVE),
        _THOUSAND,
    ),
    Rate(
        "write-sqlite",
        "setUser with a new name, 32 connections; the gateway answers when it is on disk, its peers by their column",
        "requests",
        (*_all(*OURS, "strawberry-cached"), _DURABLE, *_IN_MEMORY),
        WRITE,
        store="sqlite",
        writes=True,
    ),
    _writes_on_mongodb("write-mongodb", 32),
    _writes_on_mongodb("write-mongodb-256", 256),
    _writes_on_mongodb("write-mongodb-256-1ms", 256, 1),
    *(_writes_on_mongodb(f"write-mongodb-{delay}ms", 32, delay) for delay in (1, 5, 10)),
    Rate(
        "fan-out-1000",
        "1,000 sockets watch one user, one change at a time; an event that one socket gets is one delivery",
        "deliveries",
        _all(*OURS, "strawberry-cached", "mercurius", *NATIVE, "graphql-ws", "bare-uvicorn"),
        _fan_out(1000),
        writes=True,
    ),
    Rate(
        "fan-out-5000",
        "the same with 5,000 sockets",
        "deliveries",
        _all(*OURS, "mercurius", *NATIVE, "graphql-ws", "bare-uvicorn"),
        _fan_out(5000),
        writes=True,
    ),
    Rate(
        "watch-5000",
        "5,000 sockets watch 5,000 users, who are changed in turn, 32 at a time; a change is kept as the column says",
        "deliveries",
        (*_all(*OURS), _DURABLE, *_IN_MEMORY, Contender("graphql-ws", "graphql-ws, in memory")),
        WatchWork(5000, 5000, "spread"),
        writes=True,
    ),
    Rate(
        "watch-list-1000",
        "100 sockets watch a list of 1,000 users by one usersChanged each, and one of the users is changed at a time",
        "deliveries",
        _all(*OURS),
        WatchWork(100, 1, "fan_out", listed=1000),
        writes=True,
    ),
    Rate(
        "subscribe",
        "32 sockets: subscribe, hear of the user as it is, unsubscribe",
        "subscriptions",
        _all(*OURS, "strawberry-cached", "mercurius", *NATIVE, "graphql-ws"),
        WatchWork(32, 1, "subscribe"),
    ),
    _subscriber(1000),
    _subscriber(5000),
    _subscriber(10_000, *OURS, "bare-uvicorn"),
    _list_subscriber(5000),
    Cost("start-up", "from the start of the process to the first answer", "ms", _all(*SERVERS), start_up_time),
    Cost("start-up-memory", "memory after the first answer", "MiB", _all(*SERVERS), start_up_memory),
)

SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}
