"""What is measured, and against whom."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench import users
from bench.cost import Cost, start_up_memory, start_up_time, subscriber_memory
from bench.http_work import HTTPWork
from bench.rate import Contender, Rate
from bench.site import GATEWAY, LANE_OFF, SERVERS
from bench.watch_work import WatchWork

_BOTH: Final = (GATEWAY, LANE_OFF)


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


def _fan_out(sockets: int) -> WatchWork:
    return WatchWork(sockets, 1, "fan_out")


def _subscriber(sockets: int) -> Cost:
    return Cost(
        f"subscriber-{sockets}",
        f"memory of an idle socket with one subscription, when there are {sockets:,}",
        "KiB",
        _all(*_BOTH, "strawberry-cached", "mercurius", "graphql-ws", "bare-uvicorn"),
        partial(subscriber_memory, sockets),
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
    Rate(
        "cold-read",
        "the same on a stand-in for MongoDB, and nothing is held: every request needs the store",
        "requests",
        _all(*_BOTH, "mercurius"),
        _READ,
        store="mongodb",
        flags=("--cache-seconds", "0"),
    ),
    Rate(
        "users-100",
        "users(ids) with 100 ids and seven fields, in memory, 32 connections",
        "requests",
        (
            *_all(*_BOTH, "strawberry-cached", "apollo-server", "mercurius"),
            Contender("mercurius", "mercurius, 100 aliases", _ALIASES),
        ),
        _HUNDRED,
    ),
    Rate(
        "users-1000",
        "users(ids) with 1,000 ids and seven fields, in memory, 32 connections",
        "requests",
        _all(*_BOTH, "apollo-server", "mercurius"),
        _THOUSAND,
    ),
    Rate(
        "write-sqlite",
        "setUser with a new name, 32 connections; answered when it is on disk",
        "requests",
        _all(*_BOTH, "strawberry-cached"),
        WRITE,
        store="sqlite",
    ),
    Rate(
        "write-mongodb",
        "setUser with a new name, 32 connections, on a stand-in for MongoDB",
        "requests",
        _all(*_BOTH, "mercurius"),
        WRITE,
        store="mongodb",
    ),
    Rate(
        "fan-out-1000",
        "1,000 sockets watch one user, one change at a time; an event that one socket gets is one delivery",
        "deliveries",
        _all(*_BOTH, "strawberry-cached", "mercurius", "graphql-ws", "bare-uvicorn"),
        _fan_out(1000),
    ),
    Rate(
        "fan-out-5000",
        "the same with 5,000 sockets",
        "deliveries",
        _all(*_BOTH, "mercurius", "graphql-ws", "bare-uvicorn"),
        _fan_out(5000),
    ),
    Rate(
        "watch-5000",
        "5,000 sockets watch 5,000 users, who are changed in turn, 32 at a time",
        "deliveries",
        _all(*_BOTH, "mercurius", "graphql-ws"),
        WatchWork(5000, 5000, "spread"),
    ),
    Rate(
        "subscribe",
        "32 sockets: subscribe, hear of the user as it is, unsubscribe",
        "subscriptions",
        _all(*_BOTH, "strawberry-cached", "mercurius", "graphql-ws"),
        WatchWork(32, 1, "subscribe"),
    ),
    _subscriber(1000),
    _subscriber(5000),
    Cost("start-up", "from the start of the process to the first answer", "ms", _all(*SERVERS), start_up_time),
    Cost("start-up-memory", "memory after the first answer", "MiB", _all(*SERVERS), start_up_memory),
)

SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}
